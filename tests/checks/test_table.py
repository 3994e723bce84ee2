"""The plan's table holds what was measured, with intervals, beside what was expected."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from checks.criteria.latency import average, spread
from checks.evidence import Artifacts, Evidence, Spend, Traffic, Window
from checks.result import CriterionOptions
from checks.table import NONE, TableRow, difference, table

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVIDENCE = Evidence(
    Window(NOW, NOW),
    traffic=(Traffic("generate-artifact", {200: 198, 503: 2}, {float(n): 2 for n in range(1, 100)}),),
    before=(Traffic("generate-artifact", {200: 60, 503: 40}, {9.0: 60}),),
    spend=Spend(198, 198, total=0.396, mean=0.002, deviation=0.001),
    spend_before=Spend(60, 0),
    artifacts=Artifacts(20, 19, 20, 19),
)


def rows(evidence: Evidence = EVIDENCE, options: Mapping[str, CriterionOptions] | None = None) -> dict[str, TableRow]:
    return {row.name: row for row in table(evidence, options)}


def test_each_row_shows_before_after_and_the_improvement_with_intervals() -> None:
    found = rows()
    assert found["success rate"].before == "60% (49.72% to 69.67%)"
    assert found["success rate"].after == "99% (96.43% to 99.88%)"
    assert found["success rate"].improvement.startswith("+39.0 points (+29")
    assert found["cost per request"].before == f"{NONE}: no usage line"
    assert found["cost per request"].after == "$0.00200 ($0.00186 to $0.00214)"
    assert found["response time, p95"].improvement == "86.00s slower"


def test_what_was_not_measured_is_said_and_has_no_improvement() -> None:
    found = rows()["code quality, valid"]
    assert (found.before, found.improvement) == (f"{NONE}: smoke cases must run before a deploy", "")
    empty = rows(replace(EVIDENCE, before=()))["success rate"]
    assert (empty.before, empty.improvement) == (NONE, "")


def test_no_cost_without_a_price() -> None:
    """Lines that name no cost, of a provider without a price, cost nobody knows what: not $0."""
    assert rows(replace(EVIDENCE, spend=Spend(60, 60, priced=False)))["cost per request"].after == f"{NONE}: no price"


def test_requests_without_usage_lines_have_no_cost() -> None:
    """Neither $0 nor a difference to it; where nothing was asked there is no reason to give."""
    found = rows()["cost per request"]
    assert (found.before, found.improvement) == (f"{NONE}: no usage line", "")
    assert rows(replace(EVIDENCE, spend_before=Spend(0, 0)))["cost per request"].before == NONE


def test_percentile_without_an_upper_bound() -> None:
    few = (Traffic("generate-artifact", {200: 3}, {0.8: 3}),)
    assert rows(replace(EVIDENCE, traffic=few))["response time, p95"].after == "0.80s (too few for an upper bound)"


def test_code_quality_only_where_code_was_asked_for() -> None:
    """An app whose cases expect no code has no such row, unless its config names the criterion."""
    plain = replace(EVIDENCE, artifacts=Artifacts(0, 0, 0, 0))
    assert "code quality, valid" not in rows(plain)
    assert "code quality, valid" in rows(plain, {"code_quality": CriterionOptions()})


def test_what_the_plan_expected_stands_beside_the_figures() -> None:
    options = {"success_rate": CriterionOptions(expected={"before": "50 to 70%", "after": "99%+"})}
    row = {one.name: one for one in table(EVIDENCE, options)}["success rate"]
    assert (row.expected_before, row.expected_after) == ("50 to 70%", "99%+")


def test_the_difference_of_two_shares_is_newcombe_s_interval() -> None:
    """His own example: 56 of 70 against 48 of 80 differ by 0.2 (0.0524 to 0.3339)."""
    assert difference((48, 80), (56, 70)) == pytest.approx((0.0524, 0.2, 0.3339), abs=5e-5)


def test_a_percentile_has_the_order_statistics_around_it() -> None:
    """Of 1 to 100: 90 of 100 at or below may be 95%, 89 surely are less, and only 100 of 100 surely as much."""
    middle, low, high = spread({float(n): 1 for n in range(1, 101)}, "p95")
    assert middle == 95.0
    assert (low, high) == (90.0, 100.0)
    assert spread({1.0: 3}, "p95") == (1.0, 1.0, float("inf"))


def test_the_mean_of_a_weighted_sample_is_that_of_its_values() -> None:
    found = average({1.0: 2, 4.0: 1})
    assert found.estimate == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0 + 4.302652729749462 * 3**0.5 / 3**0.5)
