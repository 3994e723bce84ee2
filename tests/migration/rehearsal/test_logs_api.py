from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from migration.rehearsal.logrules import SqlError
from migration.rehearsal.logs_api import BACKEND, SpanError, Throttle, routes, span
from migration.rehearsal.logstore import LogStore
from tests.support.logs import NOON, Planned, row, sandbox

PATH = "/v1/projects/abcdefghijklmnopqrst/analytics/endpoints/logs"
RANGE = {"iso_timestamp_start": "2026-11-22T12:00:00.000Z", "iso_timestamp_end": "2026-11-22T12:30:00Z"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    store = LogStore(tmp_path_factory.mktemp("logs"))
    store.append([row("hello", 1), row("world", 2)])
    yield store
    store.close()


def client(store: Any, tmp_path: Path, *faults: Any, **settings: Any) -> TestClient:
    return TestClient(Starlette(routes=routes(sandbox(store, tmp_path, Planned(*faults), **settings))))


def test_a_query_answers_rows_and_no_error(store: LogStore, tmp_path: Path) -> None:
    sql = "select event_message as m from logs order by timestamp"
    answer = client(store, tmp_path).get(PATH, params={"sql": sql} | RANGE)
    assert answer.json() == {"result": [{"m": "hello"}, {"m": "world"}], "error": None}


def test_errors_of_the_engine_come_inside_http_200(store: LogStore, tmp_path: Path) -> None:
    answer = client(store, tmp_path).get(PATH, params={"sql": "select nothing from logs"} | RANGE)
    assert answer.status_code == 200
    assert answer.json()["result"] is None and "nothing" in answer.json()["error"]


def test_the_removed_endpoint_answers_410(store: LogStore, tmp_path: Path) -> None:
    assert client(store, tmp_path).get(PATH + ".all").status_code == 410


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, ("11:59", "12:01")),
        ("2026-11-22T10:00:00Z", None, ("10:00", "10:01")),
        (None, "2026-11-22T10:00:00Z", ("09:59", "10:00")),
        ("2026-11-22T10:00:30.500Z", "2026-11-22T10:05:45.000Z", ("10:00", "10:06")),
        ("2026-11-22T10:00:00", "2026-11-22T12:00:00+01:00", ("10:00", "11:00")),
    ],
)
def test_times_are_rounded_to_the_minute_and_default_to_one_minute(
    start: str | None, end: str | None, expected: tuple[str, str]
) -> None:
    begin, stop = span(start, end, NOON + timedelta(seconds=20))
    assert (f"{begin.astimezone(UTC):%H:%M}", f"{stop.astimezone(UTC):%H:%M}") == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-21T12:00:00Z", "2026-11-22T12:00:00.001Z"),
        ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
        ("yesterday", None),
    ],
)
def test_a_range_of_more_than_24_hours_or_none_is_a_400(
    store: LogStore, tmp_path: Path, start: str, end: str | None
) -> None:
    with pytest.raises(SpanError):
        span(start, end, NOON)
    answer = client(store, tmp_path).get(
        PATH, params={"sql": "select 1", "iso_timestamp_start": start} | ({"iso_timestamp_end": end} if end else {})
    )
    assert answer.status_code == 400 and answer.json()["message"]


def test_exactly_24_hours_as_the_cli_sends_them_are_allowed() -> None:
    begin, stop = span("2026-11-21T20:34:43.645Z", "2026-11-22T20:34:43.645Z", NOON)
    assert stop - begin == timedelta(hours=24, minutes=1)


def test_queries_beyond_the_limit_are_told_to_wait(store: LogStore, tmp_path: Path) -> None:
    endpoint = client(store, tmp_path, queries_per_minute=2)
    answers = [endpoint.get(PATH, params={"sql": "select 1"} | RANGE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"message": "ThrottlerException: Too Many Requests"}
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_the_limit_begins_anew_after_a_minute() -> None:
    seconds = [0.0]
    throttle = Throttle(1, lambda: seconds[0])
    assert (throttle.wait(), throttle.wait()) == (0, 60)
    seconds[0] = 45
    assert throttle.wait() == 15
    seconds[0] = 60
    assert throttle.wait() == 0


def test_a_fault_fails_one_query_inside_http_200_as_the_hosted_backend_does(store: LogStore, tmp_path: Path) -> None:
    endpoint = client(store, tmp_path, {"do": "error"}, {"do": "error", "error": "odd"})
    answers = [endpoint.get(PATH, params={"sql": "select 1 as n"} | RANGE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.json()["error"] for answer in answers] == [BACKEND, "odd", None]


def test_a_slow_query_holds_up_no_other_request(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
            if sql == "slow":
                entered.set()
                leave.wait(10)
            raise SqlError("done")

    with client(Slow(), tmp_path) as endpoint:
        asker = threading.Thread(target=lambda: endpoint.get(PATH, params={"sql": "slow"} | RANGE))
        asker.start()
        assert entered.wait(10)
        assert endpoint.get(PATH, params={"sql": "quick"} | RANGE).json()["error"] == "done"
        leave.set()
        asker.join()
