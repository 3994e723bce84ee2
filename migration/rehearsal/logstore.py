"""The sandbox's log store: an embedded ClickHouse with the hosted table `logs`.

One process owns one data directory. Rows are written by a thread of the store's own within about 50 ms; a query
writes what is due first, so that whoever appended can read. A row leaves the queue once it is written and never
before: what the engine refuses is tried again, fails the queries made meanwhile, and is an error at the end.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migration.rehearsal.logrules import SqlError, check
from migration.rehearsal.types import SandboxLogRow

_HALF = re.compile("[\ud800-\udfff]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})

BATCH_SECONDS = 0.05
BATCH_ROWS = 5_000
LONGEST_PAUSE = 5.0
MAX_ROWS = 1_000
Waiting = tuple[float, SandboxLogRow]  # when it is due, by the monotonic clock

TABLE = """CREATE TABLE IF NOT EXISTS logs (
    id String, timestamp DateTime64(6, 'UTC'), event_message String, severity_text String,
    source LowCardinality(String), log_attributes Map(LowCardinality(String), String)
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(timestamp) ORDER BY (timestamp, id)"""

INSERT = """INSERT INTO logs
SELECT id, fromUnixTimestamp64Micro(timestamp, 'UTC'), event_message, severity_text, source, log_attributes
FROM format(JSONEachRow, 'id String, timestamp Int64, event_message String, severity_text String, source String,
log_attributes Map(String, String)', {rows:String})"""


@dataclass
class Ingest:
    """How rows arrive: seconds of delay for every row, shares of rows that come late, twice or never.

    A late row waits for up to `late` seconds more. Changed at any time, it holds for the rows appended afterwards;
    the same seed repeats the same choices.
    """

    delay: float = 0.0
    late: float = 300.0
    late_share: float = 0.0
    duplicate_share: float = 0.0
    lost_share: float = 0.0
    seed: int = 1

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Ingest:
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in settings.items() if name in known})

    def waits(self, chance: random.Random) -> list[float]:
        """Seconds until each copy of one row can be read: none for a lost row, two for a doubled one."""
        if chance.random() < self.lost_share:
            return []
        copies = 2 if chance.random() < self.duplicate_share else 1
        return [self.delay + self._lateness(chance) for _ in range(copies)]

    def _lateness(self, chance: random.Random) -> float:
        return chance.uniform(0, self.late) if chance.random() < self.late_share else 0.0


class LogStore:
    """Rows in, SQL over `logs` out. Thread-safe; `close()` writes what is due and lets go of the directory."""

    def __init__(self, folder: Path, ingest: Ingest | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ingest = ingest or Ingest()
        self.quote_counts = False
        self._chance = random.Random(self.ingest.seed)
        self._session = _session(folder)
        self._session.query(TABLE)
        self._waiting: list[Waiting] = []
        self._wake = threading.Condition()
        self._writing = threading.Lock()
        self._turn = threading.Lock()  # parameters belong to the session: two queries at once mix theirs up
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="log store", daemon=True)
        self._writer.start()

    def append(self, rows: Sequence[SandboxLogRow]) -> None:
        """Takes rows; returns before they can be queried."""
        now = time.monotonic()
        with self._wake:
            for row in rows:
                self._waiting += [(now + wait, row) for wait in self.ingest.waits(self._chance)]
            self._wake.notify()

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Rows of one SELECT that sees only `start <= timestamp < end`; SqlError for what is refused or fails."""
        check(sql, self._ask)
        self.flush()
        answer = json.loads(self._run(_bounded(sql, start, end, MAX_ROWS, self.quote_counts), "JSON"))
        return [_hosted(row, answer["meta"]) for row in answer["data"]]

    def flush(self) -> None:
        """Writes every row that is due; SqlError leaves those that could not be written to the next time."""
        with self._writing:
            rows = self._due()
            for first in range(0, len(rows), BATCH_ROWS):
                batch = rows[first : first + BATCH_ROWS]
                self._run(INSERT, "CSV", {"rows": _lines(row for _, row in batch)})
                self._written(batch)

    def execute(self, sql: str) -> str:
        """Runs any statement as the owner of the store (benchmarks fill it so); never reached from the endpoint."""
        return self._run(sql, "TSV")

    def close(self) -> None:
        """Writes what is due, gives up what is not, and releases the directory; a second call does nothing.

        SqlError, with the directory released, when rows that are due still cannot be written.
        """
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._wake.notify()
        self._writer.join()
        try:
            self.flush()
        except SqlError as error:
            raise SqlError(f"{len(self._due())} log rows could not be written: {error}") from None
        finally:
            self._session.close()

    def _due(self) -> list[Waiting]:
        now = time.monotonic()
        with self._wake:
            return [item for item in self._waiting if item[0] <= now]

    def _written(self, rows: Iterable[Waiting]) -> None:
        done = set(map(id, rows))
        with self._wake:
            self._waiting = [item for item in self._waiting if id(item) not in done]

    def _write(self) -> None:
        pause = BATCH_SECONDS
        while not self._closed:
            with self._wake:
                if not self._closed:
                    self._wake.wait(pause if self._waiting else None)
            time.sleep(0 if self._closed else BATCH_SECONDS)
            try:
                self.flush()
                pause = BATCH_SECONDS
            except SqlError:  # a full disk must not end the thread: the rows wait, and may fit later
                pause = min(2 * pause, LONGEST_PAUSE)

    def _ask(self, sql: str, params: dict[str, str]) -> str:
        return self._run(sql, "TSV", {name: _escaped(value) for name, value in params.items()})

    def _run(self, sql: str, form: str, params: dict[str, str] | None = None) -> str:
        try:
            with self._turn:
                answer: bytes = self._session.query(sql, form, params=params).bytes()
        except RuntimeError as error:
            raise SqlError(_first_line(str(error))) from None
        return answer.decode("utf-8", "replace")


class LazyLogStore:
    """The log store, opened at its first use: the engine takes half a second and 400 MB to load."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = threading.Lock()
        self._store: LogStore | None = None

    def open(self) -> None:
        """Load the engine now, so that no request waits for it."""
        assert self.store

    @property
    def store(self) -> LogStore:
        with self._lock:
            if self._store is None:
                self._store = LogStore(self._folder, Ingest.of(self._settings))
                self._store.quote_counts = bool(self._settings.get("quote_counts", False))
            return self._store

    def append(self, rows: Sequence[SandboxLogRow]) -> None:
        self.store.append(rows)

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return self.store.query(sql, start, end)

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


def _session(folder: Path) -> Any:
    from chdb import session  # heavy: half a second and 400 MB, only for who opens a store

    open_session: Any = session.Session
    return open_session(str(folder))


def _bounded(sql: str, start: datetime, end: datetime, limit: int, quoted: bool) -> str:
    span = f"timestamp >= {_moment(start)} AND timestamp < {_moment(end)}".replace("'", "\\'")
    return f"""{sql.strip().removesuffix(";")}
SETTINGS additional_table_filters = {{'logs': '{span}'}}, limit = {limit}, max_execution_time = 30,
output_format_json_quote_64bit_integers = {int(quoted)}"""


def _moment(at: datetime) -> str:
    return f"toDateTime64('{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _hosted(row: dict[str, Any], meta: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Times as the hosted endpoint renders them: `2026-09-28T19:25:55.000000`, UTC without saying so."""
    times = [column["name"] for column in meta if column["type"].startswith("DateTime")]
    return row | {name: row[name].replace(" ", "T") for name in times}


def _lines(rows: Iterable[SandboxLogRow]) -> str:
    """Half a surrogate pair, which the engine refuses with the whole batch, becomes a replacement character."""
    return _escaped("\n".join(_HALF.sub("\ufffd", json.dumps(_plain(row), ensure_ascii=False)) for row in rows))


def _plain(row: SandboxLogRow) -> dict[str, Any]:
    micros = round(row.timestamp.timestamp() * 1_000_000)
    return {**vars(row), "timestamp": micros, "log_attributes": dict(row.log_attributes)}


def _escaped(text: str) -> str:
    """ClickHouse reads a query parameter as one tab-separated field."""
    return text.translate(_ESCAPES)


def _first_line(text: str) -> str:
    return " ".join(text.split())[:600]
