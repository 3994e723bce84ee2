"""The gate: proof of life, smoke cases, signals and criteria decide whether the new code stays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError
from migration.base.secrets_type import cropped
from migration.clients.edge import Purpose
from migration.clients.supabase_types import Function
from migration.config import signals
from migration.logs.reader import LogReader
from migration.verify import checks_run, described, proof, rounds, samples, smoke
from migration.verify.proof import Probe, Proof
from migration.verify.smoke import CaseResult, SmokeResult

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment

_PATIENCE = 180.0  # seconds for the log rows that the criteria read


@dataclass(frozen=True)
class GateResult:
    """`verdict`: pass, fail or inconclusive. `keep`: whether inconclusive leaves the new code live.

    `records`: what the ledger keeps of the checks that the caller brought.
    """

    verdict: str
    why: str
    keep: bool
    details: Mapping[str, Any]
    records: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        cases = self.details.get("smoke")
        counted = samples.counts(cases.samples) if isinstance(cases, SmokeResult) else {}
        return (
            {"verdict": self.verdict, "why": self.why}
            | ({"artifacts": counted} if counted.get("tried") else {})
            | dict(self.records)
        )


@dataclass(frozen=True)
class ExtraResult:
    """What a check from outside found: pass, fail or inconclusive, why, what `--json` shows and the ledger keeps."""

    verdict: str
    why: str
    details: Any
    record: Mapping[str, Any]


ExtraChecks = Mapping[str, Callable[[], ExtraResult]]  # by name; run once the smoke cases passed


_BOOTED = timedelta(minutes=15)  # how far back a version of this deployment can have failed to start
_LONG = 200  # characters of a log line
# The frames behind an error's message.
_STACK = re.compile(r"\s+at (?:async )?(?:[\w.<>$]+ )?\(?(?:file|ext|npm|https?|node):.*", re.DOTALL)


def _message(line: str) -> str:
    """A log line without the stack behind its message, and no longer than a person reads."""
    return cropped(_STACK.sub("", line), _LONG)


def untouched(context: Context, changing: Collection[str] = ()) -> dict[str, bool]:
    """Before staging, under the lock: whether the cases of the untouched functions pass, by name; not of one that is
    `changing` because its former code is restored.

    What cannot be sent counts as passing before: then a failure afterwards fails the gate.
    """
    slugs = set(context.config.migration.unchanged) - set(changing)
    names = described.named(context.config.smoke, slugs, {"always"})
    if not names:
        return {}
    try:
        result = smoke.run(context, names, lines=False, purpose=Purpose.BEFORE)
    except CutoverError as error:
        context.observer.warn(f"cannot run the smoke cases of the untouched functions: {error.message}")
        return {}
    for case in result.cases:
        if not case.ok:
            context.observer.note(f"smoke case {case.name} of {case.function} already fails before this deployment")
    return {case.name: case.ok for case in result.cases}


def run(
    context: Context,
    deployment: Deployment,
    activated: Mapping[str, tuple[str, int]],
    before: Sequence[Function],
    passing: Mapping[str, bool] | None = None,
    extra: ExtraChecks | None = None,
) -> GateResult:
    """Judges what this deployment made live, by its own rows alone.

    `activated`: slug to (function id, version). `before`: the functions as listed before the change. `passing`: what
    `untouched` found then; a case that failed already decides nothing. `extra`: checks that the caller brings.
    """
    gate = _Gate(
        context, deployment, activated, before, {name for name, ok in (passing or {}).items() if not ok}, extra or {}
    )
    context.clock.sleep(context.config.gate.delay)
    return gate.run()


@dataclass
class _Gate:
    context: Context
    deployment: Deployment
    activated: Mapping[str, tuple[str, int]]
    before: Sequence[Function]
    tolerated: set[str]
    extra: ExtraChecks

    def __post_init__(self) -> None:
        self.began = self.context.clock.monotonic()
        self.settings = self.context.config.gate
        self.details: dict[str, Any] = {}
        self.records: dict[str, Any] = {}

    def run(self) -> GateResult:
        """A failure ends it at once: callers meet the new code meanwhile."""
        try:
            sent = self._cases()
        except CutoverError as error:
            self.details["smoke"] = {"error": error.message}
            unknown = Proof("inconclusive", tuple(Probe(slug, "", *one) for slug, one in self.activated.items()))
            return self._sum(replace(unknown, why="no smoke case could be sent"), "inconclusive", error.message)
        alive = sent.proof
        self.details |= {"proof": alive.as_json()} | ({"smoke": sent.smoke} if sent.smoke.cases else {})
        if alive.verdict == "fail" and not sent.failed:
            return GateResult("fail", alive.why, False, self.details, self.records)
        failed = sent.failed or [one for one in sent.smoke.cases if not one.ok and one.name not in self.tolerated]
        if failed:
            return GateResult("fail", self._failures(failed), False, self.details, self.records)
        further = self._further()
        for name, outcome in further.items():
            if outcome.verdict == "fail":
                return GateResult("fail", f"{name}: {outcome.why}", False, self.details, self.records)
        return self._sum(alive, "pass", "", sent.smoke, further)

    def _further(self) -> dict[str, ExtraResult]:
        """The checks of the caller. One that cannot be carried out is inconclusive."""
        results = {}
        for name, check in self.extra.items():
            self.context.observer.step("gate", detail=name)
            try:
                results[name] = check()
            except CutoverError as error:
                results[name] = ExtraResult("inconclusive", error.message, {"error": error.message}, {})
            self.details[name] = results[name].details
            self.records[name] = {"verdict": results[name].verdict, **results[name].record}
        return results

    def _cases(self) -> rounds.RoundsResult:
        """The cases of the functions that were deployed, and of those that must have stayed as they were."""
        about = {*self.activated, *self.context.config.migration.unchanged}
        names = described.named(self.context.config.smoke, about)
        self.context.observer.step("gate", detail="smoke cases")
        return rounds.run(self.context, self.activated, names, Purpose.GATE, self.tolerated)

    def _failures(self, failed: Sequence[CaseResult]) -> str:
        """The first failed case in full, the others that were sent by name."""
        sent = [case for case in failed if not case.skipped] or list(failed)
        others = list(dict.fromkeys(case.name for case in sent[1:] if case.name != sent[0].name))
        also = f"; {', '.join(others)} failed too" if others else ""
        return f"{self._failure(sent[0])}{also}"

    def _failure(self, case: CaseResult) -> str:
        """One failed case: expected and got, the request, its first line of failure in the logs."""
        if case.answer is not None and proof.boot_error(case.answer):
            words = ", ".join(filter(None, ["BOOT_ERROR", self._boot_line(case.function)]))
            return f"the new code of {case.function} does not start ({words})"
        why = str(case.failures[0]) if case.failures else case.skipped or "no answer"
        request = case.request_id or case.execution_id
        parts = [f"request {request}" if request else "", self._line(case)]
        more = ", ".join(part for part in parts if part)
        return f"smoke case {case.name}: {why}{f' ({more})' if more else ''}"

    def _boot_line(self, slug: str) -> str:
        """What the new version logged instead of starting; empty while the logs have nothing."""
        live, now = {slug: self.activated[slug]} if slug in self.activated else {}, self.context.clock.now()
        if not live:
            return ""
        try:
            found = proof.look_up(LogReader.of(self.context, patience=0.0), [], live, now - _BOOTED, now)
        except CutoverError:
            return ""
        line = found.errors.get(slug, "")
        return f"log: {_message(line)}" if line else ""

    def _line(self, case: CaseResult) -> str:
        lines = smoke.lines_of(self.context, [case], patience=0.0)[0].log_lines
        failure = signals.named(self.context.config).get("failure")
        line = next((one for one in lines if failure and failure.regex.search(one)), next(iter(lines), ""))
        line = " ".join(line.removeprefix(f"[{case.request_id}] ").split())
        return f"log: {_message(line)}" if line else ""

    def _sum(
        self,
        alive: Proof,
        smoked: str,
        unsent: str,
        answers: SmokeResult | None = None,
        further: Mapping[str, ExtraResult] | None = None,
    ) -> GateResult:
        """Fail wins over inconclusive, inconclusive over pass."""
        judged, why = self._criteria(answers or SmokeResult(()))
        parts = {"proof of life": (alive.verdict, alive.why), "criteria": (judged, why)}
        parts["smoke cases"] = (smoked, unsent)
        parts |= {name: (part.verdict, part.why) for name, part in (further or {}).items()}
        for verdict in ("fail", "inconclusive"):
            reasons = [f"{name}: {reason}" for name, (each, reason) in parts.items() if each == verdict]
            if reasons:
                keep = smoked == "pass" and self.settings.inconclusive == "keep"
                return GateResult(
                    verdict, "; ".join(reasons), keep and verdict == "inconclusive", self.details, self.records
                )
        return GateResult("pass", "", True, self.details, self.records)

    def _criteria(self, answers: SmokeResult) -> tuple[str, str]:
        criteria, clock = self.context.config.criteria, self.context.clock
        if not criteria.named and not criteria.files:
            return "pass", ""
        if not set(self.activated) & set(self.context.config.migration.functions):
            return "pass", ""  # they judge the migration, and this is an untouched function
        patience = min(max(self.settings.within - (clock.monotonic() - self.began), 0.0), _PATIENCE)
        until = clock.now() + timedelta(seconds=patience)
        self.context.observer.step("gate", detail=f"criteria, until {until:%H:%M:%SZ}")
        own = [case.sample for case in answers.cases if case.sample and case.name not in self.tolerated]
        try:
            result = checks_run.run(
                self.context,
                deployment=self.deployment,
                gate=checks_run.InGate(own, list(self.before), patience, self._rows(answers)),
            )
        except CutoverError as error:
            self.details["checks"] = {"error": error.message}
            return "inconclusive", error.message
        self.details["checks"] = result
        open_ = [one for one in result.criteria if not one.advisory and one.verdict.value != "pass"]
        return result.verdict.value, "; ".join(f"{one.name}: {one.got} (expected: {one.expected})" for one in open_)

    def _rows(self, answers: SmokeResult) -> dict[str, int]:
        """How many gateway rows of each new version the criteria can expect: they leave OPTIONS out. Where no case was
        sent, the first row is one of a caller; the sandbox has none."""
        methods = {case.name: case.method for case in self.context.config.smoke}
        sent = [case for case in answers.cases if not case.skipped]
        own = Counter(case.function for case in sent if case.execution_id and methods[case.name] != "OPTIONS")
        cases = {case.function for case in sent}
        callers = 0 if self.context.environment.embedded else 1
        return {slug: own[slug] if slug in cases else callers for slug in self.activated}
