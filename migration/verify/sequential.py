"""Wald's sequential test between two success rates: it stops as soon as the answers so far settle the question."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from checks import stats
from migration.base.errors import Refused

Decision = Literal["accept", "reject"]


@dataclass(frozen=True)
class Sprt:
    """Is the success rate rather `accept` than `reject`? At most `most` requests.

    The bounds are 1/alpha and beta, not Wald's approximations: with them a rate at or below `reject` is accepted at
    most `alpha` of the time and one at or above `accept` rejected at most `beta`, whatever the overshoot.
    """

    accept: float = 0.99
    reject: float = 0.95
    alpha: float = 0.05
    beta: float = 0.05
    most: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.reject < self.accept < 1:
            raise Refused(
                f"a soak cannot tell {self.accept:g} from {self.reject:g}: both must lie between 0 and 1, reject below",
                "set soak.accept and soak.reject in config.yaml",
            )

    @property
    def good(self) -> float:
        """What a success adds to the logarithm of the likelihood ratio."""
        return math.log(self.accept / self.reject)

    @property
    def bad(self) -> float:
        """What a failure adds; it is negative."""
        return math.log((1 - self.accept) / (1 - self.reject))

    def decide(self, successes: int, failures: int) -> Decision | None:
        """The verdict on these counts, if they settle it. Only ever ask in the order of the requests."""
        ratio = successes * self.good + failures * self.bad
        if ratio >= -math.log(self.alpha):
            return "accept"
        return "reject" if ratio <= math.log(self.beta) else None

    def run(self, answers: Iterable[bool]) -> tuple[Decision | None, int, int]:
        """(decision, successes, failures) of answers in order, read no further than needed."""
        successes = failures = 0
        for answer in answers:
            successes, failures = successes + answer, failures + (not answer)
            decision = self.decide(successes, failures)
            if decision or successes + failures >= self.most:
                return decision, successes, failures
        return None, successes, failures


@dataclass(frozen=True)
class Odds:
    """What a test does at one true rate, exactly: probabilities of its three ends and the mean number of requests."""

    rate: float
    accept: float
    reject: float
    open: float
    requests: float


def odds(test: Sprt, rate: float) -> Odds:
    """Computed over every path, not simulated."""
    paths = {0: 1.0}  # probability of still going on, by failures so far
    ends = {"accept": 0.0, "reject": 0.0}
    requests = 0.0
    for sent in range(1, test.most + 1):
        requests += sum(paths.values())
        paths = _step(test, rate, sent, paths, ends)
    return Odds(rate, ends["accept"], ends["reject"], sum(paths.values()), requests)


def _step(test: Sprt, rate: float, sent: int, paths: dict[int, float], ends: dict[str, float]) -> dict[int, float]:
    going: dict[int, float] = {}
    for failed, chance in paths.items():
        for failures, weight in ((failed, rate), (failed + 1, 1 - rate)):
            decision = test.decide(sent - failures, failures)
            if decision:
                ends[decision] += chance * weight
            else:
                going[failures] = going.get(failures, 0.0) + chance * weight
    return going


def fixed(test: Sprt) -> tuple[int, int]:
    """The smallest test of a fixed size with the same error rates: (requests, failures allowed)."""
    for requests in range(1, 100_000):
        allowed = _allowed(requests, test.reject, test.alpha)
        if allowed >= 0 and 1 - _at_most(allowed, requests, 1 - test.accept) <= test.beta:
            return requests, allowed
    raise AssertionError("two different rates can be told apart")


def _allowed(requests: int, rate: float, alpha: float) -> int:
    """How many failures a fixed test may accept so that `rate` is accepted at most `alpha` of the time; -1: none."""
    allowed, chance, reached = -1, rate**requests, 0.0
    while reached + chance <= alpha:
        reached += chance
        allowed += 1
        chance *= (requests - allowed) / (allowed + 1) * (1 - rate) / rate
    return allowed


def _at_most(failures: int, requests: int, chance: float) -> float:
    return 1 - stats.beta_cdf(chance, failures + 1, requests - failures)
