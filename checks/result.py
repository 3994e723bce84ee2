"""Verdicts: what one criterion says, and what a list of them comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class CriterionOptions:
    """What config.yaml sets for a criterion; its docstring says which of these it reads. None: its own default."""

    label: str = ""
    at_least: float | None = None
    at_most: float | None = None
    reject: float | None = None
    baseline: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    mean: float | None = None
    requests: int | None = None
    function: str | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    advisory: bool = False
    gate: bool | None = None
    monthly_warning: float = 10.0
    monthly_critical: float = 50.0


@dataclass(frozen=True)
class FunctionVerdict:
    """What a criterion says of one function, where it judges several."""

    function: str
    verdict: Verdict
    got: str


@dataclass(frozen=True)
class Judgement:
    """What a criterion's function returns. `settle`: verbs that would settle an open one, such as `soak`; `functions`:
    the parts of a verdict on several of them."""

    verdict: Verdict
    expected: str
    got: str
    evidence: tuple[str, ...] = ()
    settle: tuple[str, ...] = ()
    functions: tuple[FunctionVerdict, ...] = ()


@dataclass(frozen=True)
class CriterionResult:
    """One criterion's verdict. `error` is why it could not be measured; such a result is inconclusive.

    `evidence` is text; whoever shows it may append commands made of `settle`.
    """

    name: str
    verdict: Verdict
    expected: str
    got: str
    evidence: tuple[Any, ...] = ()
    advisory: bool = False
    measures: str = ""
    window: str = ""
    error: str = ""
    settle: tuple[str, ...] = field(default=(), repr=False)
    label: str = ""
    functions: tuple[FunctionVerdict, ...] = ()


def overall(results: Iterable[CriterionResult]) -> Verdict:
    """The verdict of a list: one failure fails it, one open result keeps it open; without a deciding one it fails."""
    verdicts = {result.verdict for result in results if not result.advisory}
    if not verdicts or Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS
