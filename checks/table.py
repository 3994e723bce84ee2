"""The plan's table, with what was measured in it: before, after, improvement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from checks import stats
from checks.criteria.answers import share
from checks.criteria.latency import spread
from checks.evidence import Artifacts, Evidence, Missing, Spend, together
from checks.result import CriterionOptions

NONE = "not measured"
_UNTRIED = f"{NONE}: smoke cases must run before a deploy"  # afterwards the old code no longer answers


@dataclass(frozen=True)
class TableRow:
    """One line: measured figures with their intervals, and what the plan expected of them."""

    name: str
    before: str
    after: str
    improvement: str
    expected_before: str = ""
    expected_after: str = ""


def table(evidence: Evidence, options: Mapping[str, CriterionOptions] | None = None) -> list[TableRow]:
    """Rows success rate, response time, cost per request and, where a case asked for code or the criterion is named,
    code quality; `options` by criterion, for `expected`."""
    chosen = options or {}
    rows = (
        ("success rate", "success_rate", _rate(evidence)),
        ("response time, p95", "response_time", _time(evidence)),
        (
            chosen.get("cost_per_request", CriterionOptions()).label or "cost per request",
            "cost_per_request",
            _cost(evidence),
        ),
        ("code quality, valid", "code_quality", _quality(evidence)),
    )
    coded = "code_quality" in chosen or any(map(_tried, (evidence.artifacts, evidence.artifacts_before)))
    return [
        _row(name, figures, chosen.get(key, CriterionOptions()))
        for name, key, figures in rows
        if coded or key != "code_quality"
    ]


def _tried(artifacts: Artifacts | Missing) -> int:
    return 0 if isinstance(artifacts, Missing) else artifacts.tried


def _row(name: str, figures: tuple[str, str, str], options: CriterionOptions) -> TableRow:
    plan = options.expected
    return TableRow(name, *figures, plan.get("before", ""), plan.get("after", ""))


def _rate(evidence: Evidence) -> tuple[str, str, str]:
    before, after = together(evidence.before), together(evidence.traffic)
    return _shares((before.successes, before.trials), (after.successes, after.trials))


def _quality(evidence: Evidence) -> tuple[str, str, str]:
    counts = valid_of_delivered(evidence.artifacts_before), valid_of_delivered(evidence.artifacts)
    before, after, improvement = _shares(*counts)
    return _UNTRIED if before == NONE else before, after, improvement


def valid_of_delivered(artifacts: Artifacts | Missing) -> tuple[int, int]:
    """How many artifacts were valid, of how many; none where it was not measured."""
    return (0, 0) if isinstance(artifacts, Missing) else (artifacts.valid, artifacts.delivered)


def _shares(before: tuple[int, int], after: tuple[int, int]) -> tuple[str, str, str]:
    shown = [share(stats.exact(*pair)) if pair[1] else NONE for pair in (before, after)]
    if not before[1] or not after[1]:
        return shown[0], shown[1], ""
    low, middle, high = difference(before, after)
    return shown[0], shown[1], f"{middle * 100:+.1f} points ({low * 100:+.1f} to {high * 100:+.1f})"


def difference(before: tuple[int, int], after: tuple[int, int]) -> tuple[float, float, float]:
    """after - before of two shares with its 95% interval, by Newcombe's method over Wilson's intervals."""
    first, second = stats.wilson(*before), stats.wilson(*after)
    middle = second.estimate - first.estimate
    down = ((second.estimate - second.low) ** 2 + (first.high - first.estimate) ** 2) ** 0.5
    up = ((second.high - second.estimate) ** 2 + (first.estimate - first.low) ** 2) ** 0.5
    return middle - down, middle, middle + up


def _time(evidence: Evidence) -> tuple[str, str, str]:
    before, after = together(evidence.before).seconds, together(evidence.traffic).seconds
    shown = [_p95(seconds) for seconds in (before, after)]
    if not before or not after:
        return shown[0], shown[1], ""
    change = stats.quantile(before, 0.95) - stats.quantile(after, 0.95)
    return shown[0], shown[1], f"{abs(change):.2f}s {'faster' if change >= 0 else 'slower'}"


def _p95(seconds: Mapping[float, int]) -> str:
    if not seconds:
        return NONE
    middle, low, high = spread(seconds, "p95")
    bounds = f"{low:.2f}s to {high:.2f}s" if high < float("inf") else "too few for an upper bound"
    return f"{middle:.2f}s ({bounds})"


def _cost(evidence: Evidence) -> tuple[str, str, str]:
    before, after = cost_per_request(evidence.spend_before), cost_per_request(evidence.spend)
    pairs = ((before, evidence.spend_before), (after, evidence.spend))
    shown = [_unknown(spend) if mean is None else _dollars(mean) for mean, spend in pairs]
    if before is None or after is None:
        return shown[0], shown[1], ""
    change = after.estimate - before.estimate
    return shown[0], shown[1], f"{_usd(abs(change))} {'more' if change > 0 else 'less'}"


def cost_per_request(spend: Spend | Missing) -> stats.Interval | None:
    """USD of one success, on average; None where none was measured: a success without a usage line costs an unknown
    amount."""
    if isinstance(spend, Missing) or not spend.successes or not spend.priced or not spend.lines:
        return None
    return stats.mean(spend.mean, spend.deviation, spend.lines)


def _unknown(spend: Spend | Missing) -> str:
    """Why there is no cost, where the reason is not that nothing was asked."""
    if isinstance(spend, Missing) or not spend.successes:
        return NONE
    return f"{NONE}: no price" if spend.lines else f"{NONE}: no usage line"


def fine(usd: float) -> int:
    """Decimal places for a small amount: five, or as many as show three of its digits."""
    return max(5, 2 - math.floor(math.log10(usd))) if 1e-9 < usd < 1 else 5


def _usd(usd: float) -> str:
    return f"${usd:.{fine(usd)}f}"


def _dollars(mean: stats.Interval) -> str:
    if mean.high == float("inf"):
        return f"{_usd(mean.estimate)} (one request)"
    return f"{_usd(mean.estimate)} ({_usd(max(mean.low, 0))} to {_usd(mean.high)})" if mean.high else "$0"
