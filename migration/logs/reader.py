"""Reading the hosted logs: windows of at most a day, pages of a thousand rows, failures retried, a rate budget kept.

The endpoint rounds times to the minute and takes 24 hours at most, so a window is a little shorter than a day, it is
asked for with a margin, and the exact range stands in the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from migration.base.clock import Clock
from migration.base.command import AGAIN
from migration.base.durations import show
from migration.base.errors import ApiError, ServiceFailed, Unknown
from migration.base.limiter import RateLimiter
from migration.base.progress import Observer
from migration.base.retry import Retry, transient
from migration.config import logsql

if TYPE_CHECKING:
    from migration.context import Context

WINDOW = timedelta(hours=23, minutes=57)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
HOSTED_PER_MINUTE = 8  # users report 10 a minute and project: two are left to colleagues
ATTEMPTS = 6
LIMITED = 30.0  # seconds to wait after a 429 that names no time
PATIENCE = 180.0  # seconds that one failing query is repeated, where the environment does not say
_ENGINE = re.compile(r"\bCode: \d+\.|DB::Exception|not allowed")  # a query that fails like that fails again
_RETRY = Retry(attempts=ATTEMPTS, first=1.0, longest=30.0)

Row = dict[str, Any]


class LogEndpoint(Protocol):
    """What answers one query, such as `clients.supabase.Supabase`."""

    def logs(self, sql: str, start: datetime, end: datetime) -> list[Row]: ...


class LogReader:
    """Queries the hosted logs. All readers of a run share one query budget.

    `rows(where, since, until)`: every row, in order. `aggregate(select, where, since, until)`: counts and sums.
    `query(sql, since, until)`: one request. `where` is SQL built with `logsql`; times are aware datetimes, `since`
    included and `until` not. ServiceFailed (often ApiError) when the endpoint goes on failing.
    """

    def __init__(
        self,
        supabase: LogEndpoint,
        clock: Clock,
        budget: RateLimiter | None = None,
        observer: Observer | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.supabase = supabase
        self.clock = clock
        self.patience = patience
        self.budget = budget or RateLimiter(clock, HOSTED_PER_MINUTE)
        self.observer = observer or Observer()

    @classmethod
    def of(cls, context: Context, patience: float = float("inf")) -> LogReader:
        """A reader of the run; all of them share one budget, which is the environment's. `patience`: for how many
        seconds it repeats a failing query at most, where what waits for it is more urgent."""
        own = context.environment
        most = min(own.logs.patience, patience)
        return cls(context.supabase, context.clock, context.log_limiter, context.observer, most)

    def rows(
        self,
        where: str,
        since: datetime,
        until: datetime,
        *,
        columns: str = "source, event_message, log_attributes",
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Every row that meets `where`, each id once, as dicts with `id`, `us` (int, since 1970) and the columns.

        Oldest first unless `newest_first`; at most `limit` of them. Holds one page at a time.
        """
        pieces = windows(since, until, newest_first)
        rows = (row for piece in pieces for row in self._window(where, *piece, columns, newest_first))
        return islice(rows, limit)

    def aggregate(self, select: str, where: str, since: datetime, until: datetime, group: str = "") -> list[Row]:
        """One query a window of a day: `select` (aggregates, and the group's columns) over the rows that meet `where`.

        The rows of all windows come one after another: over more than a day the caller adds up. 1,000 groups at most.
        """
        grouped = f" group by {group}" if group else ""
        rows: list[Row] = []
        for start, end in windows(since, until):
            condition = logsql.both(logsql.span(start, end), where)
            rows += self.query(f"select {select} from logs where {condition}{grouped}", start, end)
        return rows

    def scalar(self, select: str, where: str, since: datetime, until: datetime) -> float:
        """The sum over all windows of one aggregate such as `count()`; 0.0 without rows."""
        rows = self.aggregate(f"{select} as value", where, since, until)
        return sum(float(row["value"] or 0) for row in rows)

    def query(self, sql: str, since: datetime, until: datetime) -> list[Row]:
        """One request for a range of at most WINDOW, repeated while the endpoint fails in a way that may pass."""
        start, end = since.replace(second=0, microsecond=0), _ceiling(until) + MINUTE
        deadline = self.clock.monotonic() + self.patience
        for attempt in range(1, ATTEMPTS + 1):
            self.budget.take()
            try:
                return self.supabase.logs(sql, start, end)
            except ServiceFailed as error:
                self._pause(error, attempt, deadline)
        raise AssertionError("the last attempt returns or raises")

    def _window(self, where: str, start: datetime, end: datetime, columns: str, newest: bool) -> Iterator[Row]:
        first, last, cursor, seen = start, end, "", ""
        while True:
            condition = logsql.both(logsql.span(first, last), where, cursor)
            page = self.query(logsql.rows(condition, columns, newest), start, end)
            for row in page:
                row["us"] = _microseconds(row)
                if row["id"] != seen:
                    yield row
                seen = row["id"]
            if len(page) < logsql.PAGE:
                return
            cursor = logsql.beyond(page[-1]["us"], page[-1]["id"], newest)
            at = logsql.at_micros(page[-1]["us"])
            first, last = (start, at + MICROSECOND) if newest else (at, end)  # the engine skips what was read

    def _pause(self, error: ServiceFailed, attempt: int, deadline: float) -> None:
        wait = _RETRY.pause(error, attempt) if passing(error) else None
        limited = error if isinstance(error, ApiError) and error.status == 429 else None
        if wait is not None and limited is not None and limited.retry_after is None:
            wait = LIMITED
        if wait is None or self.clock.monotonic() + wait > deadline:
            raise error
        if limited is not None:
            self.budget.pause(wait)
            detail = f"retrying in {show(wait)}, then at most {self.budget.per_minute} queries a minute"
            self.observer.note(f"rate-limited by the logs API: {detail}")
        else:
            self.clock.sleep(wait)


def passing(error: ServiceFailed) -> bool:
    """Whether the same query may succeed later: overload and broken connections, not refusals and bad SQL."""
    return transient(error) and not (isinstance(error, ApiError) and _ENGINE.search(error.body))


def windows(since: datetime, until: datetime, newest_first: bool = False) -> list[tuple[datetime, datetime]]:
    """The range in pieces that the endpoint takes; none when it is empty."""
    count = -((since - until) // WINDOW)
    if newest_first:
        return [(max(since, until - (n + 1) * WINDOW), until - n * WINDOW) for n in range(count)]
    return [(since + n * WINDOW, min(since + (n + 1) * WINDOW, until)) for n in range(count)]


def _microseconds(row: Row) -> int:
    try:
        return int(row["us"])
    except (TypeError, ValueError):
        raise Unknown(f"The platform sent a log row whose time cannot be read: {row['us']!r}.", AGAIN) from None


def _ceiling(at: datetime) -> datetime:
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + MINUTE
