"""Whole days through the real log engine and git, on a clock that only sleeping moves: what goes wrong is found within
its rounds, nothing else alarms, and no alert is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.logstore import LogStore
from migration.watch.report import WatchRound
from tests.support import long
from tests.support.watching import Night, problem

Behaviour = Callable[[random.Random, float], dict[str, Any] | None]


def healthy(chance: random.Random, _: float) -> dict[str, Any]:
    """Half the tolerated failures, answers of one to five seconds."""
    bad = chance.random() < 0.005
    return (
        {"status": 503 if bad else 200, "usage": not bad, "seconds": chance.uniform(1, 5)}
        if bad
        else {"seconds": chance.uniform(1, 5)}
    )


def during(first: float, last: float, how: Behaviour) -> Behaviour:
    """Healthy, but for the hours from `first` to `last`."""
    return lambda chance, hour: how(chance, hour) if first <= hour < last else healthy(chance, hour)


def failing(share: float) -> Behaviour:
    def one(chance: random.Random, hour: float) -> dict[str, Any]:
        return {"status": 503, "usage": False} if chance.random() < share else healthy(chance, hour)

    return one


@dataclass
class Day:
    """What a day brought: alarms as (kind, criterion, hour of its first round), rounds, and the last of them."""

    alarms: dict[tuple[str, str], float] = field(default_factory=dict)
    rounds: list[WatchRound] = field(default_factory=list)

    @property
    def last(self) -> WatchRound:
        return self.rounds[-1]

    def add(self, found: WatchRound, night: Night) -> None:
        self.rounds.append(found)
        hour = (night.clock.now() - night.start).total_seconds() / 3600
        for one in found.alarms:
            self.alarms.setdefault((one.kind, one.criterion), hour)

    @property
    def titles(self) -> list[str]:
        """Titles of every message that was sent, oldest first."""
        return [one.title for one in self.last.state.alerts.sent]


def run(night: Night, hours: float, every: float, **options: Any) -> Day:
    day = Day()
    for found in night.rounds(span=hours * 3600, every=every, **options):
        day.add(found, night)
    return day


def spending(night: Night) -> None:
    """The provider books what is sent, whether the logs hold it or not."""
    night.providers.spent = lambda now: (now - night.start).total_seconds() / 1e6


@dataclass(frozen=True)
class Course:
    """A day: how requests go, what else happens, and which alarms there must be, each by an hour. `also`: further
    alarms that may follow from the same cause."""

    behave: Behaviour
    alarms: dict[tuple[str, str], float]
    also: frozenset[tuple[str, str]] = frozenset()
    arrange: Callable[[Night], None] = lambda _: None
    code: int = 1


def _price(night: Night) -> None:
    late = [problem("price_drift", "the listed price differs", "warning")]
    night.providers.findings = lambda now: late if _hour(night, now) >= 10 else []


def _model(night: Night) -> None:
    night.providers.builds = lambda now, name: f"{name}-{2 if _hour(night, now) >= 10 else 1}"


def _hour(night: Night, now: datetime) -> float:
    return (now - night.start).total_seconds() / 3600


ANSWERS = frozenset({("test", "success_rate"), ("test", "no_503")})
COURSES = {
    "healthy": Course(healthy, {}, code=0),
    "a 503 storm of one hour": Course(
        during(8, 9, failing(0.4)), {("test", "success_rate"): 8.9, ("test", "no_503"): 8.9}
    ),
    "a blackout of two rounds": Course(
        during(8, 8 + 1 / 6, failing(1.0)), {("blackout", "success_rate"): 8.5}, ANSWERS | {("test", "unchanged")}
    ),
    "a slow hour": Course(
        during(8, 9, lambda chance, _: {"seconds": chance.uniform(5, 14)}), {("test", "response_time"): 8.9}
    ),
    "a price change": Course(healthy, {("fact", "provider:to:price_drift"): 10.2}, arrange=_price, code=0),
    "a model re-routed": Course(healthy, {("fact", "model of openrouter"): 10.2}, arrange=_model),
    "a stale region": Course(
        during(8, 9, lambda chance, _: {"region": "us-east-1", "version": 7, "slug": "artifact"}
               if chance.random() < 0.3 else healthy(chance, 0)),
        {("fact", "version us-east-1"): 8.6},
    ),
    "logs late by 20 minutes": Course(
        during(8, 12, lambda chance, hour: healthy(chance, hour) | {"late": 1200.0}), {("no_data", "logs"): 8.8},
        arrange=spending, code=0,
    ),
    "logs lost": Course(during(8, 9, lambda *_: None), {("no_data", "logs"): 8.8}, arrange=spending, code=0),
    "lines of the functions lost": Course(
        during(8, 9, lambda *_: {"lines": False, "usage": False}), {("no_data", "logs"): 8.5}, code=0
    ),
    "no traffic": Course(during(8, 12, lambda *_: None), {}, code=0),
}  # fmt: skip


def check(night: Night, course: Course, hours: float, every: float) -> Day:
    """Carry a day out; every alarm that must come came in its time, and no other."""
    course.arrange(night)
    night.traffic(hours + 1, course.behave, every=every)
    day = run(night, hours, every)
    missing = {key: by for key, by in course.alarms.items() if day.alarms.get(key, 1e9) > by}
    assert missing == {}, day.alarms
    assert set(day.alarms) - set(course.alarms) - course.also == set()
    assert day.last.state.ended and day.last.exit_code == course.code
    assert bool(day.last.state.alarmed) == (course.code == 1)
    assert day.last.state.alerts.outbox == ()
    return day


# Six hours with a round every quarter of an hour, of which two are bad: the same road in less time.
SHORT = {
    "a 503 storm": Course(during(2, 4, failing(0.4)), {("test", "success_rate"): 3.3, ("test", "no_503"): 3.3}),
    "logs lost": Course(during(2, 4, lambda *_: None), {("no_data", "logs"): 3.1}, arrange=spending, code=0),
}


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize("name", SHORT)
def test_short_day(name: str, tmp_path: Path, store: LogStore) -> None:
    """Found within its rounds, resolved when it is over, each sent once, and nothing else alarms."""
    day = check(Night(tmp_path, store), SHORT[name], 6, 900.0)
    kinds = [("resolved" in title, "watch ended" in title) for title in day.titles]
    assert kinds[-1] == (False, True) and kinds.count((False, True)) == 1
    assert kinds[:-1] in ([(False, False), (True, False)], [(False, False)] * 2 + [(True, False)])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", COURSES)
@pytest.mark.usefixtures("providers")
def test_day(name: str, tmp_path: Path, store: LogStore) -> None:
    """Each is found within its rounds, and nothing else alarms."""
    night, began = Night(tmp_path, store), time.monotonic()
    day = check(night, COURSES[name], 24, 300.0)
    found = {f"{kind} {criterion}": f"at {hour:.2f} h" for (kind, criterion), hour in day.alarms.items()}
    long.report("Watch", f"a day: {name}", len(day.rounds), time.monotonic() - began, found or {"alarms": 0})
