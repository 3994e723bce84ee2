from __future__ import annotations

import pytest

from migration.config.settings import Budget
from migration.costs.projection import gauge, project

BUDGET = Budget(monthly_warning=10, monthly_critical=50, volumes={"light": 100, "heavy": 2000})


def test_volumes_cost_the_mean_of_an_artifact_for_thirty_days() -> None:
    found = project(BUDGET, 0.005, [], (0.0, 0.0))
    assert found.volumes["light"].cost == pytest.approx(15.0) and found.volumes["heavy"].per_day == 2000


def test_without_a_mean_no_volume_is_priced() -> None:
    found = project(BUDGET, None, [], (0.0, 0.0))
    assert found.volumes == {} and found.trend is None


def test_an_even_spend_goes_on_evenly() -> None:
    found = project(BUDGET, 0.005, [2.0] * 7, (0.0, 0.0))
    assert found.trend == pytest.approx(60.0) and found.slope == pytest.approx(0)


def test_a_growing_spend_goes_on_growing() -> None:
    found = project(BUDGET, 0.005, [1.0, 2.0, 3.0], (0.0, 0.0))
    assert found.slope == pytest.approx(1.0)
    assert found.trend == pytest.approx(sum(range(4, 34)))


def test_a_falling_spend_does_not_become_an_income() -> None:
    found = project(BUDGET, 0.005, [3.0, 2.0, 1.0], (0.0, 0.0))
    assert found.trend == pytest.approx(0)


def test_less_than_three_days_are_scaled_by_the_hour_and_say_so() -> None:
    found = project(BUDGET, 0.005, [], (0.5, 6.0))
    assert found.trend == pytest.approx(60.0) and found.basis == "6h at an even rate"


@pytest.mark.parametrize(
    ("spent", "rate", "level"),
    [(None, 0.1, "ok"), (10.0, 0.1, "warning"), (1.0, 0.5, "warning"), (50.0, 0.1, "critical"), (None, 0.0, "unknown")],
)
def test_the_gauge_shows_the_worse_of_spent_and_expected(spent: float | None, rate: float, level: str) -> None:
    assert gauge(BUDGET, spent, project(BUDGET, 0.005, [], (rate, 24.0))).level == level
