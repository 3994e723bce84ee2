"""The tail at 100 lines a second under 10 queries a minute, and seven days of history.

    python -m benchmarks.logs [SECONDS [LATE]]

60 seconds of lines, a fifth of them late by up to LATE (300) seconds; it runs in real time until the last one is due.
The tail's peer is what the log viewer of the Supabase CLI does: read again from 60 s before the last reading, at most
five pages, and remember a thousand rows. The history's peer pages by OFFSET.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.logserver import Server, context, started
from migration.base.errors import ServiceFailed
from migration.config import logsql
from migration.context import Context
from migration.logs import logs
from migration.logs.follow import Follower
from migration.logs.reader import WINDOW, LogReader, windows

RATE = 100
PER_MINUTE = 10
OVERLAP = timedelta(seconds=60)
PAGES = 5
REMEMBERED = 1_000
SETTLING = 180.0  # seconds after the last late row in which a sweep must have found it
DAYS, ROWS = 7, 50_000


class Producer(threading.Thread):
    """Sends lines at an even rate; `sent` holds the ids that the store took."""

    def __init__(self, server: Server, seconds: float) -> None:
        super().__init__(daemon=True)
        self.server, self.seconds = server, seconds
        self.sent: list[str] = []

    def run(self) -> None:
        began = time.time()
        while len(self.sent) < self.seconds * RATE:
            due = min(int((time.time() - began) * RATE) + 1, round(self.seconds * RATE))
            numbers = range(len(self.sent), due)
            rows = [_row(f"row-{n:06}", began + n / RATE) for n in numbers]
            self.server.append(rows)
            self.sent += [str(row["id"]) for row in rows]
            time.sleep(0.1)


def _row(name: str, at: float) -> dict[str, object]:
    attributes = {"event_type": "Log", "level": "info", "function_id": "id-a"}
    return {"id": name, "timestamp": at, "event_message": name, "source": "function_logs", "log_attributes": attributes}


class Peer(threading.Thread):
    """The viewer's way, pressed as often as the rate limit allows."""

    def __init__(self, found: Context, since: datetime) -> None:
        super().__init__(daemon=True)
        self.reader = LogReader.of(found)
        self.since = since
        self.shown: Counter[str] = Counter()
        self._known: deque[str] = deque(maxlen=REMEMBERED)
        self.over = threading.Event()

    def run(self) -> None:
        end = self.since
        while not self.over.is_set():
            start, end = end - OVERLAP, datetime.now(UTC)
            for row in self._pages(start, end):
                if row not in self._known:
                    self._known.append(row)
                    self.shown[row] += 1
            self.over.wait(60 / PER_MINUTE)

    def _pages(self, start: datetime, end: datetime) -> Iterator[str]:
        try:
            rows = self.reader.rows("1 = 1", start, end, columns="source", limit=PAGES * logsql.PAGE)
            yield from (str(row["id"]) for row in rows)
        except ServiceFailed:
            return


def tail(folder: Path, seconds: float, late: float) -> bool:
    """Both tails over the same lines; whether ours lost none and showed none twice."""
    with started(folder / "tail", PER_MINUTE, late_share=0.2, late=late) as server:
        since = datetime.now(UTC)
        found = context(server.url, folder, hosted=True)
        follower = Follower(LogReader.of(found), "1 = 1", "event_message", since)
        peer = Peer(context(server.url, folder, "b", hosted=True), since)
        producer = Producer(server, seconds)
        peer.start()
        producer.start()
        shown, most, grown = _follow(follower, producer, late)
        peer.over.set()
        peer.join(120)
    lost, twice = _judge(producer.sent, shown)
    peer_lost, peer_twice = _judge(producer.sent, peer.shown)
    minutes = (datetime.now(UTC) - since).total_seconds() / 60
    sys.stdout.write(
        f"{len(producer.sent):,} lines at {RATE}/s, a fifth late by up to {late:g} s, {PER_MINUTE} queries a minute:\n"
        f"ours: {lost} lost, {twice} twice; {follower.reader.budget.spent / minutes:.1f} queries a minute, "
        f"{most:,} ids in memory at most, {follower.kept:,} in the end, {grown:+.0f} MB\n"
        f"the viewer's way: {peer_lost} lost, {peer_twice} twice\n"
    )
    return lost == twice == 0


def _follow(follower: Follower, producer: Producer, late: float) -> tuple[Counter[str], int, float]:
    """Until every line was shown and none can be late any more, or a sweep must have found it."""
    shown: Counter[str] = Counter()
    most, before = 0, _megabytes()
    due = time.monotonic() + producer.seconds + late
    while time.monotonic() < due or (len(shown) < len(producer.sent) and time.monotonic() < due + SETTLING):
        shown.update(str(row["id"]) for row in follower.step())
        most = max(most, follower.kept)
        follower.reader.clock.sleep(follower.pause)
    return shown, most, _megabytes() - before


def _judge(sent: list[str], shown: Counter[str]) -> tuple[int, int]:
    return sum(name not in shown for name in sent), sum(count > 1 for count in shown.values())


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


FILL = """
INSERT INTO logs SELECT concat('h', toString(number)),
fromUnixTimestamp64Micro(toInt64({start} + number * {step}), 'UTC'), 'a line', '', 'function_logs',
map('function_id', 'id-a', 'event_type', 'Log', 'level', 'info') FROM numbers({rows})
WHERE number < {rows} / 3 OR number > {rows} / 2"""


def history(folder: Path) -> bool:
    """Seven days with a gap, by our cursor and by OFFSET; whether both saw the same."""
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    since = until - timedelta(days=DAYS)
    with started(folder / "history") as server:
        step = DAYS * 86_400_000_000 // ROWS
        server.run(FILL.format(start=logsql.micros(since), step=step, rows=ROWS))
        found = context(server.url, folder)
        reader = LogReader.of(found)
        began = time.monotonic()
        ours = [str(row["id"]) for row in reader.rows("1 = 1", since, until, columns=logs.COLUMNS)]
        seconds = time.monotonic() - began
        began = time.monotonic()
        theirs = list(_by_offset(found, since, until))
        other = time.monotonic() - began
    sys.stdout.write(
        f"{len(ours):,} rows of {DAYS} days in {len(windows(since, until))} windows of at most {WINDOW}: "
        f"{seconds:.2f} s, {len(ours) / seconds:,.0f} a second\n"
        f"the same by OFFSET: {other:.2f} s, {other / seconds:.1f} times as long\n"
    )
    return len(ours) == len(set(ours)) and set(ours) == set(theirs)


def _by_offset(found: Context, since: datetime, until: datetime) -> Iterator[str]:
    """The same columns and order."""
    reader = LogReader.of(found)
    for start, end in windows(since, until):
        offset = 0
        page: list[dict[str, Any]] = [{}] * logsql.PAGE
        while len(page) == logsql.PAGE:
            page = reader.query(logsql.rows(logsql.span(start, end), logs.COLUMNS) + f" offset {offset}", start, end)
            offset += len(page)
            yield from (str(row["id"]) for row in page)


def main(seconds: float = 60.0, late: float = 300.0) -> int:
    """Print both comparisons; 1 when anything was lost or shown twice."""
    with tempfile.TemporaryDirectory() as folder:
        told = history(Path(folder))
        followed = tail(Path(folder), seconds, late)
    return 0 if told and followed else 1


if __name__ == "__main__":
    words = [float(word) for word in sys.argv[1:]]
    raise SystemExit(main(*words))
