"""A problem: what it is, the evidence, and the steps that fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from migration.base.command import Steps, inv, then
from migration.base.errors import CutoverError

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """`fix` is what to do and to type, in order; another way follows a label that begins with "or". A `safe` one can
    be carried out by `apply`, which returns what it did.

    kind: one word for the cause, the same for the same cause. subject: the function or secret concerned.
    for_rollback: it is about what the code before needs, not about what is deployed. causes: the kinds that may
    explain it here, where it is known which; None: all that ever do.
    """

    kind: str
    problem: str
    evidence: str
    fix: Steps
    severity: Severity = "error"
    subject: str = ""
    safe: bool = False
    for_rollback: bool = False
    causes: frozenset[str] | None = field(default=None, compare=False)
    apply: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        names = ("kind", "severity", "subject", "problem", "evidence", "fix", "safe")
        return {name: getattr(self, name) for name in names}

    def of_rollback(self, name: str) -> Finding:
        """The same problem of the provider `name` that a rollback needs: a warning until then."""
        problem = f"a rollback needs {name}: {self.problem}"
        return replace(self, severity="warning", problem=problem, for_rollback=True)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings, each in the order in which they were found; the same one only once."""
    once = list(dict.fromkeys(findings))
    return sorted(once, key=lambda each: each.severity != "error")


def unmeasured(what: Sequence[str], error: CutoverError) -> Finding:
    """Probes that could not look, all for the same cause: their silence proves nothing."""
    fix = Steps(then(error.steps, inv("doctor")))
    if len(what) == 1:
        return Finding("unmeasured", f"{what[0]} could not be checked", error.message, fix, "warning")
    evidence = f"not checked: {', '.join(what)}"
    return Finding("unmeasured", error.cause, evidence, fix, "warning")
