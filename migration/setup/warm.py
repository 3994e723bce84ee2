"""Whether functions answer from workers that began after a secret changed: an older one keeps the older value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from migration.clients.supabase_types import Function
from migration.config import logsql
from migration.context import Context
from migration.logs.reader import LogReader

DAY = timedelta(hours=23)
AHEAD = timedelta(minutes=5)  # clocks differ
State = Literal["new", "old", "unknown"]


@dataclass(frozen=True)
class Worker:
    """`new`: a worker of this function began after the moment in question. `old`: it answered and none began since.

    `unknown`: there was no answer since, or its log row is not in yet. `booted`: when the newest worker began;
    `version`: which version gave the newest answer, when it was `answered`, in the execution `execution`.
    """

    slug: str
    state: State
    execution: str = ""
    booted: datetime | None = None
    version: int | None = None
    answered: datetime | None = None


def workers(context: Context, functions: Sequence[Function], since: datetime) -> list[Worker]:
    """What the logs show of each function's workers. Nothing is sent: a request could run anything."""
    if not functions:
        return []
    rows = _rows(LogReader.of(context), context.clock.now(), functions)
    return [_worker(function, rows.get(function.id, {}), since) for function in functions]


def _rows(reader: LogReader, now: datetime, functions: Sequence[Function]) -> dict[str, Mapping[str, Any]]:
    """By function id: microseconds of its newest boot and newest answer, the execution and version of that answer."""
    moment, function = logsql.MICROSECONDS, logsql.attribute("function_id")
    answers = logsql.source(logsql.EDGE)
    select = (
        f"{function} as function, maxIf({moment}, {logsql.equal('event_type', 'Boot')}) as booted, "
        f"maxIf({moment}, {answers}) as answered, "
        f"argMaxIf({logsql.attribute('execution_id')}, {moment}, {answers}) as execution, "
        f"argMaxIf({logsql.attribute('version')}, {moment}, {answers}) as version"
    )
    where = logsql.equal("function_id", *(one.id for one in functions))
    rows = reader.aggregate(select, where, now - DAY, now + AHEAD, group="function")
    return {str(row["function"]): row for row in rows}


def _worker(function: Function, row: Mapping[str, Any], since: datetime) -> Worker:
    booted, answered = (_moment(row.get(name)) for name in ("booted", "answered"))
    version = int(row["version"]) if str(row.get("version") or "").isdigit() else None
    activated = datetime.fromtimestamp((function.updated_at or 0) / 1000, UTC)
    state: State = "unknown"
    if booted is not None and booted >= since:
        state = "new"
    elif answered is not None and answered >= max(since, activated):
        state = "old"
    return Worker(function.slug, state, str(row.get("execution") or ""), booted, version, answered)


def _moment(microseconds: Any) -> datetime | None:
    return logsql.at_micros(microseconds) if int(microseconds or 0) else None
