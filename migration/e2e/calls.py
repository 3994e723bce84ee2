"""Each function call of the page beside its log rows: routed to the new provider, cost logged, by the right model.

A call is found by the execution id in its answer; its own lines among those of the execution, by its request id. What
`supabase functions serve` writes (`environments.NAME.logs`) has no executions: there the request id alone ties them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from migration.base.errors import CutoverError
from migration.config import logsql, signals
from migration.config.signals import Pattern, request_id
from migration.e2e.result import CallResult, Problem, ProblemKind
from migration.logs import local
from migration.logs.reader import LogReader

if TYPE_CHECKING:
    from migration.config.browser import Calls
    from migration.context import Context
    from migration.e2e.watching import NetworkRequest

_POLL, _POLL_HOSTED = 0.2, 3.0
_PATIENCE = 3.0  # seconds on the sandbox, whose rows are there at once
_STILL = 0.8  # seconds without a further row, after which a sandbox has shown all of them


@dataclass(frozen=True)
class CallLine:
    """One log line of an execution; `execution` and `version` are "" where the logs do not know them."""

    execution: str
    version: str
    message: str


class CallLog(Protocol):
    """Where the lines of calls come from. `patience` in seconds; `at_once`: further lines come within moments.

    `silence`: why a call without one is unproven.
    """

    patience: float
    at_once: bool
    silence: str

    def ties(self, call: CallResult) -> bool:
        """Whether the call's answer names what its lines are found by."""

    def lines(self, calls: Iterable[CallResult]) -> list[CallLine]:
        """What is there so far. CutoverError where it cannot be read."""

    def own(self, call: CallResult, lines: Sequence[CallLine]) -> list[CallLine]:
        """The lines of one call."""


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
    log = _log(context, settings, since)
    with_rows = [call for call in calls if call.status < 400 and log and log.ties(call)]
    wanted = _Wanted.of(context, settings)
    if log is None or not any(wanted.asks(call) for call in with_rows):
        return list(calls)
    detail = "the rows of each function call"
    context.observer.step("logs", detail=detail)
    try:
        judged = {call.execution_id + call.request_id: call for call in _read(context, log, with_rows, wanted)}
        context.observer.done("logs", detail=detail)
    except CutoverError as error:
        context.observer.unsure("logs", detail=detail)
        return [replace(call, unproven=f"cannot read the logs: {error.message}") for call in calls]
    return [judged.get(call.execution_id + call.request_id, call) for call in calls]


def _log(context: Context, settings: Calls, since: datetime) -> CallLog | None:
    own = context.environment
    if own.project_ref and own.access_token:
        return _PlatformLog(context, settings, since)
    return _ServedLog(context) if local.configured(context) else None


def problems(context: Context, calls: Iterable[CallResult]) -> list[Problem]:
    """What the rows show that is not as it must be."""
    problems_ = []
    model = context.config.target.listed if context.config.target else ""
    to = context.config.migration.to or "the new provider"
    for call in calls:
        lacks: list[tuple[ProblemKind, str]] = []
        if call.routed is False:
            lacks.append(("routed", f"{call.function} was not routed to {to}: no line of new_route"))
        elif call.cost_logged is False:
            lacks.append(("cost_logged", f"{call.function} logged no cost"))
        if call.model and model and not call.model.startswith(model):
            lacks.append(("model", f"{call.function} was answered by {call.model}, not by {model}"))
        problems_ += [
            Problem(kind, call.step, f"{text} (request {call.request_id})", call.request_id) for kind, text in lacks
        ]
    return problems_


@dataclass(frozen=True)
class _Wanted:
    """The signals that rows are looked at for; None for one that is not asked for."""

    routed: Pattern | None
    cost: Pattern | None
    model: Pattern | None

    @classmethod
    def of(cls, context: Context, settings: Calls) -> _Wanted:
        known = signals.named(context.config)
        wanted = {"new_route": settings.routed, "usage": settings.cost_logged, "model": settings.model}
        return cls(*(known.get(name) if on else None for name, on in wanted.items()))

    def asks(self, call: CallResult) -> bool:
        return any(pattern is not None and call.function in pattern.functions for pattern in vars(self).values())

    def judge(self, call: CallResult, own: Sequence[CallLine], silence: str) -> CallResult:
        """The call with what its own lines show; unproven without any."""
        if not own:
            return replace(call, unproven=f"{call.function}: {silence}") if self.asks(call) else call
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

    def _model(self, call: CallResult, lines: Sequence[CallLine]) -> str:
        if self.model is None or call.function not in self.model.functions:
            return ""
        groups: Iterable[Mapping[str, str] | None] = (self.model.groups(line.message) for line in lines)
        return next((groups_read.get("model", "") for groups_read in groups if groups_read), "")


def _seen(pattern: Pattern | None, call: CallResult, lines: Sequence[CallLine]) -> bool | None:
    if pattern is None or call.function not in pattern.functions:
        return None
    return any(pattern.matches(line.message) for line in lines)


def _read(context: Context, log: CallLog, calls: Sequence[CallResult], wanted: _Wanted) -> list[CallResult]:
    """Looks until every call is settled or patience ends."""
    now = context.clock.monotonic
    end, seen, since_when = now() + log.patience, -1, now()
    while True:
        lines = log.lines(calls)
        judged = [wanted.judge(call, log.own(call, lines), log.silence) for call in calls]
        if len(lines) != seen:
            seen, since_when = len(lines), now()
        whole = log.at_once and now() - since_when >= _STILL and not any(call.unproven for call in judged)
        if whole or all(map(wanted.settled, judged)) or now() >= end:
            return judged
        context.clock.sleep(_POLL if log.at_once else _POLL_HOSTED)


class _PlatformLog:
    """The rows of the project, by execution; several requests can share one."""

    silence = "no log line yet (they can arrive minutes late)"

    def __init__(self, context: Context, settings: Calls, since: datetime) -> None:
        self.at_once = context.environment.log_queries is None
        self.patience = min(settings.within, _PATIENCE) if self.at_once else settings.within
        self._context, self._since = context, since

    def ties(self, call: CallResult) -> bool:
        return bool(call.execution_id)

    def lines(self, calls: Iterable[CallResult]) -> list[CallLine]:
        context, executions = self._context, sorted({call.execution_id for call in calls})
        names = ("execution_id", "version")
        columns = ", ".join(["event_message", *(f"{logsql.attribute(name)} as {name}" for name in names)])
        where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("execution_id", *executions))
        end = context.clock.now() + timedelta(minutes=1)
        rows = LogReader.of(context).rows(where, self._since, end, columns=columns)
        return [
            CallLine(str(row["execution_id"]), str(row["version"]), str(row["event_message"]).strip()) for row in rows
        ]

    def own(self, call: CallResult, lines: Sequence[CallLine]) -> list[CallLine]:
        return [line for line in lines if line.execution == call.execution_id
                and request_id(line.message) in ("", call.request_id or request_id(line.message))]  # fmt: skip


class _ServedLog:
    """What `supabase functions serve` wrote, by request id: a line of ours begins with it."""

    patience, at_once = _PATIENCE, True

    def __init__(self, context: Context) -> None:
        self._context = context
        self.silence = f"no line of {local.configured(context)} begins with its request id in square brackets"

    def ties(self, call: CallResult) -> bool:
        return bool(call.request_id)

    def lines(self, calls: Iterable[CallResult]) -> list[CallLine]:
        ids = {call.request_id for call in calls}
        return [CallLine("", "", line.message) for line in local.read(self._context) if line.request in ids]

    def own(self, call: CallResult, lines: Sequence[CallLine]) -> list[CallLine]:
        return [line for line in lines if request_id(line.message) == call.request_id]
