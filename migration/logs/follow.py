"""A tail that loses nothing and shows nothing twice, over an endpoint that has neither cursor nor push.

Rows may come up to LATE seconds after their own timestamp. So each poll reads one page after the cursor, and now and
then a sweep counts rows per second since the last second that is settled, and reads again what has grown:
whole seconds where that is one page, else only the rows whose ids were never seen. A second is settled once a sweep
found it complete after the last moment at which a row of it could come. Ids are kept for unsettled seconds only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from migration.base.durations import show
from migration.base.errors import ServiceFailed
from migration.config import logsql
from migration.logs.reader import WINDOW, LogReader, Row, passing

LATE = 300  # seconds by which a row may be late
SKEW = 60  # how far this machine's clock may be off
SWEEP_EVERY = 60.0
SWEPT_SECONDS = 900  # one group a second: below the endpoint's 1,000 rows
AHEAD = timedelta(minutes=5)
POLLS = 0.75  # share of the rate budget for polls; the rest is for sweeps
QUICKEST = 1.0
ASKED_IDS = 300  # ids in one request: about 4 KB of URL
MILLION = 1_000_000

HASH = "toUInt32(cityHash64(id))"


class Follower:
    """The state of one tail. `step` does one round and returns its rows; `pause` is how long to wait after it."""

    def __init__(self, reader: LogReader, where: str, columns: str, since: datetime) -> None:
        self.reader = reader
        self.where = where
        self.columns = columns
        self.cursor = (logsql.micros(since) - 1, "\U0010ffff")
        self.settled = logsql.micros(since) // MILLION
        self.begin = since
        self.backlog = False
        self._seen: dict[int, set[str]] = {}
        self._swept = reader.clock.monotonic()
        self._failing: datetime | None = None
        self._read = reader.clock.now()

    def run(self) -> Iterator[Row]:
        """Rows without end."""
        while True:
            yield from self.step()
            self.reader.clock.sleep(self.pause)

    @property
    def pause(self) -> float:
        """Seconds until the next poll: none while there is a backlog, else what the rate budget allows."""
        if self.backlog and self._failing is None:
            return 0.0
        limit = self.reader.budget.per_minute
        return QUICKEST if limit is None else max(QUICKEST, 60 / (limit * POLLS))

    @property
    def kept(self) -> int:
        """How many ids are in memory."""
        return sum(len(ids) for ids in self._seen.values())

    def step(self) -> list[Row]:
        """One round: a sweep when it is due, then one page. An outage is reported once, and so is its end."""
        rows: list[Row] = []
        self._slept()
        try:
            if self.reader.clock.monotonic() - self._swept >= SWEEP_EVERY:
                self.sweep(rows)
            self.poll(rows)
        except ServiceFailed as error:
            self._lost(error)
        else:
            self._back()
        return sorted(rows, key=lambda row: (row["us"], row["id"]))

    def poll(self, rows: list[Row]) -> None:
        """Reads one page after the cursor."""
        now = self.reader.clock.now()
        start = max(logsql.at_micros(self.cursor[0]), self.begin)
        until = min(start + WINDOW, now + AHEAD)
        beyond = logsql.both(logsql.span(start, until), self.where, logsql.beyond(*self.cursor))
        page = self.reader.query(logsql.rows(beyond, self.columns), start, until)
        rows += self._new(page)
        before = self.cursor
        self.backlog = len(page) == logsql.PAGE or until < now
        if page:
            self.cursor = (page[-1]["us"], page[-1]["id"])
        if until < now and len(page) < logsql.PAGE:
            self.cursor = (logsql.micros(until) - 1, "\U0010ffff")
        if before[0] // MILLION <= self.settled:
            self._settle(now)

    def sweep(self, rows: list[Row]) -> None:
        """Reads again what has grown since it was read."""
        now = self.reader.clock.now()
        first, last = self.settled, min(self.cursor[0] // MILLION, self.settled + SWEPT_SECONDS)
        if first <= last:
            grown = self._grown(first, last)
            if grown:
                rows += self._new(self._again(grown))
            self._settle(now, last)
        self._swept = self.reader.clock.monotonic()

    def _grown(self, first: int, last: int) -> dict[int, int]:
        """Seconds that hold more rows than were seen, and how many rows that is."""
        select = f"{logsql.SECOND} as second, uniqExact(id) as n"
        rows = self.reader.aggregate(select, self.where, *self._edges(first, last), group="second")
        counts = {int(row["second"]): int(row["n"]) for row in rows}
        return {second: n for second, n in counts.items() if n > len(self._seen.get(second, ()))}

    def _again(self, grown: dict[int, int]) -> Iterator[Row]:
        start, end = self._edges(min(grown), max(grown))
        inside = logsql.both(self.where, f"{logsql.SECOND} in ({', '.join(map(str, sorted(grown)))})")
        if sum(grown.values()) <= logsql.PAGE:
            yield from self.reader.rows(inside, start, end, columns=self.columns)
            return
        missing = self._missing(inside, start, end)
        if len(missing) / ASKED_IDS > sum(grown.values()) / logsql.PAGE:
            yield from self.reader.rows(inside, start, end, columns=self.columns)
            return
        for piece in _pieces(missing, ASKED_IDS):
            wanted = f"{HASH} in ({', '.join(map(str, piece))})"
            yield from self.reader.rows(logsql.both(inside, wanted), start, end, columns=self.columns)

    def _missing(self, inside: str, start: datetime, end: datetime) -> list[int]:
        """Hashes of the ids that were never seen: one row a second, all ids of it in an array."""
        select = f"{logsql.SECOND} as second, groupUniqArray((id, {HASH})) as ids"
        rows = self.reader.aggregate(select, inside, start, end, group="second")
        return [
            int(hashed)
            for row in rows
            for id_, hashed in row["ids"]
            if id_ not in self._seen.get(int(row["second"]), ())
        ]

    def _new(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            row["us"] = int(row["us"])
            seen = self._seen.setdefault(row["us"] // MILLION, set())
            if row["id"] not in seen:
                seen.add(row["id"])
                yield row

    def _settle(self, now: datetime, last: int | None = None) -> None:
        """Seconds in which no row can appear any more, and that were read since, need no memory."""
        final = logsql.micros(now) // MILLION - LATE - SKEW
        reached = self.cursor[0] // MILLION if last is None else last
        self.settled = max(self.settled, min(final, reached))
        for second in [second for second in self._seen if second < self.settled]:
            del self._seen[second]

    def _edges(self, first: int, last: int) -> tuple[datetime, datetime]:
        """Whole seconds, but nothing from before the beginning."""
        return max(self.begin, logsql.at_micros(first * MILLION)), logsql.at_micros((last + 1) * MILLION)

    def _slept(self) -> None:
        now = self.reader.clock.now()
        away = (now - self._read).total_seconds()
        if away > LATE and self._failing is None:
            self.reader.observer.note(
                f"no logs read for {show(away)} (asleep or busy): continuing from {self._read:%H:%M:%S}"
            )
        self._read = now

    def _lost(self, error: ServiceFailed) -> None:
        if not passing(error):
            raise error
        if self._failing is None:
            self._failing = self.reader.clock.now()
            self.reader.observer.warn(f"cannot read the logs ({error.message.rstrip('.')}): retrying")

    def _back(self) -> None:
        if self._failing is not None:
            away = (self.reader.clock.now() - self._failing).total_seconds()
            self.reader.observer.note(f"reading the logs again after {show(away)}: nothing was skipped")
        self._failing = None


def _pieces(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))
