"""Generated days of a watch: counts a look, from a seed, through the code that decides in production."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from migration.config.settings import TOLERATED
from migration.watch import judge
from migration.watch.judge import Look
from migration.watch.model import LookCounts, WatchState

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
EVERY = timedelta(minutes=5)
LOOKS = 288
SIX = ("success_rate", "no_503", "response_time", "no_errors_in_logs", "cost_logged", "cost_per_request")
Share = Callable[[int], float]  # of failures, by look


def state(names: tuple[str, ...] = SIX) -> WatchState:
    """A watch of one function that begins now."""
    criteria = judge.begin([(name, "") for name in names], TOLERATED, 0.05)
    return WatchState(
        "w", "prod", "d", "r", BEGIN, BEGIN + EVERY * LOOKS, 86_400.0, EVERY.total_seconds(), 0.05, BEGIN, criteria
    )


def steady(share: float) -> Share:
    return lambda _: share


def rising(share: float, hour: float, before: float = 0.005) -> Share:
    """This share from an hour on."""
    return lambda n: share if n >= hour * 12 else before


def clumps(mean: float, within: float, chance: random.Random) -> Share:
    """Failures in clumps: now and then a look with this share, so that the mean is as given."""
    return lambda _: within if chance.random() < mean / within else 0.0


def looks(share: Share, answers: int, chance: random.Random) -> Iterator[Look]:
    """A day of looks in which this share of answers fails; every other criterion is healthy, at half its limit."""
    rest = ((0.005, 0.025, 0.005, 0.005, 0.025),) * LOOKS
    for n, others in enumerate(rest):
        p = share(n)
        failed, unavailable, slow, errors, missing, expensive = (
            sum(chance.random() < one for _ in range(answers)) for one in (p, *others)
        )
        counts = LookCounts(answers, failed, unavailable, slow, errors, answers, missing, expensive, billed=answers)
        yield Look(BEGIN + EVERY * (n + 1), {"artifact": counts})


def first_alarm(day: Iterator[Look], names: tuple[str, ...] = SIX) -> int | None:
    """The number of the look with which a criterion alarms first; None on a day without."""
    now = state(names)
    for n, look in enumerate(day):
        now = judge.take(now, look, ["artifact"])
        if any(one.since for one in (*now.criteria, *now.blackouts)):
            return n
    return None
