"""`inv doctor`: each problem with its evidence and the commands that fix it, in the order of what to do first.

It reads only; `--fix` applies what is safe.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migration.base.command import Step, inv
from migration.base.errors import CutoverError, Interrupted, Refused
from migration.base.finding import Finding, unmeasured
from migration.base.numbers import count
from migration.context import Context
from migration.inspect import (
    causes,
    diagnose_access,
    diagnose_costs,
    diagnose_functions,
    diagnose_ledger,
    diagnose_traffic,
)
from migration.inspect.examination import Examination

FindingProbe = Callable[[Examination], Iterable[Finding]]
PROBES: dict[str, FindingProbe] = {
    "the secrets and the provider": diagnose_access.find,
    "the ledger": diagnose_ledger.find,
    "the functions": diagnose_functions.find,
    "the logs": diagnose_traffic.find,
    "the workers": diagnose_access.stale,
    "the costs": diagnose_costs.find,
    "the rate limits": diagnose_access.quotas,
    "the checkout": diagnose_functions.checkout,
}
Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class DoctorResult:
    """`findings`, first things first; `fixed` is what `--fix` did about which problem; `probes` what was looked at."""

    findings: tuple[Finding, ...]
    probes: tuple[str, ...]
    fixed: tuple[dict[str, Any], ...] = ()
    message: str = ""

    @property
    def exit_code(self) -> int:
        """1 with an error found or a fix that failed, 4 where something could not be looked at, else 0: warnings alone
        are no failure."""
        if any(each.severity == "error" for each in self.findings) or any(each.get("failed") for each in self.fixed):
            return 1
        return 4 if any(each.kind in ("unmeasured", "logs", "unreachable") for each in self.findings) else 0


def run(
    context: Context, fix: Confirm | None = None, also: Mapping[str, FindingProbe] | None = None,
    offers: Sequence[Finding] = (),
) -> DoctorResult:  # fmt: skip
    """Examine the environment. With `fix`, apply the safe fixes, each after asking, and examine again.

    `also` are probes of rooms above this one; `offers`, what `fix` asks about though nothing is wrong.
    """
    probes = {**PROBES, **(also or {})}
    if fix is None:
        with contextlib.suppress(CutoverError):  # a ledger that cannot be reached is a finding
            context.ledger.glance()
    else:
        probes["the refs"] = diagnose_ledger.takes_refs
    findings = examine(context, probes)
    if fix is None:
        return DoctorResult(tuple(findings), tuple(probes))
    fixed = tuple(_apply(findings, fix))
    left = examine(context, probes) if any(each["ok"] for each in fixed) else findings
    done = tuple(_apply(offers, fix, context.observer.note))
    return DoctorResult(tuple(left), tuple(probes), (*fixed, *done), _summary(fixed, left))


def _summary(fixed: tuple[dict[str, Any], ...], left: list[Finding]) -> str:
    """What `--fix` did and what it left to a person, and why."""
    if not fixed and not left:
        return ""
    done = sum(each["ok"] for each in fixed)
    did = "Applied 1 fix." if done == 1 else f"Applied {done} fixes." if done else "Nothing was applied."
    if not left:
        return did
    declined = {each["problem"] for each in fixed if not each["ok"]}
    parts = [
        (
            sum(each.problem not in declined for each in left),
            "not safe to apply automatically: follow the commands above",
        ),
        (sum(each.problem in declined for each in left), "not done (see above)"),
    ]
    rest = "; ".join(f"{number} {why}" for number, why in parts if number)
    return f"{did} {count(len(left), 'problem')} left: {rest}."


def examine(context: Context, probes: dict[str, FindingProbe]) -> list[Finding]:
    """The findings of every probe, one a cause; a probe that fails is a finding itself, and the others go on."""
    if not context.environment.project_ref:
        raise Refused(
            f"{context.environment.name} has no project_ref: there is nothing to examine.", inv("doctor", env="prod")
        )
    exam = Examination(context)
    findings: list[Finding] = []
    failed: dict[str, tuple[list[str], CutoverError]] = {}
    for name, probe in probes.items():
        context.observer.step("doctor", detail=name)
        try:
            findings += probe(exam)
        except CutoverError as error:
            failed.setdefault(error.cause, ([], error))[0].append(name)
    findings += [unmeasured(names, error) for names, error in failed.values() if not _known(findings, error)]
    findings = causes.first_things_first(findings)
    context.observer.done("doctor", detail=count(len(findings), "finding"))
    return findings


def _known(findings: Iterable[Finding], error: CutoverError) -> bool:
    """Whether a finding reports this very failure already."""
    return any(each.evidence == error.message for each in findings)


def _apply(
    findings: Iterable[Finding], confirm: Confirm, announce: Callable[[str], None] | None = None
) -> Iterator[dict[str, Any]]:
    """`announce`: shows what is done before it is done, where nothing else did."""
    for each in findings:
        if each.apply is None or not each.safe:
            continue
        did, done, failed = "not done: not confirmed", False, False
        steps: tuple[Step, ...] = ()
        if confirm(f"{each.fix} ({each.problem})"):
            if announce:
                announce(f"{each.problem}: {each.fix}")
            try:
                did, done = each.apply(), True
            except Interrupted:
                raise
            except (CutoverError, OSError) as error:
                did, failed = f"failed: {error}", True
                steps = error.steps if isinstance(error, CutoverError) else ()
        entry = {"problem": each.problem, "fix": each.fix, "did": did, "ok": done, "failed": failed}
        yield {**entry, "next": list(steps)}
