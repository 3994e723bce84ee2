"""What the probes of doctor share, read once and only when one needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from migration.base.errors import CutoverError, Refused
from migration.clients.supabase_types import Function
from migration.context import Context
from migration.deploy import plan as plans
from migration.deploy.plan import Plan, PlannedFunction
from migration.ledger.deployments import History
from migration.logs.reader import LogReader
from migration.source import reader
from migration.source.source import Source
from migration.verify import readings
from migration.verify.readings import LiveVersions

RECENT = timedelta(minutes=15)


@dataclass
class Examination:
    """One examination of one environment."""

    context: Context

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """What is on the platform, by slug."""
        return {each.slug: each for each in self.context.supabase.functions()}

    @cached_property
    def plan(self) -> Plan:
        """What a deploy would do. Refused for a checkout that cannot be deployed."""
        return plans.make(self.context, diff=True)

    @cached_property
    def planned(self) -> Plan | None:
        """The same; None where the checkout cannot be deployed: what runs in production does not depend on it."""
        try:
            return self.plan
        except Refused:
            return None

    @cached_property
    def history(self) -> History:
        return self.context.ledger.history(fresh=False)

    @cached_property
    def sources(self) -> list[Source]:
        """The migrated functions of the checkout, else as git has them now, else at the revision that is live."""
        if self.planned is not None:
            return [each.source for each in self.planned.functions]
        live = self.history.live
        for revision in filter(None, (self.context.repository.head(), live.revision if live else "")):
            with contextlib.suppress(CutoverError):
                if found := reader.reader(self.context).at(revision, self.context.config.migration.functions):
                    return list(found.values())
        return []

    @cached_property
    def logs(self) -> LogReader:
        return LogReader.of(self.context)

    @cached_property
    def now(self) -> datetime:
        return self.context.clock.now()

    @property
    def migrated(self) -> list[Function]:
        """The migrated functions that are on the platform."""
        return [self.functions[slug] for slug in self.context.config.migration.functions if slug in self.functions]

    @property
    def since(self) -> datetime:
        """As far back as the criteria look."""
        return self.now - timedelta(seconds=self.context.config.criteria.window)

    def scope(self) -> LiveVersions:
        """The live versions of the migrated functions, over the criteria's window."""
        live = {each.slug: (each.id, each.version) for each in self.migrated}
        return LiveVersions(live, self.since, self.now + timedelta(minutes=1))

    @cached_property
    def answers(self) -> Mapping[str, Mapping[int, int]]:
        """How often the live version of each migrated function answered which status lately. ServiceFailed as the
        logs."""
        scope = replace(self.scope(), since=max(self.since, self.now - RECENT))
        return {each.function: each.statuses for each in readings.traffic(self.logs, scope)}

    @property
    def requests(self) -> int:
        """Calls of the migrated functions lately."""
        return sum(sum(counts.values()) for counts in self.answers.values())

    def item(self, slug: str) -> PlannedFunction | None:
        return next((each for each in self.planned.functions if each.slug == slug), None) if self.planned else None
