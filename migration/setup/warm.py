"""Whether functions answer from workers that began after a secret changed: an older one keeps the older value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from migration.base.errors import ServiceFailed
from migration.base.parallel import each
from migration.clients.supabase_types import Function
from migration.config import logsql
from migration.context import Context
from migration.logs.reader import LogReader

DAY = timedelta(hours=23)
AHEAD = timedelta(minutes=5)  # clocks differ
POLL, POLL_HERE = (0.5, 3.0, 6.0), (0.1,) * 20  # seconds between looks into logs that count queries, that do not
State = Literal["new", "old", "unknown"]


@dataclass(frozen=True)
class Worker:
    """`new`: a worker of this function began after the moment in question. `old`: it answered and none began since.

    `unknown`: it gave no answer of its own, or its logs are not in yet. `booted`: when the newest one began;
    `version`: which version answered.
    """

    slug: str
    state: State
    execution: str = ""
    booted: datetime | None = None
    version: int | None = None


def workers(context: Context, functions: Sequence[Function], since: datetime) -> list[Worker]:
    """Ask each function with OPTIONS, which costs nothing, then look its workers up in the logs, which come late."""
    asked = dict(each([found.slug for found in functions], lambda slug: execution(context, slug)))
    ids = {slug: found for slug, found in asked.items() if isinstance(found, str) and found}
    if not ids:
        return [Worker(found.slug, "unknown") for found in functions]
    reader = LogReader.of(context)
    for pause in (*(POLL if context.environment.log_queries else POLL_HERE), 0.0):
        rows = _seen(reader, context.clock.now(), functions, list(ids.values()), since)
        found = [_worker(each.slug, ids.get(each.slug, ""), rows.get(each.id, {}), since) for each in functions]
        if not any(one.version is None and one.execution for one in found):
            break
        context.clock.sleep(pause)
    return found


def execution(context: Context, slug: str) -> str:
    """The execution id of a function's answer; empty when its code did not run or it cannot be reached."""
    try:
        answer = context.edge.options(slug)
    except ServiceFailed:
        return ""
    return str(answer.headers.get("x-deno-execution-id", ""))


def _seen(
    reader: LogReader, now: datetime, functions: Sequence[Function], executions: Sequence[str], since: datetime
) -> dict[str, Mapping[str, Any]]:
    """By function id: microseconds of its newest boot and of its newest answer, and the version that answered us."""
    moment, function = logsql.MICROSECONDS, logsql.attribute("function_id")
    ours = logsql.both(logsql.source(logsql.EDGE), logsql.equal("execution_id", *executions))
    served = logsql.both(logsql.source(logsql.EDGE), f"{moment} >= {logsql.micros(since)}")
    select = (
        f"{function} as function, maxIf({moment}, {logsql.equal('event_type', 'Boot')}) as booted, "
        f"countIf({served}) as served, argMaxIf({logsql.attribute('version')}, {moment}, {ours}) as version"
    )
    where = logsql.equal("function_id", *(found.id for found in functions))
    rows = reader.aggregate(select, where, now - DAY, now + AHEAD, group="function")
    return {str(row["function"]): row for row in rows}


def _worker(slug: str, execution: str, row: Mapping[str, Any], since: datetime) -> Worker:
    booted = logsql.at_micros(row["booted"]) if int(row.get("booted") or 0) else None
    version = int(row["version"]) if str(row.get("version") or "").isdigit() else None
    if booted is not None and booted >= since:
        return Worker(slug, "new", execution, booted, version)
    old = execution and int(row.get("served") or 0)
    return Worker(slug, "old" if old else "unknown", execution, booted, version)
