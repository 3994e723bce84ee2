"""What a run shows: its steps, what went wrong, and each function call beside its log rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from migration.base.command import Step as NextStep

ProblemKind = Literal[
    "unavailable", "session", "failed_requests", "slow", "exceptions", "not_fixed", "blank", "unchanged", "not_found",
    "expectation", "console_errors", "accessibility", "routed", "cost_logged", "model",
]  # fmt: skip
WORDS: dict[ProblemKind, str] = {
    "unavailable": "503",
    "session": "signed out",
    "failed_requests": "failed request",
    "slow": "slow",
    "exceptions": "uncaught exception",
    "not_fixed": "not fixed",
    "blank": "blank",
    "unchanged": "unchanged",
    "not_found": "not found",
    "expectation": "not as expected",
    "console_errors": "console error",
    "accessibility": "accessibility",
    "routed": "route",
    "cost_logged": "cost not logged",
    "model": "model",
}


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong, whatever it led to. `step` counts from 1; 0 belongs to none."""

    kind: ProblemKind
    step: int
    message: str
    request_id: str = ""

    def __str__(self) -> str:
        return f"{WORDS[self.kind]}: {self.message}"

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "label": WORDS[self.kind]}


@dataclass(frozen=True)
class StepResult:
    """One step. `ok` is None for one that was not run because an earlier one failed.

    `cause`: the problem whose consequence its failure is, where it is one.
    `looked_for` and `there`: for a failed step, and the accessible tree around the place. `screenshot`: a file.
    """

    number: int
    name: str
    ok: bool | None
    seconds: float = 0.0
    problem: str = ""
    cause: str = ""
    looked_for: str = ""
    there: tuple[str, ...] = ()
    screenshot: str = ""


@dataclass(frozen=True)
class CallResult:
    """One function call of the page. None where the logs did not show it (yet), or nothing was asked."""

    step: int
    function: str
    status: int
    seconds: float
    request_id: str = ""
    execution_id: str = ""
    version: str = ""
    routed: bool | None = None
    cost_logged: bool | None = None
    model: str = ""
    unproven: str = ""


@dataclass(frozen=True)
class E2eResult:
    """`cost`: the most that it could cost, in USD. `trace` and `video` are kept of a run that failed."""

    url: str
    steps: tuple[StepResult, ...]
    problems: tuple[Problem, ...]
    calls: tuple[CallResult, ...]
    console_errors: tuple[str, ...]
    screenshots: tuple[str, ...]
    cost: float
    seconds: float
    folder: str
    trace: str = ""
    video: str = ""
    next: tuple[NextStep, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not self.problems and all(step.ok for step in self.steps)

    @property
    def unproven(self) -> Sequence[CallResult]:
        return [call for call in self.calls if call.unproven]

    @property
    def exit_code(self) -> int:
        """4 where everything worked and the logs do not show it yet."""
        return 1 if not self.ok else 4 if self.unproven else 0

    @property
    def verdict(self) -> str:
        return {0: "pass", 1: "fail", 4: "inconclusive"}[self.exit_code]

    @property
    def why(self) -> str:
        """One line: the first problems, or what is not proven."""
        if self.problems:
            return "; ".join(self.told(one) for one in self.problems[:3])
        return "; ".join(dict.fromkeys(call.unproven for call in self.unproven))

    def told(self, problem: Problem) -> str:
        """A problem after the number and name of its step."""
        if not 0 < problem.step <= len(self.steps):
            return str(problem)
        return f"step {problem.step} ({self.steps[problem.step - 1].name}): {problem}"
