from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import ApiError, ServiceFailed, Unknown
from migration.base.limiter import RateLimiter
from migration.config import logsql
from migration.logs.reader import WINDOW, LogReader, windows
from migration.rehearsal.logstore import LogStore
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.logs import NOON, Direct, context, row

DAY = timedelta(days=1)


class Scripted:
    """Answers from a list; an exception in it is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, datetime, datetime]] = []

    def logs(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        self.asked.append((sql, start, end))
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


def refusal(status: int, body: str = "", retry_after: float | None = None) -> ApiError:
    return ApiError("no", status=status, body=body, operation="reading the logs", retry_after=retry_after)


def reader(source: Any, per_minute: int | None = None) -> LogReader:
    clock = VirtualClock(NOON)
    return LogReader(source, clock, RateLimiter(clock, per_minute), Collector())


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("length", [timedelta(seconds=1), WINDOW, WINDOW + timedelta(seconds=1), 7 * DAY])
def test_windows_cover_a_range_without_gap_or_overlap(length: timedelta, newest_first: bool) -> None:
    pieces = sorted(windows(NOON, NOON + length, newest_first))
    assert pieces[0][0] == NOON and pieces[-1][1] == NOON + length
    assert all(first[1] == second[0] for first, second in itertools.pairwise(pieces))
    assert all(timedelta() < end - start <= WINDOW for start, end in pieces)


def test_an_empty_range_is_not_asked_for() -> None:
    assert windows(NOON, NOON) == windows(NOON, NOON - DAY) == []


def test_a_request_never_asks_for_more_than_24_hours_and_always_for_whole_minutes() -> None:
    source = Scripted()
    since = NOON + timedelta(seconds=59, microseconds=999_999)
    list(reader(source).rows("1 = 1", since, since + 3 * DAY))
    assert len(source.asked) == 4
    for _, start, end in source.asked:
        assert end - start <= DAY
        assert (start.second, start.microsecond, end.second, end.microsecond) == (0, 0, 0, 0)


def test_a_request_leaves_room_for_rounding_on_either_side() -> None:
    source = Scripted()
    reader(source).query("select 1", NOON, NOON + WINDOW)
    [(_, start, end)] = source.asked
    assert start <= NOON and end >= NOON + WINDOW + timedelta(minutes=1)


def test_the_rate_budget_is_never_exceeded_in_any_minute() -> None:
    clock = VirtualClock(NOON)
    budget, sent = RateLimiter(clock, 3), []
    for _ in range(12):
        budget.take()
        sent.append(clock.monotonic())
    assert all(later - earlier >= 60 for earlier, later in zip(sent, sent[3:], strict=False))


def test_readers_of_one_run_share_a_budget_and_the_sandbox_has_none(tmp_path: Path) -> None:
    found = context(tmp_path, Direct(None, VirtualClock(NOON)))  # type: ignore[arg-type]
    assert LogReader.of(found).budget.per_minute is None
    hosted = replace(found, environment=replace(found.environment, embedded=False))
    hosted.__dict__["supabase"] = Scripted()
    assert LogReader.of(hosted).budget is LogReader.of(hosted).budget
    assert LogReader.of(hosted).budget.per_minute == 8


def test_threads_together_stay_within_the_budget() -> None:
    clock = VirtualClock(NOON)
    budget = RateLimiter(clock, 5)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: budget.take(), range(20)))
    assert budget.spent == 20 and clock.monotonic() >= 180


def test_a_server_that_asks_to_wait_is_obeyed_and_asked_less_often() -> None:
    source = Scripted(refusal(429, retry_after=21), [{"n": 1}])
    asker = reader(source, per_minute=8)
    assert asker.query("select 1", NOON, NOON + DAY / 2) == [{"n": 1}]
    assert asker.clock.monotonic() == 21
    assert asker.budget.per_minute == 7
    assert "rate-limited" in asker.observer.events[0][3]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "failure", [refusal(500, "Backend error! Retry your query."), refusal(502), refusal(504), Unknown("cut")]
)
def test_what_may_pass_is_asked_again(failure: ServiceFailed) -> None:
    source = Scripted(failure, failure, [{"n": 1}])
    assert reader(source).query("select 1", NOON, NOON + DAY / 2) == [{"n": 1}]
    assert len(source.asked) == 3


@pytest.mark.parametrize("failure", [refusal(401), refusal(400), refusal(500, "Code: 62. DB::Exception: Syntax error")])
def test_what_cannot_pass_is_not_asked_again(failure: ApiError) -> None:
    source = Scripted(failure, [])
    with pytest.raises(ApiError):
        reader(source).query("select 1", NOON, NOON + DAY / 2)
    assert len(source.asked) == 1


def test_an_outage_ends_in_the_endpoints_own_error_within_bounds() -> None:
    source = Scripted(*[refusal(500, "Backend error!")] * 50)
    asker = reader(source)
    with pytest.raises(ApiError):
        asker.query("select 1", NOON, NOON + DAY / 2)
    assert len(source.asked) <= 6 and asker.clock.monotonic() <= 180


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = LogStore(tmp_path_factory.mktemp("logs"))
    same = [row(f"same {n}", 5, id=f"same-{n:05}") for n in range(2_500)]
    days = [row(f"day {n}", n * 6 * 3600, id=f"day-{n:05}") for n in range(28) if not 8 <= n < 16]
    store.append(same + days + [days[0], same[999], same[1_000]])
    yield store
    store.close()


@pytest.mark.parametrize("newest_first", [False, True])
def test_seven_days_with_a_gap_come_whole_in_order_and_once(store: LogStore, newest_first: bool) -> None:
    clock = VirtualClock(NOON + 7 * DAY)
    asker = LogReader(Direct(store, clock), clock, RateLimiter(clock, None))
    rows = list(asker.rows("1 = 1", NOON, NOON + 7 * DAY, columns="event_message", newest_first=newest_first))
    order = [(found["us"], found["id"]) for found in rows]
    assert len(order) == 2_520 and order == sorted(set(order), reverse=newest_first)


def test_a_limit_ends_the_reading(store: LogStore) -> None:
    clock = VirtualClock(NOON + 7 * DAY)
    source = Direct(store, clock)
    asker = LogReader(source, clock, RateLimiter(clock, None))
    newest = list(asker.rows("1 = 1", NOON, NOON + 7 * DAY, columns="event_message", newest_first=True, limit=2))
    assert [found["event_message"] for found in newest] == ["day 27", "day 26"]
    assert len(source.queries) == 1


def test_the_edges_of_a_range_count_once_the_first_in_the_last_out(store: LogStore) -> None:
    clock = VirtualClock(NOON + 7 * DAY)
    asker = LogReader(Direct(store, clock), clock, RateLimiter(clock, None))
    edge = NOON + timedelta(hours=6)
    messages = [found["event_message"] for found in asker.rows("1 = 1", edge, edge + timedelta(hours=6))]
    assert messages == ["day 1"]


def test_aggregates_add_up_over_windows(store: LogStore) -> None:
    clock = VirtualClock(NOON + 7 * DAY)
    asker = LogReader(Direct(store, clock), clock, RateLimiter(clock, None))
    assert asker.scalar("uniqExact(id)", "1 = 1", NOON, NOON + 7 * DAY) == 2_520
    assert asker.scalar("count()", logsql.contains("no such"), NOON, NOON + DAY) == 0
