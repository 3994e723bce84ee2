"""The log lines of the executions that failed, so that a failure can be understood where it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from migration.common.secrets_type import mask
from migration.errors import CutoverError
from migration.logbook import logsql
from migration.logbook.logquery import LogReader

if TYPE_CHECKING:
    from migration.context import Context
    from migration.smoke import CaseResult

PATIENCE = 10.0  # seconds: rows come late, and a smoke test is not the place to wait for all of them
_POLL = 0.5
_SPAN = timedelta(minutes=15)
_REQUEST = re.compile(r"^\[([A-Za-z0-9_-]{6,64})\] ")


def lines_of(context: Context, results: Sequence[CaseResult]) -> list[CaseResult]:
    """The results, each failed one with the lines of its execution, where the environment has logs that we may read."""
    wanted = {result.execution_id for result in results if not result.ok and result.execution_id}
    if not wanted or not context.environment.project_ref or not context.environment.access_token:
        return list(results)
    try:
        rows = _rows(context, sorted(filter(None, wanted)))
    except CutoverError as error:
        context.observer.note(f"the logs of the failed cases could not be read: {error.message}")
        return list(results)
    found = [result if result.ok else replace(result, log_lines=tuple(_own(rows, result))) for result in results]
    for result in found:
        if result.execution_id in wanted and not result.log_lines:
            where = f"inv logs --request {result.request_id or result.execution_id} --env {context.environment.name}"
            context.observer.note(f"{result.name}: no log line so far, they come late: {where}")
    return found


def _rows(context: Context, executions: Sequence[str]) -> list[tuple[str, str]]:
    """(execution, message) of every line, once each execution has one or patience ends."""
    reader = LogReader.of(context)
    columns = f"event_message, {logsql.attribute('execution_id')} as execution_id"
    where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("execution_id", *executions))
    since = context.clock.now() - _SPAN
    end = context.clock.monotonic() + PATIENCE
    while True:
        found = reader.rows(where, since, context.clock.now() + timedelta(minutes=1), columns=columns)
        rows = [(str(row["execution_id"]), str(row["event_message"]).strip()) for row in found]
        if {execution for execution, _ in rows} >= set(executions) or context.clock.monotonic() >= end:
            return rows
        context.clock.sleep(4 * _POLL if context.environment.log_queries else _POLL)


def _own(rows: Iterable[tuple[str, str]], result: CaseResult) -> Iterator[str]:
    """Lines of the result's execution without those of other requests that the same worker served."""
    for execution, message in rows:
        named = _REQUEST.match(message)
        if execution == result.execution_id and (named is None or named[1] == (result.request_id or named[1])):
            yield mask(message)
