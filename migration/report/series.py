"""Success and response time over time, counted where the logs lie: one query a day, at most 288 points in all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.config import logsql
from migration.logs.names import Names
from migration.logs.reader import LogReader, windows

if TYPE_CHECKING:
    from migration.context import Context

POINTS = 288  # five minutes each of a day
_MINUTE = 60
_STATUS = f"toInt32OrZero({logsql.attribute('status')})"
_TOOK = f"toFloat64OrZero({logsql.attribute('milliseconds')}) / 1000"
# As `checks.evidence.Traffic` counts: 4xx answers are the caller's own doing, except those of a service that is unable.
_REFUSED = "status >= 400 and status < 500 and status not in (402, 408, 429)"


@dataclass(frozen=True)
class Moment:
    """The answers of all migrated functions in one step; those that the caller caused are left out of `answers`.

    `p95` in seconds, of the successful ones; None without one.
    """

    at: datetime
    answers: int
    failed: int
    p95: float | None


@dataclass(frozen=True)
class Series:
    """Points of `step` seconds each, oldest first; a step without a request has none."""

    step: int
    points: tuple[Moment, ...]

    @property
    def answers(self) -> int:
        return sum(one.answers for one in self.points)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.points)


def read(context: Context, since: datetime, until: datetime) -> Series:
    """The series of the migrated functions, whatever version answered. ServiceFailed when the logs cannot be read."""
    step = width(until - since)
    names = Names.of(context)
    ids = names.ids(names.known(context.config.migration.functions))
    moments: dict[int, Moment] = {}
    for start, end in windows(since, until) if ids else ():
        for row in LogReader.of(context).query(_query(ids, step, start, end), start, end):
            one = _moment(row, step)
            moments[int(row["place"])] = _joined(moments.get(int(row["place"])), one)
    return Series(step, tuple(one for _, one in sorted(moments.items()) if one.answers))


def width(span: timedelta) -> int:
    """Seconds of a step: whole minutes, five or more."""
    return max(5, math.ceil(span.total_seconds() / POINTS / _MINUTE)) * _MINUTE


def _query(ids: list[str], step: int, start: datetime, end: datetime) -> str:
    where = logsql.both(
        logsql.source(logsql.EDGE), f"{logsql.attribute('method')} != 'OPTIONS'", logsql.equal("function_id", *ids),
        logsql.span(start, end),
    )  # fmt: skip
    columns = f"id, {_STATUS} as status, {_TOOK} as took, intDiv({logsql.SECOND}, {step}) as place"
    rows = f"(select {columns} from logs where {where} limit 1 by id)"
    served = "status >= 200 and status < 400"
    figures = (
        f"place, count() as n, countIf({served}) as good, countIf({_REFUSED}) as refused, "
        f"quantileExactIf(0.95)(took, {served}) as p95"
    )
    return f"select {figures} from {rows} group by place order by place"


def _moment(row: dict[str, object], step: int) -> Moment:
    many, good, refused, place = (int(str(row[name])) for name in ("n", "good", "refused", "place"))
    at = logsql.EPOCH + timedelta(seconds=place * step)
    return Moment(at, many - refused, many - refused - good, round(float(str(row["p95"])), 3) if good else None)


def _joined(one: Moment | None, other: Moment) -> Moment:
    """A step that two queries share; the slower p95 of the two stands for both."""
    if one is None:
        return other
    times = [each for each in (one.p95, other.p95) if each is not None]
    return Moment(one.at, one.answers + other.answers, one.failed + other.failed, max(times, default=None))
