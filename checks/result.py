"""Verdicts: what one criterion says, what a list of them comes to, and what repeated readings come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Options:
    """What config.yaml may tell a criterion; which of these it reads, its docstring says. None: its own default."""

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
class Result:
    """One criterion's verdict. `error` is why it could not be measured; such a result is inconclusive."""

    name: str
    verdict: Verdict
    expected: str
    got: str
    evidence: tuple[str, ...] = ()
    advisory: bool = False
    measures: str = ""
    window: str = ""
    error: str = ""


@dataclass(frozen=True)
class Finding:
    """What a criterion's function returns; the name, window and the rest are added around it."""

    verdict: Verdict
    expected: str
    got: str
    evidence: tuple[str, ...] = ()


def overall(results: Iterable[Result]) -> Verdict:
    """The verdict of a list: nothing that decides is a failure, and whatever is not settled is never a pass."""
    verdicts = {result.verdict for result in results if not result.advisory}
    if not verdicts or Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


def streak(readings: list[Result], options: Options) -> Result:
    """One verdict of repeated readings, oldest first; the newest is what is shown.

    More than `failures` bad ones fail; the last `in_a_row` measured ones all good pass. Errors of measuring are
    left out of both counts; more than `errors` of them at the end are said. ValueError without readings.
    """
    if not readings:
        raise ValueError("no readings")
    newest, measured = readings[-1], [reading for reading in readings if not reading.error]
    bad = sum(reading.verdict is Verdict.FAIL for reading in measured)
    good = _run(measured)
    if bad > options.failures:
        return replace(newest, verdict=Verdict.FAIL, evidence=_said(newest, options, bad, good))
    if good >= options.in_a_row and not newest.error:
        return replace(newest, verdict=Verdict.PASS)
    silent = next((n for n, reading in enumerate(reversed(readings)) if not reading.error), len(readings))
    words = _said(newest, options, bad, good)
    if silent > options.errors:
        words = (*words, f"could not be measured {silent} times in a row; {options.errors} are tolerated")
    return replace(newest, verdict=Verdict.INCONCLUSIVE, evidence=words)


def _run(measured: list[Result]) -> int:
    good = 0
    while good < len(measured) and measured[-1 - good].verdict is Verdict.PASS:
        good += 1
    return good


def _said(newest: Result, options: Options, bad: int, good: int) -> tuple[str, ...]:
    words = newest.evidence
    if bad and options.failures:
        words = (*words, f"{bad} bad readings, {options.failures} tolerated")
    if options.in_a_row > 1:
        words = (*words, f"{good} good readings in a row of the {options.in_a_row} asked for")
    return words
