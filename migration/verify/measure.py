"""Gathers the evidence that the criteria judge. What cannot be measured says why, and never stops the rest."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from checks.evidence import Evidence, Missing, Month, Provider, Spend, Traffic, Window
from migration.base.errors import CutoverError
from migration.config import signals
from migration.logs.reader import LogReader
from migration.verify import past, readings, samples, usage, watched
from migration.verify.readings import Scope
from migration.verify.samples import Sample
from migration.verify.subject import Subject

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context

T = TypeVar("T")
BASELINE = timedelta(hours=23, minutes=30)  # how far back the version before is looked at
_SETTLED_DAYS = 3  # earlier in the month a projection says nothing


def gather(context: Context, about: Subject, reader: LogReader | None = None) -> Evidence:
    """Everything the criteria may ask for. In a gate, what only history can tell is left out."""
    reader = reader or LogReader.of(context)
    migrated = _scope(about, context.config.migration.functions)
    traffic = tried(lambda: readings.traffic(reader, migrated))
    spend = tried(lambda: _spend(context, reader, migrated))
    routes = readings.routes(signals.named(context.config), context.config.migration.unchanged)
    everyone = _scope(about, [*context.config.migration.functions, *context.config.migration.unchanged])
    faults = tried(lambda: readings.faults(reader, everyone, routes))
    lines: Mapping[str, int] | Missing = faults if isinstance(faults, Missing) else faults[1]
    answers = list(about.samples) if about.samples is not None else _samples(context, about)
    before, spend_before = (Missing("not read in a gate"),) * 2 if about.gate else _baseline(context, about, reader)
    return Evidence(
        window=Window(about.since, about.until, {s: v for s, (_, v) in migrated.functions.items()}, about.words),
        traffic=traffic,
        before=before,
        spend=spend,
        spend_before=spend_before,
        faults=faults if isinstance(faults, Missing) else faults[0],
        artifacts=samples.artifacts(answers),
        artifacts_before=past.artifacts(context, about.past),
        provider=tried(lambda: _provider(context, about, spend)),
        month=tried(lambda: _month(context, spend)),
        unchanged=watched.all_of(context, about, answers, lines),
        gate=about.gate,
    )


def tried(measure: Callable[[], T]) -> T | Missing:
    """A measurement, or why it could not be taken."""
    try:
        return measure()
    except CutoverError as error:
        return Missing(error.message)


def _scope(about: Subject, slugs: Sequence[str]) -> Scope:
    found = {slug: about.live[slug] for slug in slugs if slug in about.live}
    return Scope({slug: (one.id, one.version) for slug, one in found.items()}, about.since, about.until)


def _spend(context: Context, reader: LogReader, scope: Scope) -> Spend:
    provider = context.config.provider
    pattern = signals.usage(context.config)
    grace = timedelta(seconds=5) if context.environment.embedded else readings.GRACE
    return readings.spend(reader, scope, pattern, context.clock.now() - grace, provider.price if provider else None)


def _baseline(
    context: Context, about: Subject, reader: LogReader
) -> tuple[tuple[Traffic, ...] | Missing, Spend | Missing]:
    """The same queries over the version before, in the day that led up to the change."""
    found = {slug: (about.live[slug].id, version) for slug, version in about.before.items() if slug in about.live}
    if not found:
        return Missing("no earlier version is recorded"), Missing("no earlier version is recorded")
    scope = Scope(found, about.changed - BASELINE, about.changed + timedelta(minutes=10))
    return tried(lambda: readings.traffic(reader, scope)), tried(lambda: _spend(context, reader, scope))


def _samples(context: Context, about: Subject) -> list[Sample]:
    """What was recorded of the live versions."""
    found = samples.recent(context, about.since, about.until)
    return [one for one in found if one.at >= activated(about.live.get(one.function))]


def activated(function: Function | None) -> datetime:
    """When a function last changed; the beginning of time if the platform does not say."""
    return datetime.fromtimestamp((function.updated_at or 0) / 1000 if function else 0, UTC)


def _provider(context: Context, about: Subject, spend: Spend | Missing) -> Provider | Missing:
    if isinstance(spend, Missing):
        return spend
    booked, source = usage.since(context, about.since)
    return Provider(booked, source, spend.successes, spend.total, spend.ripe)


def _month(context: Context, spend: Spend | Missing) -> Month | Missing:
    """The key's own month so far, and the configured volumes at the measured mean cost."""
    info = usage.read(context)
    if info.usage_monthly is None:
        return Missing("the provider does not say what this month has cost")
    now = context.clock.now()
    passed = now.day - 1 + now.hour / 24 + now.minute / 1440
    days = calendar.monthrange(now.year, now.month)[1]
    ahead = info.usage_monthly / passed * days if passed >= _SETTLED_DAYS else None
    mean = 0.0 if isinstance(spend, Missing) else spend.mean
    volumes = {name: a_day * 30 * mean for name, a_day in context.config.budget.volumes.items()} if mean else {}
    return Month(info.usage_monthly, ahead, "the key's own figure", volumes)
