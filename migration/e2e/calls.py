"""Each function call of the page beside its log rows: routed to the new provider, cost logged, by the right model.

A call is found by the execution id in its answer; its own lines among those of the execution, by its request id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.config import logsql, signals
from migration.config.signals import Pattern, request_id
from migration.e2e.result import CallResult, Kind, Problem
from migration.logs.reader import LogReader

if TYPE_CHECKING:
    from migration.config.browser import Calls
    from migration.context import Context
    from migration.e2e.watching import NetworkRequest

_POLL, _POLL_HOSTED = 0.2, 3.0
_PATIENCE = 3.0  # seconds on the sandbox, whose rows are there at once
_STILL = 0.8  # seconds without a further row, after which a sandbox has shown all of them
_NO_LINES = "no log line yet (they can arrive minutes late)"


@dataclass(frozen=True)
class Line:
    """One log line of an execution."""

    execution: str
    version: str
    message: str


def calls_of(requests: Iterable[NetworkRequest]) -> list[CallResult]:
    """The answered function calls, in order."""
    return [
        CallResult(
            one.step,
            one.function,
            one.status,
            round(one.seconds or 0.0, 3),
            one.headers.get("x-request-id") or one.headers.get("sb-request-id", ""),
            one.headers.get("x-deno-execution-id", ""),
        )
        for one in requests
        if one.function and one.status is not None
    ]


def tied(context: Context, calls: Sequence[CallResult], settings: Calls, since: datetime) -> list[CallResult]:
    """The calls with what their rows show. Where the environment has no logs, they are as they were."""
    asked = [call for call in calls if call.status < 400 and call.execution_id]
    if not asked or not context.environment.project_ref or not context.environment.access_token:
        return list(calls)
    wanted = _Wanted.of(context, settings)
    if not any(wanted.asks(call) for call in asked):
        return list(calls)
    context.observer.step("logs", detail="the rows of each function call")
    try:
        judged = {call.execution_id + call.request_id: call for call in _read(context, asked, wanted, settings, since)}
    except CutoverError as error:
        return [replace(call, unproven=f"cannot read the logs: {error.message}") for call in calls]
    return [judged.get(call.execution_id + call.request_id, call) for call in calls]


def problems(context: Context, calls: Iterable[CallResult]) -> list[Problem]:
    """What the rows show that is not as it must be."""
    found = []
    model = context.config.target.listed if context.config.target else ""
    to = context.config.migration.to or "the new provider"
    for call in calls:
        lacks: list[tuple[Kind, str]] = []
        if call.routed is False:
            lacks.append(("routed", f"{call.function} was not routed to {to}: no line of new_route"))
        elif call.cost_logged is False:
            lacks.append(("cost_logged", f"{call.function} logged no cost"))
        if call.model and model and not call.model.startswith(model):
            lacks.append(("model", f"{call.function} was answered by {call.model}, not by {model}"))
        found += [
            Problem(kind, call.step, f"{text} (request {call.request_id})", call.request_id) for kind, text in lacks
        ]
    return found


@dataclass(frozen=True)
class _Wanted:
    """The signals that rows are looked at for; None for one that is not asked for."""

    routed: Pattern | None
    cost: Pattern | None
    model: Pattern | None

    @classmethod
    def of(cls, context: Context, settings: Calls) -> _Wanted:
        known = signals.named(context.config)
        asked = {"new_route": settings.routed, "usage": settings.cost_logged, "model": settings.model}
        return cls(*(known.get(name) if on else None for name, on in asked.items()))

    def asks(self, call: CallResult) -> bool:
        return any(pattern is not None and call.function in pattern.functions for pattern in vars(self).values())

    def judge(self, call: CallResult, lines: Sequence[Line]) -> CallResult:
        """The call with what its own lines show; unproven without any."""
        own = [line for line in lines if line.execution == call.execution_id
               and request_id(line.message) in ("", call.request_id or request_id(line.message))]  # fmt: skip
        if not own:
            return replace(call, unproven=f"{call.function}: {_NO_LINES}") if self.asks(call) else call
        return replace(
            call,
            version=own[0].version,
            routed=_seen(self.routed, call, own),
            cost_logged=_seen(self.cost, call, own),
            model=self._model(call, own),
        )

    def settled(self, call: CallResult) -> bool:
        """Whether further rows could change nothing."""
        return not call.unproven and call.routed is not False and call.cost_logged is not False

    def _model(self, call: CallResult, lines: Sequence[Line]) -> str:
        if self.model is None or call.function not in self.model.functions:
            return ""
        groups: Iterable[Mapping[str, str] | None] = (self.model.groups(line.message) for line in lines)
        return next((found.get("model", "") for found in groups if found), "")


def _seen(pattern: Pattern | None, call: CallResult, lines: Sequence[Line]) -> bool | None:
    if pattern is None or call.function not in pattern.functions:
        return None
    return any(pattern.matches(line.message) for line in lines)


def _read(
    context: Context, calls: Sequence[CallResult], wanted: _Wanted, settings: Calls, since: datetime
) -> list[CallResult]:
    """Looks until every call is settled or patience ends."""
    hosted = context.environment.log_queries is not None
    now = context.clock.monotonic
    end, seen, since_when = now() + (settings.within if hosted else min(settings.within, _PATIENCE)), -1, now()
    while True:
        lines = _lines(context, {call.execution_id for call in calls}, since)
        judged = [wanted.judge(call, lines) for call in calls]
        if len(lines) != seen:
            seen, since_when = len(lines), now()
        whole = not hosted and now() - since_when >= _STILL and not any(call.unproven for call in judged)
        if whole or all(map(wanted.settled, judged)) or now() >= end:
            return judged
        context.clock.sleep(_POLL_HOSTED if hosted else _POLL)


def _lines(context: Context, executions: Iterable[str], since: datetime) -> list[Line]:
    columns = (
        f"event_message, {logsql.attribute('execution_id')} as execution_id, {logsql.attribute('version')} as version"
    )
    where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("execution_id", *sorted(executions)))
    rows = LogReader.of(context).rows(where, since, context.clock.now() + timedelta(minutes=1), columns=columns)
    return [Line(str(row["execution_id"]), str(row["version"]), str(row["event_message"]).strip()) for row in rows]
