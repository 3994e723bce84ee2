"""`inv smoke`: sends the smoke cases at once, checks every answer, and shows the log lines of each failure."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from migration.base import parallel
from migration.base.command import inv
from migration.base.errors import CutoverError, ServiceFailed, Unreachable
from migration.base.ids import shortened
from migration.base.secrets_type import mask
from migration.clients.edge import Purpose
from migration.clients.http import Answer
from migration.config import logsql
from migration.config.cases import SmokeCase
from migration.config.signals import request_id
from migration.context import Context
from migration.logs import local
from migration.logs.reader import LogReader
from migration.verify import boot, described, samples, smoke_cases
from migration.verify.expect import Checker, Failure, delivers, find
from migration.verify.parser import parser
from migration.verify.proof import boot_error
from migration.verify.samples import Sample
from migration.verify.smoke_cases import body_of, check, choose, fill

LIMIT = 64  # requests at once: as many as the client has connections

Delivered = Literal["missing", "invalid", "valid"]


@dataclass(frozen=True)
class CaseResult:
    """One case. `status` is None without an answer; `seconds` from the first byte sent to the last one received.

    `version`: which version answered, where that was looked up (a gate does), in which `region` ("" for any).
    `unreachable`: no connection was made.
    `artifact`: whether the expected code was delivered, None where the case expects none. A skipped case is not ok.
    """

    name: str
    function: str
    ok: bool
    status: int | None = None
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    request_id: str | None = None
    execution_id: str | None = None
    curl: str = ""
    log_lines: tuple[str, ...] = ()
    skipped: str | None = None
    artifact: Delivered | None = None
    region: str = ""
    version: int | None = None
    unreachable: bool = field(default=False, repr=False)
    at: datetime | None = field(default=None, repr=False, compare=False)
    answer: Answer | None = field(default=None, repr=False, compare=False)
    captured: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def sample(self) -> Sample | None:
        """The answer as the criteria count it; None when nothing was sent."""
        if self.at is None:
            return None
        why = "; ".join(str(failure) for failure in self.failures)
        valid = None if self.artifact is None else self.artifact == "valid"
        return Sample(self.at, self.function, self.name, self.ok, self.status or 0, self.seconds, valid,
                      self.execution_id or "", why)  # fmt: skip


@dataclass(frozen=True)
class SmokeResult:
    """`notes`: which cases were not sent, and why."""

    cases: tuple[CaseResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return bool(self.cases) and all(case.ok for case in self.cases)

    @property
    def samples(self) -> list[Sample]:
        return [sample for case in self.cases if (sample := case.sample) is not None]

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1


def run(
    context: Context,
    cases: Sequence[str] | None = None,
    lines: bool = True,
    purpose: Purpose = Purpose.SMOKE,
    region: str = "",
) -> SmokeResult:
    """Every case that describes what is live, or those named, and the ones whose captures they use; results in the
    order of config.yaml.

    `lines`: wait for the log lines of failed cases (a gate does not: the failing code answers callers meanwhile).
    `region`: where the requests are to be answered; "" for wherever they land.

    Refused before anything is sent: an unknown case, no cases, a missing key or user, captures in a circle.
    """
    notes: list[str] = []
    if cases is None:
        cases, notes = described.choose(context)
    chosen = choose(context.config.smoke, cases, context.config.folder)
    check(context, chosen)
    sender = Sender(context, purpose, region)
    threading.Thread(target=_warm, args=(sender, chosen), daemon=True).start()
    runner = _Run(sender, chosen)
    results = {case.name: runner.report(case, result) for case, result in parallel.each(chosen, runner.one, LIMIT)}
    named = [results[case.name] for case in context.config.smoke if case.name in results]
    result = SmokeResult(tuple(lines_of(context, named) if lines else named), tuple(notes))
    samples.record(context, result.samples)
    return result


class Sender:
    """Sends one case and judges its answer; safe to use from several threads (`inv soak` does)."""

    def __init__(self, context: Context, purpose: Purpose = Purpose.SMOKE, region: str = "") -> None:
        self.context = context
        self.purpose, self.region = purpose, region
        self.parser = parser(context.state)
        self._checker = Checker(self.parser)

    def send(self, case: SmokeCase, captured: Mapping[str, Any] | None = None) -> CaseResult:
        """One request. A service that does not answer is a failure of the case; a missing key is raised."""
        body = fill(body_of(case, self.context.config.folder), captured or {})
        headers = fill(case.headers, captured or {})
        path, query = smoke_cases.fill_path(case.path, captured or {}), fill(case.query, captured or {})
        url = smoke_cases.address(self.context.environment.url, case.function, path, query)
        shell = smoke_cases.curl(url, case.method, case.auth, headers, body, self.context.environment.anon_key)
        at = self.context.clock.now()
        missing = _asks(case, None)
        result = CaseResult(case.name, case.function, False, curl=shell, artifact=missing, region=self.region, at=at)
        try:
            return self._judged(case, result, self._call(case, path, query, headers, body))
        except ServiceFailed as error:
            failure = Failure("answer", f"an answer within {case.timeout:g}s", mask(error.cause))
            away = isinstance(error, Unreachable)
            return replace(result, status=getattr(error, "status", None), failures=(failure,), unreachable=away)

    def _call(
        self, case: SmokeCase, path: str, query: Mapping[str, Any], headers: Mapping[str, str], body: Any
    ) -> Answer:
        sending: dict[str, Any] = {"json": body}
        if isinstance(body, str):
            sending = {"content": body.encode()}
            headers = {"Content-Type": "text/plain; charset=utf-8", **headers}
        return self.context.edge.call(
            case.function,
            purpose=self.purpose,
            method=case.method,
            path=path,
            query=query,
            headers=headers,
            auth=case.auth,
            timeout=case.timeout,
            region=self.region or None,
            **sending,
        )

    def _judged(self, case: SmokeCase, result: CaseResult, answer: Answer) -> CaseResult:
        failures = list(self._checker.check(case.expect, answer))
        captured, lost = smoke_cases.take(case.capture, answer.body) if not failures else ({}, [])
        failures += lost
        return replace(
            result,
            ok=not failures,
            status=answer.status,
            seconds=answer.seconds,
            failures=tuple(failures),
            request_id=_request_id(answer),
            execution_id=answer.headers.get("x-deno-execution-id"),
            artifact=_asks(case, answer, any(failure.what in ("artifact", "code") for failure in failures)),
            answer=answer,
            captured=captured,
        )


class _Run:
    """Cases under way: each waits for those whose captures it uses."""

    def __init__(self, sender: Sender, cases: Sequence[SmokeCase]) -> None:
        self._sender = sender
        self._cases = cases
        self._folder = sender.context.config.folder
        self._over = {case.name: threading.Event() for case in cases}
        self._results: dict[str, CaseResult] = {}

    def one(self, case: SmokeCase) -> CaseResult:
        self._sender.context.observer.step("smoke", case.name)
        try:
            self._results[case.name] = self._after_others(case)
            return self._results[case.name]
        finally:
            self._over[case.name].set()

    def report(self, case: SmokeCase, result: CaseResult | Exception) -> CaseResult:
        """The result, reported to the observer; what a thread raised is raised here."""
        observer = self._sender.context.observer
        when = ", before the change" if self._sender.purpose is Purpose.BEFORE else ""
        if isinstance(result, Exception):
            observer.failed("smoke", case.name, result.message if isinstance(result, CutoverError) else repr(result))
            raise result
        if result.ok:
            observer.done("smoke", case.name, f"{result.status}{self._about(result)}{when}", result.seconds)
        else:
            observer.failed("smoke", case.name, f"{self._failed(result)}{self._about(result)}{when}")
        return result

    def _about(self, result: CaseResult) -> str:
        """What else `inv smoke` shows of a case: these lines are its table."""
        if self._sender.purpose is not Purpose.SMOKE:
            return ""
        function = result.function if result.function != result.name else ""
        request = f"request {shortened(result.request_id)}" if result.request_id else ""
        return "".join(f" · {one}" for one in (function, request) if one)

    def _failed(self, result: CaseResult) -> str:
        """In short where the result of the verb or of the gate says why: a failure is one line."""
        if self._sender.purpose in (Purpose.SMOKE, Purpose.GATE):
            return "not sent" if result.skipped else str(result.status or "no answer")
        return result.skipped or str(result.failures[0])

    def _after_others(self, case: SmokeCase) -> CaseResult:
        captured: dict[str, Any] = {}
        for name in smoke_cases.uses(case, self._folder):
            other = smoke_cases.maker(self._cases, name)
            self._over[other].wait()
            source = self._results.get(other)
            if source is None or name not in source.captured:
                why = f"it needs {name} from the case {other}, which did not deliver it"
                return CaseResult(case.name, case.function, False, skipped=why, artifact=_asks(case, None))
            captured[name] = source.captured[name]
        return self._sender.send(case, captured)


def _warm(sender: Sender, cases: Sequence[SmokeCase]) -> None:
    """Start the parser while the requests are under way; an error is reported when the parser is needed."""
    if any(case.expect.artifact or case.expect.code for case in cases):
        try:
            sender.parser.warm()
        except (CutoverError, OSError):
            return


def _asks(case: SmokeCase, answer: Answer | None, broken: bool = False) -> Delivered | None:
    """Whether the code that a case expects was delivered."""
    if not (case.expect.artifact or case.expect.code):
        return None
    if answer is None or not delivers(case.expect, answer):
        return "missing"
    return "invalid" if broken else "valid"


def _request_id(answer: Answer) -> str | None:
    """The id that the function's own log lines carry, else the gateway's."""
    own = answer.headers.get("x-request-id") or next(iter(find(answer.body, "$.requestId")), None)
    name = own if isinstance(own, str) else answer.headers.get("sb-request-id")
    return re.sub(r"[^\w.:-]", "", name)[:80] if name else None


# The log lines of the executions that failed.

PATIENCE = 10.0  # seconds: rows can arrive minutes late
_POLL = 0.5
_SPAN = timedelta(minutes=15)
_MARGIN = timedelta(seconds=30)  # between the platform's clock and ours


def lines_of(context: Context, results: Sequence[CaseResult], patience: float = PATIENCE) -> list[CaseResult]:
    """The results, each failed one with the log lines of its execution, where the environment has logs to read.

    `patience`: seconds to wait for the rows.
    """
    if local.configured(context):
        return _local_lines(context, results)
    results = _booted(context, results, patience)
    wanted = {result.execution_id for result in results if not result.ok and not result.log_lines} - {None}
    if not wanted or not context.environment.project_ref or not context.environment.access_token:
        return list(results)
    try:
        rows = _rows(context, sorted(filter(None, wanted)), patience)
    except CutoverError as error:
        context.observer.note(f"cannot read the logs of the failed cases: {error.message}")
        return list(results)
    with_lines = [
        replace(result, log_lines=tuple(_own(rows, result))) if result.execution_id in wanted and not result.ok
        else result for result in results
    ]  # fmt: skip
    for result in with_lines:
        if patience and result.execution_id in wanted and not result.log_lines:
            look = inv("logs", request=result.request_id or result.execution_id, env=context.environment.name)
            context.observer.note(f"{result.name}: no log lines yet (they can arrive minutes late): {look}")
    return with_lines


def _booted(context: Context, results: Sequence[CaseResult], patience: float) -> Sequence[CaseResult]:
    """The results, those of functions that did not start with the row that says why: it belongs to no request."""
    silent = [one for one in results if not one.ok and one.answer is not None and boot_error(one.answer)]
    if not silent or not context.environment.project_ref or not context.environment.access_token:
        return results
    since = min((one.at for one in silent if one.at), default=context.clock.now()) - _MARGIN
    try:
        lines = boot.failures(context, {one.function for one in silent}, since, patience)
    except CutoverError:
        return results  # the look for the other cases says why
    return [
        replace(one, log_lines=(lines[one.function],)) if one in silent and one.function in lines else one
        for one in results
    ]


def _local_lines(context: Context, results: Sequence[CaseResult]) -> list[CaseResult]:
    """From the lines of `supabase functions serve`, by the request's id."""
    if all(result.ok for result in results):
        return list(results)
    try:
        lines = local.read(context)
    except CutoverError as error:
        context.observer.note(f"cannot read the lines of the failed cases: {error.message}")
        return list(results)
    return [
        result if result.ok
        else replace(result, log_lines=tuple(map(mask, local.of_request(lines, result.request_id or ""))))
        for result in results
    ]  # fmt: skip


def _rows(context: Context, executions: Sequence[str], patience: float) -> list[tuple[str, str]]:
    """(execution, message) of every line, those of errors first, once each execution has one or patience ends."""
    reader = LogReader.of(context, patience)
    columns = f"event_message, {logsql.attribute('execution_id')} as execution_id, {logsql.level()} as level"
    # By the function, not by its worker, which reports its boot and its port.
    written = logsql.both(
        f"{logsql.attribute('event_type')} not in ('Boot', 'Shutdown')", "event_message not like 'Listening on http%'"
    )
    where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("execution_id", *executions), written)
    since = context.clock.now() - _SPAN
    end = context.clock.monotonic() + patience
    while True:
        read = reader.rows(where, since, context.clock.now() + timedelta(minutes=1), columns=columns)
        log_rows = sorted(read, key=lambda row: row.get("level") != "error")
        rows = [(str(row["execution_id"]), str(row["event_message"]).strip()) for row in log_rows]
        if {execution for execution, _ in rows} >= set(executions) or context.clock.monotonic() >= end:
            return rows
        context.clock.sleep(4 * _POLL if context.environment.log_queries else _POLL)


def _own(rows: Iterable[tuple[str, str]], result: CaseResult) -> Iterator[str]:
    """Lines of the result's execution without those of other requests that the same worker served."""
    for execution, message in rows:
        request = request_id(message)
        if execution == result.execution_id and request in ("", result.request_id or request):
            yield mask(message)
