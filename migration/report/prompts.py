"""Repeated prompts, and what a cache for them would have saved: only where the app logs a hash of each prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from migration.config import logsql, signals
from migration.config.signals import Pattern
from migration.logs.names import Names
from migration.logs.reader import LogReader, windows

if TYPE_CHECKING:
    from migration.config.settings import Config
    from migration.context import Context

SIGNAL, GROUP = "prompt", "hash"


@dataclass(frozen=True)
class PromptCounts:
    """`prompts` were logged, `different` of them; a span of more than a day counts a prompt once a day."""

    prompts: int
    different: int

    @property
    def repeated(self) -> int:
        return self.prompts - self.different


def pattern(config: Config) -> Pattern | None:
    """The signal `prompt`, where it has a group `hash`."""
    signal = signals.named(config).get(SIGNAL)
    return signal if signal and GROUP in re.compile(signal.pattern).groupindex else None


def read(context: Context, since: datetime, until: datetime) -> PromptCounts:
    """One query a day. ServiceFailed when the logs cannot be read."""
    own = pattern(context.config)
    names = Names.of(context)
    ids = names.ids(names.known(own.functions)) if own else []
    rows = [row for start, end in windows(since, until) if own and ids
            for row in LogReader.of(context).query(_query(own, ids, start, end), start, end)]  # fmt: skip
    return PromptCounts(sum(int(row["n"]) for row in rows), sum(int(row["different"]) for row in rows))


def _query(own: Pattern, ids: list[str], start: datetime, end: datetime) -> str:
    where = logsql.both(
        logsql.source(logsql.FUNCTION), logsql.equal("function_id", *ids), logsql.span(start, end), own.sql
    )
    text = logsql.groups(signals.portable(signals.capturing(own.pattern, GROUP)))
    rows = f"(select id, {text}[1] as hash from logs where {where} limit 1 by id)"
    return f"select count() as n, uniqExact(hash) as different from {rows} where hash != ''"
