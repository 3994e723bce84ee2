from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal import logstore
from migration.rehearsal.logrules import SqlError
from migration.rehearsal.logstore import INSERT, Ingest, LogStore
from tests.support.logs import NOON, row

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def empty(store: LogStore) -> None:
    store.ingest = Ingest()
    store._waiting.clear()
    store.execute("TRUNCATE TABLE logs")


def recorded() -> list[dict[str, str]]:
    """Every query that the real CLI was seen to send, with its shorthand written out."""
    lines = [json.loads(line) for line in Path("tests/data/logs.jsonl").read_text().splitlines()]
    queries = [line["query"] for line in lines if "sql" in (line["query"] or {})]
    select, _, _ = queries[0]["sql"].partition(" from logs")
    level = select[select.index("multiIf") : select.index(" as level")]
    return [query | {"sql": query["sql"].replace("<SELECT>", select).replace("<LEVEL>", level)} for query in queries]


def count(store: LogStore) -> int:
    return int(store.query("select count() as n from logs", NOON, NOON + HOUR)[0]["n"])


def test_every_query_of_the_real_cli_runs_as_it_stands(store: LogStore) -> None:
    queries = recorded()
    assert len(queries) > 40
    for query in queries:
        store.query(query["sql"], NOON, NOON + HOUR)


def test_the_cli_finds_all_that_it_needs_in_a_row(store: LogStore) -> None:
    store.append([row("hello\nworld\n", function_id="f", level="error")])
    [found] = store.query(recorded()[0]["sql"], NOON, NOON + HOUR)
    assert found["ts_ms"] == round(NOON.timestamp() * 1000)
    assert (found["level"], found["severity_text"], found["event_message"]) == ("error", "", "hello\nworld\n")
    assert found["log_attributes"] == {"event_type": "Log", "level": "error", "function_id": "f"}


def test_a_time_is_rendered_as_hosted_without_saying_utc(store: LogStore) -> None:
    store.append([row("x", 1.25)])
    [found] = store.query("select id, timestamp from logs", NOON, NOON + HOUR)
    assert found["timestamp"] == "2026-11-22T12:00:01.250000"


def test_text_of_any_kind_comes_back_unchanged(store: LogStore) -> None:
    text = "a\tb\nc\r\0 \\n ' '' \" ; -- 💰 \x1b[32m{\x1b[0m {rows:String}"
    store.append([row(text, note=text)])
    [found] = store.query("select event_message, log_attributes['note'] as note from logs", NOON, NOON + HOUR)
    assert found == {"event_message": text, "note": text}


def test_only_the_asked_range_can_be_seen_by_any_part_of_a_query(store: LogStore) -> None:
    store.append([row("before", -0.000001), row("in"), row("after", 3600)])
    sql = """with w as (select event_message from logs) select event_message from w union all
        select l.event_message from (select event_message from logs as l) as l join logs as r on 1 = 1"""
    assert {found["event_message"] for found in store.query(sql, NOON, NOON + HOUR)} == {"in"}


def test_at_most_a_thousand_rows_come_back(store: LogStore) -> None:
    store.append([row(str(n)) for n in range(1_100)])
    assert len(store.query("select id from logs", NOON, NOON + HOUR)) == 1_000
    assert count(store) == 1_100


@pytest.mark.parametrize(
    "sql",
    [
        "select * from logs",
        "select l.* from logs as l",
        "select count(*) from logs",
        "select id from (select COLUMNS('a'), * from logs)",
        "select 1; select 2",
        "select 1; drop table logs",
        "drop table logs",
        "insert into logs (id) values ('x')",
        "select id from logs into outfile '/tmp/never'",
        "select id from logs format TSV",
        "select id from logs settings limit = 5000",
        "select line from file('/etc/hostname', 'LineAsString', 'line String')",
        "select file('/etc/hostname')",
        "select 1 from url('http://127.0.0.1/', 'LineAsString', 'l String')",
        "select 1 from remote('127.0.0.1', system.one)",
        "select 1 from executable('id', 'TSV', 'a String')",
        "select name from system.tables",
        "select name from `system`.`tables`",
        "select id from logs where 1 in system.one",
        "select id from logs where id in (select name from system.tables)",
        "select dictGet('a', 'b', 1)",
        "explain select id from logs",
        "show tables",
        "set readonly = 0",
        "select nothing from logs",
        "select from where",
        "",
        " ;",
    ],
)
def test_what_the_endpoint_does_not_allow_is_refused_in_one_line(store: LogStore, sql: str) -> None:
    store.append([row("still here")])
    with pytest.raises(SqlError) as refused:
        store.query(sql, NOON, NOON + HOUR)
    assert str(refused.value) and "\n" not in str(refused.value)
    assert count(store) == 1


@pytest.mark.parametrize(
    "sql", ["select 1 -- note", "select ';' as a;", "select 2\n", "(select 1) union all (select 2)"]
)
def test_harmless_forms_of_a_select_run(store: LogStore, sql: str) -> None:
    assert store.query(sql, NOON, NOON + HOUR)


def test_64_bit_counts_can_come_as_strings(store: LogStore) -> None:
    store.quote_counts = True
    try:
        assert store.query("select count() as n from logs", NOON, NOON + HOUR) == [{"n": "0"}]
    finally:
        store.quote_counts = False


def test_rows_come_late_twice_or_never_as_the_ingest_says(store: LogStore) -> None:
    store.ingest = Ingest(delay=3_600)
    store.append([row("waits for an hour")])
    store.ingest = Ingest(duplicate_share=1)
    store.append([row("comes twice")])
    store.ingest = Ingest(lost_share=1)
    store.append([row("never comes")])
    found = store.query("select event_message from logs", NOON, NOON + HOUR)
    assert [item["event_message"] for item in found] == ["comes twice", "comes twice"]


def test_the_same_seed_makes_the_same_rows_late() -> None:
    ingest = Ingest(late_share=0.5, late=300)
    first, second = ([ingest.waits(random.Random(7)) for _ in range(3)] for _ in range(2))
    assert first == second
    assert all(0 <= wait <= 300 for waits in first for wait in waits)


@pytest.mark.slow
def test_askers_and_writers_at_the_same_time_do_not_mix_up(store: LogStore) -> None:
    """Found by a test that failed now and then: the engine's query parameters are shared by a whole session."""

    def ask(name: str) -> list[str]:
        store.append([row(name, id=name)])
        return [found["m"] for found in store.query(f"select event_message as m from logs where id = '{name}'", *span)]

    span = (NOON, NOON + HOUR)
    names = [f"name-{n}" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, names)) == [[name] for name in names]


@contextmanager
def full(store: LogStore, batches: int = 0) -> Iterator[None]:
    """The engine takes so many batches and no more, as with a full disk; questions are answered as ever."""
    left, session = [batches], store._session

    class Full:
        def query(self, sql: str, *arguments: Any, **more: Any) -> Any:
            if sql == INSERT:
                left[0] -= 1
                if left[0] < 0:
                    raise RuntimeError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space.\n")
            return session.query(sql, *arguments, **more)

        def close(self) -> None:
            session.close()

    store._session = Full()
    try:
        yield
    finally:
        store._session = session


def test_rows_that_the_engine_cannot_take_wait_and_whoever_asks_is_told(
    store: LogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows taken from the queue before a write that failed were gone without a word."""
    monkeypatch.setattr(logstore, "BATCH_ROWS", 10)
    with full(store, batches=2):
        store.append([row(str(n)) for n in range(45)])
        with pytest.raises(SqlError, match="not enough space"):
            count(store)
    found = store.query("select event_message as m from logs", NOON, NOON + HOUR)
    assert sorted(int(item["m"]) for item in found) == list(range(45))


def test_rows_that_nobody_asked_for_are_written_once_the_engine_takes_them_again(store: LogStore) -> None:
    with full(store):
        store.append([row("waits")])
        time.sleep(3 * logstore.BATCH_SECONDS)
        assert len(store._waiting) == 1
    end = time.monotonic() + 20
    while store._waiting and time.monotonic() < end:
        time.sleep(0.02)
    assert int(store.execute("SELECT count() FROM logs")) == 1


def test_half_a_surrogate_pair_spoils_neither_its_row_nor_the_others(store: LogStore) -> None:
    """The engine refuses a whole batch for one of them."""
    store.append([row("fine"), row("cut \ud83d", note="\udcff"), row("whole 💰")])
    found = store.query("select event_message as m from logs order by m", NOON, NOON + HOUR)
    assert [item["m"] for item in found] == ["cut \ufffd", "fine", "whole 💰"]


def test_a_restart_keeps_every_row_that_was_due(tmp_path: Path, store: LogStore) -> None:
    """The engine allows one open store a process, so this test takes its turn at the end."""
    store.close()
    first = LogStore(tmp_path / "own")
    first.append([row(str(n)) for n in range(100)])
    first.close()
    again = LogStore(tmp_path / "own")
    assert count(again) == 100
    with full(again):
        again.append([row("lost")])
        with pytest.raises(SqlError, match=r"^1 log rows could not be written: .*not enough space"):
            again.close()
    again.close()
