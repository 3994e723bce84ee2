"""The betting test: its bound, its weights, and what it shows."""

from __future__ import annotations

import itertools

import pytest

from checks import betting

LIMIT, ALPHA = 0.01, 0.05


def test_weights_sum_to_one() -> None:
    """Half with the first look, the rest over the planned time; nothing is left for the time after it."""
    spent = betting.weight(0.0, None, 86_400.0)
    assert spent == 0.5
    for _ in range(288):
        spent += betting.weight(spent, 300.0, 86_400.0)
    assert spent == pytest.approx(1.0)
    assert betting.weight(1.0, 300.0, 86_400.0) == 0.0


def test_expected_factor_at_limit() -> None:
    """A look with exactly the tolerated share changes nothing but the stake: the bet is fair."""
    sums = betting.after(betting.START, LIMIT, LIMIT, 0.5)
    assert sums == pytest.approx((0.5,) * 6)


def test_no_bet_below_nothing() -> None:
    """No bet loses more than its stake, whatever the share."""
    assert all(s >= 0 for s in betting.after((1.0,) * 6, 0.0, LIMIT, 0.0))
    assert all(s <= betting.MOST for s in betting.after((1e12,) * 6, 1.0, LIMIT, 0.5))


def test_wealth_is_fair_for_clumps() -> None:
    """With the unspent weight the mean of the sums is 1 over all courses that eight looks can take, though failures
    come only in clumps of a fifth of a look: that is what bounds a false alarm."""
    share, whole = 0.2, 0.0
    for course in itertools.product((True, False), repeat=8):
        sums, spent, likely = betting.START, 0.0, 1.0
        for n, clump in enumerate(course):
            stake = betting.weight(spent, 300.0 if n else None, 2_400.0)
            sums, spent = betting.after(sums, share if clump else 0.0, LIMIT, stake), spent + stake
            likely *= LIMIT / share if clump else 1 - LIMIT / share
        whole += likely * (betting.evidence(sums) + 1 - spent)
    assert whole == pytest.approx(1.0)


def test_score_is_logarithmic() -> None:
    """0 with nothing against the limit, 100 exactly where it alarms."""
    assert betting.score(betting.START, ALPHA) == 0
    assert betting.score((20.0,) * 6, ALPHA) == 100
    assert betting.score((19.999,) * 6, ALPHA) == 99
    assert betting.score((20.0**0.5,) * 6, ALPHA) == 50


def test_looks_to_an_alarm() -> None:
    """As many looks with that share as the test then really takes."""
    sums = betting.after(betting.START, 0.0, LIMIT, 0.5)
    wanted = betting.looks_to_alarm(sums, 0.3, LIMIT, ALPHA, 0.0)
    assert wanted is not None
    for n in range(wanted):
        assert betting.evidence(sums) < 1 / ALPHA, n
        sums = betting.after(sums, 0.3, LIMIT, 0.0)
    assert betting.evidence(sums) >= 1 / ALPHA
    assert betting.looks_to_alarm(betting.START, 0.0, LIMIT, ALPHA, 0.0) is None
