"""The gate: proof of life, smoke cases, signals and criteria decide whether the new code stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError
from migration.clients.supabase_types import Function
from migration.logs.reader import LogReader
from migration.verify import checks_run, proof, samples, smoke
from migration.verify.proof import Proof
from migration.verify.smoke import SmokeResult

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment

_PATIENCE = 180.0


@dataclass(frozen=True)
class GateResult:
    """`verdict`: pass, fail or inconclusive. `keep`: whether inconclusive leaves the new code live."""

    verdict: str
    why: str
    keep: bool
    details: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        cases = self.details.get("smoke")
        counted = samples.counts(cases.samples) if isinstance(cases, SmokeResult) else {}
        return {"verdict": self.verdict, "why": self.why} | ({"artifacts": counted} if counted.get("tried") else {})


def run(
    context: Context,
    deployment: Deployment,
    activated: Mapping[str, tuple[str, int]],
    before: Sequence[Function],
) -> GateResult:
    """Judges what this deployment made live, by its own rows alone. `activated`: slug to (function id, version)."""
    clock, settings = context.clock, context.config.gate
    context.observer.step("gate", detail="proof of life")
    clock.sleep(settings.delay)
    began, reader = clock.monotonic(), LogReader.of(context)
    alive = proof.prove(context, activated, reader)
    details: dict[str, Any] = {"proof": alive.as_json()}
    if alive.verdict == "fail":
        return GateResult("fail", alive.why, False, details)
    answers, smoked = _smoke(context, activated, details)
    if smoked == "fail":
        return GateResult("fail", _failed_cases(answers), False, details)
    if alive.verdict == "inconclusive":
        alive = _by_smoke(context, alive, answers, reader, began)
        details["proof"] = alive.as_json()
    left = settings.within - (clock.monotonic() - began)
    judged, why = _criteria(context, deployment, answers, before, min(max(left, 0.0), _PATIENCE), details)
    return _sum(context, alive, smoked, judged, why, details)


def _sum(context: Context, alive: Proof, smoked: str, judged: str, why: str, details: Mapping[str, Any]) -> GateResult:
    """Fail wins over inconclusive, inconclusive over pass."""
    parts = {"proof of life": (alive.verdict, alive.why), "criteria": (judged, why)}
    parts["smoke cases"] = (smoked, "no smoke case could be run" if smoked == "inconclusive" else "")
    for verdict in ("fail", "inconclusive"):
        reasons = [f"{name}: {reason}" for name, (each, reason) in parts.items() if each == verdict]
        if reasons:
            keep = smoked == "pass" and context.config.gate.inconclusive == "keep"
            return GateResult(verdict, "; ".join(reasons), keep and verdict == "inconclusive", details)
    return GateResult("pass", "", True, details)


def _smoke(context: Context, activated: Mapping[str, Any], details: dict[str, Any]) -> tuple[SmokeResult | None, str]:
    """The cases of the functions that were deployed, and of those that must have stayed as they were."""
    about = {*activated, *context.config.migration.unchanged}
    names = [case.name for case in context.config.smoke if case.function in about]
    if not names:
        return None, "pass"
    context.observer.step("gate", detail="smoke cases")
    try:
        found = smoke.run(context, cases=names, lines=False)
    except CutoverError as error:
        details["smoke"] = {"error": error.message}
        return None, "inconclusive"
    details["smoke"] = found
    return found, "pass" if all(case.ok for case in found.cases) else "fail"


def _failed_cases(answers: SmokeResult | None) -> str:
    failed = [case for case in (answers.cases if answers else ()) if not case.ok]
    first = str(failed[0].failures[0]) if failed[0].failures else failed[0].skipped or "no answer"
    return f"smoke case {', '.join(case.name for case in failed)} failed ({first})"


def _by_smoke(context: Context, alive: Proof, answers: SmokeResult | None, reader: LogReader, began: float) -> Proof:
    """Where OPTIONS answers name no execution, the smoke cases' own requests are the proof."""
    found = proof.adopt(alive.probes, proof.executions(answers.cases if answers else ()))
    end, wait = began + context.config.gate.within, 0.5
    since, outage = context.clock.now(), ""
    while found:
        outage = proof.look_up(reader, found, since, context.clock.now())
        found = [probe for probe in found if not probe.proven and probe.executions]
        if context.clock.monotonic() + wait > end:
            break
        if found:
            context.clock.sleep(wait)
            wait = min(wait * 1.6, 10.0)
    return proof.judge(alive.probes, outage)


def _criteria(
    context: Context,
    deployment: Deployment,
    answers: SmokeResult | None,
    before: Sequence[Function],
    patience: float,
    details: dict[str, Any],
) -> tuple[str, str]:
    if not context.config.criteria.named and not context.config.criteria.files:
        return "pass", ""
    context.observer.step("gate", detail="criteria")
    given = answers.samples if answers else []
    try:
        found = checks_run.run(
            context, deployment=deployment, gate=True, smoke=given, before=list(before), patience=patience
        )
    except CutoverError as error:
        details["checks"] = {"error": error.message}
        return "inconclusive", error.message
    details["checks"] = found
    open_ = [one for one in found.criteria if not one.advisory and one.verdict.value != "pass"]
    return found.verdict.value, "; ".join(f"{one.name}: {one.got} (wanted: {one.expected})" for one in open_)
