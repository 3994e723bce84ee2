"""Verdicts: what one criterion says, what a list of them comes to, and what repeated readings come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    failures: int = 0
    in_a_row: int = 1
    errors: int = 4
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


def streak(readings: list[CriterionResult], options: CriterionOptions) -> CriterionResult:
    """One verdict of repeated readings, oldest first; the newest is what is shown.

    More than `failures` bad ones fail; the last `in_a_row` measured ones all good pass. Errors of measuring are
    left out of both counts; more than `errors` of them at the end are named. ValueError without readings.
    """
    if not readings:
        raise ValueError("no readings")
    newest, measured = readings[-1], [reading for reading in readings if not reading.error]
    bad = sum(reading.verdict is Verdict.FAIL for reading in measured)
    good = _run(measured)
    counts = _counts(options, bad, good)
    if bad > options.failures:
        return replace(newest, verdict=Verdict.FAIL, evidence=(*newest.evidence, *counts))
    if good >= options.in_a_row and not newest.error:
        return replace(newest, verdict=Verdict.PASS)
    silent = next((n for n, reading in enumerate(reversed(readings)) if not reading.error), len(readings))
    if silent > options.errors:
        counts = (*counts, f"could not be measured {silent} times in a row; {options.errors} are tolerated")
    return replace(newest, verdict=Verdict.INCONCLUSIVE, evidence=(*newest.evidence, *counts))


def _run(measured: list[CriterionResult]) -> int:
    good = 0
    while good < len(measured) and measured[-1 - good].verdict is Verdict.PASS:
        good += 1
    return good


def _counts(options: CriterionOptions, bad: int, good: int) -> tuple[str, ...]:
    """How many readings were bad and good, where the criterion counts them."""
    failures = (f"{bad} bad readings, {options.failures} tolerated",) if bad and options.failures else ()
    in_a_row = (f"{good} of {options.in_a_row} good readings in a row",) if options.in_a_row > 1 else ()
    return failures + in_a_row
