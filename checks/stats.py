"""Exact intervals for shares, and intervals for means: pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_TINY = 1e-300


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds, in the unit of the estimate; `level` is the two-sided confidence."""

    estimate: float
    low: float
    high: float
    level: float = 0.95


def exact(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Clopper and Pearson's interval for a share: holds at least `level` whatever the true share is.

    Each bound alone is wrong at most (1 - level) / 2 of the time. ValueError without trials.
    """
    _check(successes, trials, level)
    tail = (1 - level) / 2
    failures = trials - successes
    low = 0.0 if successes == 0 else _solve(lambda p: beta_cdf(p, successes, failures + 1), tail)
    high = 1.0 if failures == 0 else _solve(lambda p: beta_cdf(p, successes + 1, failures), 1 - tail)
    return Interval(successes / trials, low, high, level)


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval: shorter than the exact one and right on average, for figures that decide nothing."""
    _check(successes, trials, level)
    from statistics import NormalDist  # with decimal and random behind it: 5 ms that no other verb should pay

    z = NormalDist().inv_cdf(1 - (1 - level) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return Interval(share, low, 1.0 if successes == trials else min(1.0, centre + half), level)


def mean(average: float, deviation: float, count: int, level: float = 0.95) -> Interval:
    """Student's interval for a mean from the sample's standard deviation; unbounded for fewer than two values."""
    if count < 1:
        raise ValueError("a mean needs at least one value")
    if count == 1:
        return Interval(average, -math.inf, math.inf, level)
    half = student_quantile(1 - (1 - level) / 2, count - 1) * deviation / math.sqrt(count)
    return Interval(average, average - half, average + half, level)


def more(successes: int, trials: int, decided: Callable[[int, int], bool], most: int = 100_000) -> int | None:
    """About how many further requests would settle a share that stays as observed; None above `most`.

    `decided(successes, trials)` says whether that many would be enough; without trials none is taken to fail.
    """
    rate = successes / trials if trials else 1.0
    return first(lambda n: decided(round((trials + n) * rate), trials + n), most)


def first(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest n from 1 to `most` from which on `holds` is true; None when it is not even for `most`."""
    n = 1
    while not holds(n):
        if n >= most:
            return None
        n = min(n * 2, most)
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def quantile(counts: Mapping[float, int], share: float) -> float:
    """The value below which `share` of a weighted sample lies: its smallest value with that much at or below it."""
    total = sum(counts.values())
    if not total:
        raise ValueError("no values")
    reached, rank = 0, max(1, math.ceil(share * total - 1e-9))
    for value in sorted(counts):
        reached += counts[value]
        if reached >= rank:
            return value
    raise AssertionError("the counts add up to their total")


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function, by Lentz's continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    powers = a * math.log(x) + b * math.log1p(-x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + powers)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def student_quantile(share: float, freedom: int) -> float:
    """The quantile of Student's t for 0.5 <= share < 1, through the beta distribution."""
    x = _solve(lambda p: beta_cdf(p, freedom / 2, 0.5), 2 * (1 - share))
    return math.sqrt(freedom * (1 - x) / x) if x > 0 else math.inf


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 / _apart(1 + term * d), _apart(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return result


def _apart(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _solve(rising: Callable[[float], float], target: float) -> float:
    """Where a rising function on [0, 1] takes the value `target`, by bisection down to the last bit."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        low, high = (middle, high) if rising(middle) < target else (low, middle)


def _check(successes: int, trials: int, level: float) -> None:
    if not 0 <= successes <= trials or trials < 1 or not 0 < level < 1:
        raise ValueError(f"no interval for {successes} of {trials} at level {level}")
