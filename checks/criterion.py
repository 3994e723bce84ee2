"""A success criterion: a name, what it measures, and a function from evidence to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from checks.evidence import Evidence, Missing, Offender
from checks.result import CriterionOptions, CriterionResult, Judgement, Verdict

T = TypeVar("T")
GateRole = Literal["decides", "vetoes", "reports"]
Register = Callable[["Judge"], "Judge"]
_SHOWN = 5


class Unmeasured(Exception):
    """Raised inside a criterion when a part of the evidence is missing; `Criterion.judge` turns it into a result."""


Judge = Callable[[Evidence, CriterionOptions], Judgement]


@dataclass(frozen=True)
class Criterion:
    """`gate`: whether its verdict decides within a deploy's gate, only its `fail` does (`vetoes`), or none."""

    name: str
    measures: str
    gate: GateRole
    function: Judge

    def judge(self, evidence: Evidence, options: CriterionOptions | None = None) -> CriterionResult:
        """Never raises for missing evidence: unmeasured is inconclusive, with the reason."""
        chosen = options or CriterionOptions()
        try:
            judgement = self.function(evidence, chosen)
        except Unmeasured as error:
            judgement = Judgement(Verdict.INCONCLUSIVE, "to be measured", f"not measured: {error}")
            return self._result(judgement, evidence, chosen, str(error))
        except Exception as error:  # noqa: BLE001 - a bug in a user's own criterion says nothing about the service
            words = f"the criterion raised {type(error).__name__}: {error}"
            return self._result(Judgement(Verdict.INCONCLUSIVE, "a verdict", words), evidence, chosen, words)
        return self._result(judgement, evidence, chosen)

    def _result(
        self, judgement: Judgement, evidence: Evidence, options: CriterionOptions, error: str = ""
    ) -> CriterionResult:
        advisory = options.advisory or (evidence.gate and not self._binds(judgement.verdict, options))
        return CriterionResult(
            self.name, judgement.verdict, judgement.expected, judgement.got, judgement.evidence, advisory,
            self.measures, str(evidence.window), error, judgement.settle, options.label, judgement.functions,
        )  # fmt: skip

    def _binds(self, verdict: Verdict, options: CriterionOptions) -> bool:
        if options.gate is not None:
            return options.gate
        return self.gate == "decides" or (self.gate == "vetoes" and verdict is Verdict.FAIL)


REGISTRY: dict[str, Criterion] = {}


def criterion(name: str, *, gate: GateRole = "reports", registry: dict[str, Criterion] = REGISTRY) -> Register:
    """Make a function a criterion. Its docstring's first line is what it measures. ValueError for a name in use."""

    def register(function: Judge) -> Judge:
        if name in registry and registry[name].function.__code__.co_filename != function.__code__.co_filename:
            raise ValueError(f"there is already a criterion named {name}")
        lines = (function.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"the criterion {name} needs a docstring that says what it measures")
        registry[name] = Criterion(name, lines[0], gate, function)
        return function

    return register


def need(part: T | Missing | None, what: str = "") -> T:
    """A part of the evidence, or Unmeasured with the reason why it is not there."""
    if isinstance(part, Missing):
        raise Unmeasured(part.why)
    if part is None:
        raise Unmeasured(f"{what or 'this'} was not measured")
    return part


def passed(expected: str, got: str, *evidence: str) -> Judgement:
    return Judgement(Verdict.PASS, expected, got, evidence)


def failed(expected: str, got: str, *evidence: str, settle: Iterable[str] = ()) -> Judgement:
    return Judgement(Verdict.FAIL, expected, got, evidence, tuple(settle))


def unclear(expected: str, got: str, *evidence: str, settle: Iterable[str] = ()) -> Judgement:
    """`settle`: verbs that would settle it, such as `smoke`."""
    return Judgement(Verdict.INCONCLUSIVE, expected, got, evidence, tuple(settle))


def named(offenders: Iterable[Offender]) -> tuple[str, ...]:
    """The first few offending requests as lines, and how many more there are."""
    lines = [str(offender) for offender in offenders]
    return (*lines[:_SHOWN], *([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []))
