from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.base.errors import ApiError, Unknown
from migration.base.limiter import RateLimiter
from migration.logs.follow import LATE, Follower
from migration.logs.reader import WINDOW, LogReader
from migration.rehearsal.logstore import LogStore
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.logs import NOON, Direct, row
from tests.support.long import report


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Tail:
    """A follower in virtual time, over rows that arrive when a test says so."""

    def __init__(self, store: LogStore, per_minute: int | None = 8) -> None:
        store.execute("TRUNCATE TABLE logs")
        self.clock = VirtualClock(NOON)
        self.source = Direct(store, self.clock)
        self.observer = Collector()
        reader = LogReader(self.source, self.clock, RateLimiter(self.clock, per_minute), self.observer)
        self.follower = Follower(reader, "1 = 1", "event_message", NOON)
        self.shown: list[str] = []
        self.most = 0

    def until(self, seconds: float) -> list[str]:
        while self.clock.now() < at(seconds):
            self.shown += [found["id"] for found in self.follower.step()]
            self.most = max(self.most, self.follower.kept)
            self.clock.sleep(self.follower.pause)
        return self.shown

    def arrive(self, id_: str, seconds: float, late: float = 0) -> None:
        self.source.arriving.append((at(seconds + late), row(id_, seconds, id=id_)))


def test_rows_are_shown_in_order_as_they_come(store: LogStore) -> None:
    tail = Tail(store)
    for n in range(50):
        tail.arrive(f"row-{n:02}", n)
    assert tail.until(70) == [f"row-{n:02}" for n in range(50)]


def test_a_row_that_comes_five_minutes_late_is_shown_once(store: LogStore) -> None:
    tail = Tail(store)
    for n in range(0, 400, 10):
        tail.arrive(f"on time {n}", n)
    tail.arrive("late", 5, late=LATE)
    shown = tail.until(480)
    assert shown.count("late") == 1 and len(shown) == len(set(shown)) == 41


def test_nothing_from_before_the_beginning_is_shown(store: LogStore) -> None:
    tail = Tail(store)
    tail.follower = Follower(tail.follower.reader, "1 = 1", "event_message", at(0.5))
    tail.arrive("before", 0.4, late=30)
    tail.arrive("first", 0.5, late=30)
    assert tail.until(150) == ["first"]


@pytest.mark.slow
def test_thousands_of_rows_with_one_timestamp_are_each_shown_once(store: LogStore) -> None:
    tail = Tail(store, per_minute=30)
    for n in range(3_500):
        tail.arrive(f"row-{n:05}", 10, late=0 if n % 2 else 45)
    shown = tail.until(150)
    assert len(shown) == len(set(shown)) == 3_500


def test_a_backlog_of_days_is_caught_up_in_order_without_a_pause(store: LogStore) -> None:
    tail = Tail(store, per_minute=None)
    for n in range(2_000):
        tail.arrive(f"row-{n:05}", n * 100 - 0.5 + 1)
    tail.clock.sleep(200_000)
    began = tail.clock.monotonic()
    shown = tail.until(200_010)
    assert shown == sorted(shown) and len(shown) == 2_000
    assert tail.clock.monotonic() - began < 20
    assert any("no logs read for 2d" in event[3] for event in tail.observer.events)


@pytest.mark.slow
def test_an_outage_is_told_once_and_nothing_is_skipped(store: LogStore) -> None:
    tail = Tail(store)
    for n in range(0, 600, 10):
        tail.arrive(f"row-{n:03}", n, late=(n % 7) * 40)
    tail.until(60)
    tail.source.failures = [Unknown("cut")] * 20
    shown = tail.until(1_500)
    assert len(shown) == len(set(shown)) == 60
    told = [event for event in tail.observer.events if event[0] == "warn"]
    assert len(told) == 1 and "cannot read the logs" in told[0][3]
    assert "reading the logs again" in tail.observer.events[-1][3]


def test_a_rate_limit_slows_the_tail_down_and_says_so(store: LogStore) -> None:
    tail = Tail(store)
    for n in range(0, 300, 10):
        tail.arrive(f"row-{n:03}", n)
    refused = ApiError("no", status=429, body="", operation="reading the logs", retry_after=21)
    tail.source.failures = [refused] * 3
    pause = tail.follower.pause
    shown = tail.until(450)
    assert len(shown) == len(set(shown)) == 30
    assert tail.follower.pause > pause
    assert "rate-limited" in tail.observer.events[0][3]


def test_a_refusal_that_cannot_pass_ends_the_tail(store: LogStore) -> None:
    tail = Tail(store)
    tail.source.failures = [ApiError("no", status=401, body="", operation="reading the logs")]
    with pytest.raises(ApiError):
        tail.follower.step()


def test_a_failure_halfway_through_a_sweep_loses_nothing(store: LogStore) -> None:
    tail = Tail(store, per_minute=30)
    for n in range(2_500):
        tail.arrive(f"row-{n:05}", 5, late=0 if n < 100 else 20)
    tail.until(58)
    tail.clock.sleep(5)

    answer = tail.source.logs
    calls = 0

    def broken(*asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if 3 <= calls <= 8:
            raise Unknown("cut")
        return answer(*asked)

    tail.source.logs = broken  # type: ignore[method-assign,assignment]
    shown = tail.until(300)
    assert calls > 8
    assert len(shown) == len(set(shown)) == 2_500


@pytest.mark.slow
def test_a_hundred_lines_a_second_stay_within_the_budget_and_in_bounded_memory(store: LogStore) -> None:
    """60 s of 100 lines/s, every tenth up to five minutes late, ten queries a minute."""
    tail = Tail(store, per_minute=10)
    for n in range(6_000):
        tail.arrive(f"row-{n:05}", n / 100, late=(n * 37 % 300) if n % 10 == 0 else 0)
    shown = tail.until(60 + LATE + 120)
    assert len(shown) == len(set(shown)) == 6_000
    tail.until(60 + LATE + 300)
    assert tail.most <= 6_000 and tail.follower.kept < 200


EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 200), st.sampled_from([0, 59, 60, 120]), st.floats(0, 200, allow_nan=False)),
        st.one_of(st.just(0), st.integers(0, LATE), st.just(LATE)),
        st.integers(1, 2),
        st.sampled_from([1, 1, 1, 5, 1_100]),
    ),
    min_size=1,
    max_size=12,
)


BACKLOGS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-1e-6, 0, 1e-6])), max_size=4)


def each_row_once(
    store: LogStore, events: list[Any], edges: list[Any], per_minute: int | None, failures: list[int]
) -> int:
    """How many rows were shown; `edges` are rows of a backlog beside the ends of the windows that catch up."""
    tail = Tail(store, per_minute)
    begin = NOON - 2.5 * WINDOW if edges else NOON
    tail.follower = Follower(tail.follower.reader, "1 = 1", "event_message", begin)
    expected = set()
    for number, (window, beside) in enumerate(edges):
        seconds = (begin + window * WINDOW - NOON).total_seconds() + (beside if window else abs(beside))
        expected.add(f"edge-{number}")
        tail.arrive(f"edge-{number}", seconds)
    for number, (seconds, late, copies, equal) in enumerate(events):
        for n in range(equal):
            id_ = f"{number}-{n}"
            expected.add(id_)
            for copy in range(copies):
                tail.arrive(id_, seconds, late=late * (1 if copy == 0 else 0.5))
    for seconds in sorted(failures):
        tail.until(seconds)
        tail.source.failures += [Unknown("cut")] * 3
    shown = tail.until(200 + LATE + 300)
    assert len(shown) == len(set(shown)), "a row was shown twice"
    assert set(shown) == expected, "a row was lost"
    return len(shown)


PROPERTY: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
ROUNDS = (EVENTS, BACKLOGS, st.sampled_from([8, 20]), st.lists(st.integers(0, 500), max_size=2))


@pytest.mark.slow
@given(*ROUNDS)
@settings(max_examples=4, derandomize=True, **PROPERTY)
def test_any_order_lateness_and_repetition_shows_each_row_once(
    store: LogStore, events: list[Any], edges: list[Any], per_minute: int | None, failures: list[int]
) -> None:
    each_row_once(store, events, edges, per_minute, failures)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_any_order_lateness_and_repetition_shows_each_row_once_in_300_rounds(store: LogStore) -> None:
    began, shown = time.monotonic(), list[int]()

    @given(*ROUNDS)
    @settings(max_examples=300, **PROPERTY)
    def a_round(events: list[Any], edges: list[Any], per_minute: int | None, failures: list[int]) -> None:
        shown.append(each_row_once(store, events, edges, per_minute, failures))

    a_round()
    found = {"rows": sum(shown), "lost": 0, "twice": 0}
    report("logs", "the tail: any order, late, doubled, at edges, outages", len(shown), time.monotonic() - began, found)
