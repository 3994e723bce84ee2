"""The sequential test keeps its promises exactly, at every true rate, and needs few requests."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable

import pytest

from migration.base.errors import Refused
from migration.rehearsal.providers.program import OK, Dice, Program
from migration.verify import sequential
from migration.verify.sequential import Sprt, SprtDecision, odds
from tests.support.long import report

RATES = (0.5, 0.7, 0.9, 0.97, 0.99, 1.0)
ROUNDS = 500


def provider(rate: float, seed: int, outcome: str = "503") -> Program:
    """The fault program of the sandbox's provider that succeeds at this rate."""
    return Program(error_rate={outcome: 1 - rate}, seed=seed)


def run(test: Sprt, answers: Iterable[bool]) -> tuple[SprtDecision | None, int, int]:
    """(decision, successes, failures) of answers in order, read no further than needed."""
    successes = failures = 0
    for answer in answers:
        successes, failures = successes + answer, failures + (not answer)
        decision = test.decide(successes, failures)
        if decision or successes + failures >= test.most:
            return decision, successes, failures
    return None, successes, failures


def simulate(test: Sprt, rate: float, seed: int) -> tuple[str | None, int]:
    chance = random.Random(f"{seed}:{rate}")
    decision, good, bad = run(test, (chance.random() < rate for _ in range(test.most)))
    return decision, good + bad


def test_the_steps_are_wald_s_likelihood_ratios() -> None:
    test = Sprt(0.99, 0.95)
    assert test.good == pytest.approx(math.log(0.99 / 0.95))
    assert test.bad == pytest.approx(math.log(0.01 / 0.05))


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.7, 0.9, 0.94, 0.95])
@pytest.mark.parametrize("most", [300, 2000])
def test_at_and_below_reject_it_accepts_at_most_alpha_of_the_time(rate: float, most: int) -> None:
    """Computed over every path the answers can take, so this holds without any luck."""
    assert odds(Sprt(most=most), rate).accept <= 0.05


@pytest.mark.parametrize("rate", [0.99, 0.995, 0.999, 1.0])
@pytest.mark.parametrize("most", [300, 2000])
def test_at_and_above_accept_it_rejects_at_most_beta_of_the_time(rate: float, most: int) -> None:
    assert odds(Sprt(most=most), rate).reject <= 0.05


@pytest.mark.parametrize("accept,reject", [(0.99, 0.95), (0.9, 0.7), (0.999, 0.99), (0.6, 0.4)])
@pytest.mark.parametrize("alpha,beta", [(0.05, 0.05), (0.01, 0.1), (0.2, 0.01)])
def test_the_configured_error_rates_hold_for_other_questions_too(
    accept: float, reject: float, alpha: float, beta: float
) -> None:
    test = Sprt(accept, reject, alpha, beta, most=1500)
    assert odds(test, reject).accept <= alpha
    assert odds(test, accept).reject <= beta


@pytest.mark.parametrize("rate", [0.5, 0.95, 0.97, 0.99, 1.0])
def test_the_three_ends_make_up_all_of_it(rate: float) -> None:
    found = odds(Sprt(), rate)
    assert found.accept + found.reject + found.open == pytest.approx(1.0)
    assert found.requests <= 300


def test_a_good_provider_is_settled_after_about_114_requests() -> None:
    assert odds(Sprt(), 0.99).requests == pytest.approx(114, abs=2)


def test_the_fewest_that_can_settle_it_are_73_successes_or_2_failures() -> None:
    test = Sprt()
    assert (test.decide(72, 0), test.decide(73, 0)) == (None, "accept")
    assert (test.decide(0, 1), test.decide(0, 2)) == (None, "reject")


def test_it_reads_no_further_than_needed_and_never_beyond_the_limit() -> None:
    answers = iter([True] * 100)
    assert run(Sprt(), answers) == ("accept", 73, 0)
    assert len(list(answers)) == 27
    assert run(Sprt(most=20), iter([True] * 100)) == (None, 20, 0)


@pytest.mark.parametrize("rate", RATES)
def test_500_seeded_soaks_go_as_the_exact_odds_say(rate: float) -> None:
    """Within four standard errors of what is computed; the error rates themselves within alpha and beta."""
    exact = odds(Sprt(), rate)
    ends = [simulate(Sprt(), rate, seed) for seed in range(ROUNDS)]
    for name, expected in (("accept", exact.accept), ("reject", exact.reject)):
        measured = sum(decision == name for decision, _ in ends) / ROUNDS
        assert measured == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / ROUNDS) + 1e-9)
    if rate <= 0.95:
        assert sum(decision == "accept" for decision, _ in ends) / ROUNDS <= 0.05
    if rate >= 0.99:
        assert sum(decision == "reject" for decision, _ in ends) / ROUNDS <= 0.05
    mean = sum(requests for _, requests in ends) / ROUNDS
    assert mean == pytest.approx(exact.requests, rel=0.15)


@pytest.mark.long
def test_the_curve_over_many_rates_is_printed_beside_the_fixed_test(capsys: pytest.CaptureFixture[str]) -> None:
    """5,000 seeded soaks a rate against the exact figures."""
    test, rounds, began = Sprt(), 5000, time.monotonic()
    rows = [f"{'rate':>6} {'accept':>14} {'reject':>14} {'open':>14} {'requests':>15}"]
    for rate in (0.5, 0.7, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1.0):
        exact = odds(test, rate)
        ends = [simulate(test, rate, seed) for seed in range(rounds)]
        shares = [sum(decision == name for decision, _ in ends) / rounds for name in ("accept", "reject", None)]
        mean = sum(requests for _, requests in ends) / rounds
        pairs = zip(shares, (exact.accept, exact.reject, exact.open), strict=True)
        cells = " ".join(f"{measured:6.3f} ({true:5.3f})" for measured, true in pairs)
        rows.append(f"{rate:6.3f} {cells} {mean:7.1f} ({exact.requests:5.1f})")
        assert shares[0] == pytest.approx(exact.accept, abs=0.03)
        assert shares[1] == pytest.approx(exact.reject, abs=0.03)
    report("Soak", "sequential test at 11 success rates against exact odds", 11 * rounds, time.monotonic() - began,
           {"requests at 99 %": f"{odds(test, 0.99).requests:.0f}"})  # fmt: skip
    with capsys.disabled():
        print("\nmeasured (exact)\n" + "\n".join(rows))  # noqa: T201


@pytest.mark.long
def test_500_soaks_of_the_sandbox_s_provider_at_each_rate_are_printed_beside_the_fixed_test(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its own dice, seed by seed: the measured error rates are within alpha and beta."""
    test, began = Sprt(), time.monotonic()
    rows = [f"{'rate':>6} {'accepted':>9} {'rejected':>9} {'open':>9} {'requests':>9}"]
    found = {}
    for rate in RATES:
        ends = [_soaked(test, Dice(provider(rate, seed))) for seed in range(ROUNDS)]
        shares = [sum(decision == name for decision, _ in ends) / ROUNDS for name in ("accept", "reject", None)]
        mean = sum(requests for _, requests in ends) / ROUNDS
        rows.append(f"{rate:6.2f} {shares[0]:9.3f} {shares[1]:9.3f} {shares[2]:9.3f} {mean:9.1f}")
        assert shares[0] <= test.alpha or rate > test.reject
        assert shares[1] <= test.beta or rate < test.accept
        found[f"{rate:.0%}"] = f"{mean:.1f}"
    report("Soak", "mean requests of 500 soaks of the sandbox's provider at each rate, a fixed test needs 181",
           ROUNDS * len(RATES), time.monotonic() - began, found)  # fmt: skip
    with capsys.disabled():
        print("\n" + "\n".join(rows))  # noqa: T201


def _soaked(test: Sprt, dice: Dice) -> tuple[str | None, int]:
    decision, good, bad = run(test, (dice.turn().outcome == OK for _ in range(test.most)))
    return decision, good + bad


@pytest.mark.parametrize("accept,reject", [(1.0, 0.95), (0.9, 0.9), (0.9, 0.95), (0.5, 0.0)])
def test_rates_that_no_test_can_tell_apart_are_refused(accept: float, reject: float) -> None:
    with pytest.raises(Refused, match=r"cannot tell"):
        sequential.Sprt(accept, reject)
