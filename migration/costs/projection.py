"""What next month will cost: for the volumes of the config, and if the measured trend goes on; against the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migration.base.durations import show
from migration.config.settings import Budget

MONTH = 30  # days
ENOUGH = 3  # completed days needed for a trend


@dataclass(frozen=True)
class Volume:
    """USD a month for a number of requests a day, at the measured mean."""

    per_day: int
    cost: float


@dataclass(frozen=True)
class Projection:
    """`trend` is USD for the next 30 days, `slope` USD a day a day; None without anything measured."""

    volumes: dict[str, Volume]
    trend: float | None
    slope: float | None
    basis: str


@dataclass(frozen=True)
class Gauge:
    """The highest known figure against the limits: `ok`, `warning`, `critical`, or `unknown` without any figure."""

    warning: float
    critical: float
    spent: float | None
    expected: float | None
    level: str


def project(budget: Budget, mean: float | None, days: Sequence[float], partial: tuple[float, float]) -> Projection:
    """From the mean cost of a request, the cost of completed days in order, and (USD, hours) of the rest."""
    volumes = {name: Volume(count, count * MONTH * mean) for name, count in budget.volumes.items()} if mean else {}
    if len(days) >= ENOUGH:
        slope = _slope(days)
        last = sum(days) / len(days) + slope * (len(days) - 1) / 2
        coming = (max(0.0, last + slope * ahead) for ahead in range(1, MONTH + 1))
        return Projection(volumes, sum(coming), slope, f"{len(days)} completed days")
    cost, hours = sum(days) + partial[0], 24 * len(days) + partial[1]
    if hours <= 0 or cost <= 0:
        return Projection(volumes, None, None, "nothing measured yet")
    return Projection(volumes, cost / hours * 24 * MONTH, None, f"{show(hours * 3600)} at an even rate")


def gauge(budget: Budget, spent: float | None, projection: Projection) -> Gauge:
    """What the month has cost so far, or what the trend says, whichever is worse."""
    known = [figure for figure in (spent, projection.trend) if figure is not None]
    level = _level(budget, max(known)) if known else "unknown"
    return Gauge(budget.monthly_warning, budget.monthly_critical, spent, projection.trend, level)


def _level(budget: Budget, cost: float) -> str:
    return "critical" if cost >= budget.monthly_critical else "warning" if cost >= budget.monthly_warning else "ok"


def _slope(days: Sequence[float]) -> float:
    """Least squares, USD a day a day."""
    middle, mean = (len(days) - 1) / 2, sum(days) / len(days)
    spread = sum((at - middle) ** 2 for at in range(len(days)))
    return sum((at - middle) * (cost - mean) for at, cost in enumerate(days)) / spread
