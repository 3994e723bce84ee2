"""Exact intervals: against reference values, exact identities, and their own promise counted out."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import stats

# successes, trials, low, high at 95%, computed with SciPy's beta quantiles
CLOPPER_PEARSON = [
    (0, 1, 0.0, 0.975),
    (1, 1, 0.025, 1.0),
    (0, 3, 0.0, 0.7075982261787133),
    (2, 3, 0.09429932405024609, 0.9915962413403874),
    (7, 10, 0.3475471499400027, 0.9332604888222655),
    (59, 59, 0.9393910990496601, 1.0),
    (95, 100, 0.8871650888945373, 0.9835681208179479),
    (298, 300, 0.9761265024278264, 0.9991916135872002),
    (50, 10000, 0.003713306179555488, 0.006586626429079918),
]
WILSON = [
    (0, 10, 0.0, 0.27753279986288926),
    (7, 10, 0.39677814746114526, 0.892208732593699),
    (95, 100, 0.8882495307680809, 0.978456320845632),
    (10, 10, 0.7224672001371109, 1.0),
]
STUDENT = [(1, 12.706204736174694), (2, 4.302652729749462), (5, 2.5705818356363146), (30, 2.0422724563012378)]
STUDENT += [(1000, 1.9623390808264083)]


def binomial(k: int, n: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize(("successes", "trials", "low", "high"), CLOPPER_PEARSON)
def test_the_exact_interval_is_the_one_that_scipy_computes(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = stats.exact(successes, trials)
    assert found.low == pytest.approx(low, abs=5e-13)
    assert found.high == pytest.approx(high, abs=5e-13)


@pytest.mark.parametrize(("successes", "trials", "low", "high"), WILSON)
def test_the_wilson_interval_is_the_one_that_scipy_computes(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = stats.wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("freedom", "value"), STUDENT)
def test_student_quantiles_are_those_of_the_tables(freedom: int, value: float) -> None:
    assert stats.student_quantile(0.975, freedom) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(("n", "level"), [(1, 0.95), (10, 0.95), (72, 0.95), (368, 0.95), (299, 0.90)])
def test_without_a_failure_the_lower_bound_is_the_nth_root_of_the_tail(n: int, level: float) -> None:
    assert stats.exact(n, n, level).low == pytest.approx(((1 - level) / 2) ** (1 / n), rel=1e-12)


@given(st.integers(1, 400), st.data())
@settings(max_examples=60, deadline=None)
def test_the_interval_mirrors_holds_the_estimate_and_its_bounds_have_the_tails_they_claim(
    n: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, n))
    found, mirror = stats.exact(k, n), stats.exact(n - k, n)
    assert found.low <= found.estimate <= found.high
    assert found.low == pytest.approx(1 - mirror.high, abs=1e-12)
    if k:
        assert sum(binomial(i, n, found.low) for i in range(k, n + 1)) == pytest.approx(0.025, rel=1e-8)
    if k < n:
        assert sum(binomial(i, n, found.high) for i in range(k + 1)) == pytest.approx(0.025, rel=1e-8)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.7, 0.9, 0.97, 0.99])
@pytest.mark.parametrize("n", [10, 50, 120])
def test_the_exact_interval_covers_the_truth_at_least_as_often_as_it_promises(n: int, share: float) -> None:
    """Counted over every possible outcome, not sampled."""
    covered = [k for k in range(n + 1) if stats.exact(k, n).low <= share <= stats.exact(k, n).high]
    assert sum(binomial(k, n, share) for k in covered) >= 0.95


def test_a_mean_of_one_value_has_no_bounds_and_of_two_it_has() -> None:
    assert stats.mean(3.0, 0.0, 1).high == math.inf
    assert stats.mean(3.0, 1.0, 4).high == pytest.approx(3.0 + 3.182446305284263 / 2)


def test_more_finds_the_number_of_further_requests_and_gives_up_when_none_would_do() -> None:
    assert stats.more(10, 10, lambda k, n: stats.exact(k, n).low >= 0.95) == 62
    assert stats.more(99, 100, lambda k, n: stats.exact(k, n).low >= 0.99, most=5_000) is None


def test_a_quantile_of_a_weighted_sample_is_the_smallest_value_with_that_much_at_or_below_it() -> None:
    counts = {1.0: 50, 2.0: 45, 9.0: 5}
    assert [stats.quantile(counts, share) for share in (0.5, 0.51, 0.95, 0.96, 1.0)] == [1.0, 2.0, 2.0, 9.0, 9.0]
    with pytest.raises(ValueError, match="no values"):
        stats.quantile({}, 0.5)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_an_impossible_count_has_no_interval(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no interval"):
        stats.exact(successes, trials)
