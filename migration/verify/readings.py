"""What the logs say of some versions of some functions, counted where the logs lie: one query a question and day.

Rows are taken once by their id. Only rows of the given functions and versions count, never a span of time alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from checks.evidence import Faults, Offender, Spend, Traffic
from migration.base.secrets_type import cropped
from migration.config import logsql, signals
from migration.config.settings import Price
from migration.config.signals import Pattern
from migration.logs.reader import WINDOW, LogReader, Row

GRACE = timedelta(seconds=120)  # how late a log line may come
BEFOREHAND = timedelta(minutes=7)  # a request ends at most 400 s after its first line
_DAY = WINDOW - BEFOREHAND
_STEP = 1.01  # durations are counted in steps of one percent
_SHOWN = 8
_MESSAGE = 160  # characters of a log line
_NO_ROUTES = {"usage", "failure", "retry"}
_FID, _VERSION, _EXECUTION = (logsql.attribute(name) for name in ("function_id", "version", "execution_id"))
_STATUS = f"toInt32OrZero({logsql.attribute('status')})"
_SECONDS = f"toFloat64OrZero({logsql.attribute('milliseconds')}) / 1000"
_SERVED = f"({_STATUS} >= 200 and {_STATUS} < 400)"
_ERROR = {
    "UncaughtException": f"{logsql.attribute('event_type')} = 'UncaughtException'",
    "BootFailure": f"{logsql.attribute('event_type')} = 'BootFailure'",
    "error": f"{logsql.attribute('level')} in ('error', 'fatal')",
}

ERROR_ROW = logsql.either(*_ERROR.values())  # a condition on a row of `function_logs`


@dataclass(frozen=True)
class LiveVersions:
    """Versions of functions in a span of time: `functions` by slug as (function id, version)."""

    functions: Mapping[str, tuple[str, int]]
    since: datetime
    until: datetime

    def slug(self, id_: str) -> str:
        return next((slug for slug, (own, _) in self.functions.items() if own == id_), id_)

    @property
    def where(self) -> str:
        """Rows of exactly these versions."""
        return logsql.either(
            *(logsql.both(logsql.equal("function_id", id_), logsql.equal("version", str(version)))
              for id_, version in self.functions.values())
        )  # fmt: skip


def traffic(reader: LogReader, scope: LiveVersions) -> tuple[Traffic, ...]:
    """Answers by function, preflights left out; a function without a request has an empty one."""
    columns = (
        f"{_FID} as fid, {_STATUS} as status, {_SERVED} as served, {_EXECUTION} as execution, {_SECONDS} as took, "
        f"toInt32(round(log(greatest(took, 0.001)) / log({_STEP}))) as step"
    )
    where = logsql.both(logsql.source(logsql.EDGE), f"{logsql.attribute('method')} != 'OPTIONS'", scope.where)
    figures = (
        "fid, status, count() as n, sumMapIf(map(step, toUInt64(1)), served) as steps, "
        f"groupArrayIf({_SHOWN})(concat(execution, ' ', toString(round(took, 1))), status >= 400) as bad"
    )
    tallies = {slug: _Tally(slug) for slug in scope.functions}
    for start, end in _days(scope):
        rows = _once(columns, logsql.both(where, logsql.span(start, end)))
        sql = f"select {figures} from {rows} group by fid, status order by fid, status"
        for row in reader.query(sql, start, end):
            tallies[scope.slug(row["fid"])].add(row)
    return tuple(tally.traffic() for tally in tallies.values())


class _Tally:
    """One function's rows of all days, added up."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.statuses: Counter[int] = Counter()
        self.seconds: Counter[float] = Counter()
        self.bad: list[Offender] = []

    def add(self, row: Row) -> None:
        status = int(row["status"])
        self.statuses[status] += int(row["n"])
        for step, count in _map(row["steps"]).items():
            self.seconds[round(_STEP ** int(step), 4)] += int(count)
        if Traffic(self.slug, {status: 1}).refused:
            return
        for text in row["bad"]:
            execution, _, took = str(text).rpartition(" ")
            self.bad.append(Offender(execution, self.slug, f"{status} after {float(took):.1f}s"))

    def traffic(self) -> Traffic:
        return Traffic(self.slug, dict(self.statuses), dict(self.seconds), tuple(self.bad))


def spend(
    reader: LogReader, scope: LiveVersions, usage: Pattern, settled: datetime, price: Price | None = None
) -> Spend:
    """Usage lines against successful requests, joined by execution, and what they cost by their own figure.

    After `settled` a missing line may still come: log lines are delivered late.
    A line without a cost is priced by its tokens; without a price nothing is known of it. What failed requests cost is
    part of the total, so the mean is the price of one success, waste included.
    """
    total: Counter[str] = Counter()
    without: list[Offender] = []
    for start, end in _days(scope):
        for row in reader.query(
            _stories(scope, cost_of(usage, price), usage, start, end, settled), start - BEFOREHAND, end
        ):
            total.update({name: float(row[name] or 0) for name in row if name != "without"})
            parts = (str(text).split(" ", 1) for text in row["without"])
            without += [Offender(execution, scope.slug(fid), "served without a usage line") for fid, execution in parts]
    priced = price is not None or total["total"] > 0 or not total["lined"]
    return replace(_spend(total, tuple(without)), priced=priced)


def _stories(scope: LiveVersions, cost: str, usage: Pattern, start: datetime, end: datetime, settled: datetime) -> str:
    """One row an execution, then one row in all. Answers count from `start`; their lines may be older."""
    line = logsql.both(logsql.source(logsql.FUNCTION), usage.sql)
    edge = logsql.both(logsql.source(logsql.EDGE), f"{logsql.attribute('method')} != 'OPTIONS'")
    answer = logsql.both(edge, logsql.span(start, end))
    columns = (
        f"{_FID} as fid, {_EXECUTION} as execution, ({edge} and {_SERVED}) as served, ({line}) as used, "
        f"{logsql.MICROSECONDS} as us, if(used, {cost}, 0) as cost, "
        f"if(used, {signals.number(usage, 'total')}, 0) as tokens"
    )
    either = logsql.either(answer, logsql.both(line, logsql.span(start - BEFOREHAND, end)))
    rows = _once(columns, logsql.both(scope.where, either))
    each = (
        "select fid, execution, countIf(served) as good, countIf(used) as lines, maxIf(us, served) as at, "
        f"maxIf(us, used) as written, sum(cost) as paid, sum(tokens) as tokens from {rows} group by fid, execution"
    )
    short, old = "good > lines", f"at <= {logsql.micros(settled)}"
    counted = f"good > 0 or written >= {logsql.micros(start)}"
    return (
        f"select sum(good) as goods, sum(least(good, lines)) as lined, sumIf(good - lines, {short} and {old}) as "
        f"missing, sumIf(good - lines, {short} and not ({old})) as late, sumIf(good, {old}) as ripe, "
        f"sumIf(tokens, {counted}) as used, sumIf(paid, {counted}) as total, "
        "sumIf(paid, good > 0 and lines > 0) as own, sumIf(paid * paid / good, good > 0 and lines > 0) as squares, "
        f"groupArrayIf({_SHOWN})(concat(fid, ' ', execution), {short} and {old}) as without from ({each})"
    )


def _spend(total: Mapping[str, float], without: tuple[Offender, ...]) -> Spend:
    good, lined = round(total["goods"]), round(total["lined"])
    own = total["own"] / lined if lined else 0.0
    variance = max(total["squares"] - lined * own * own, 0.0) / (lined - 1) if lined > 1 else 0.0
    mean = total["total"] / lined if lined else 0.0
    counts = (good, lined, round(total["missing"]), round(total["late"]), round(total["used"]))
    return Spend(*counts, total["total"], mean, math.sqrt(variance), without, round(total["ripe"]))


def faults(
    reader: LogReader, scope: LiveVersions, watched: Mapping[str, Pattern | None]
) -> tuple[Faults, dict[str, int]]:
    """Rows that report an error, and the lines of their own route of the functions in `watched`, by slug.

    Errors of the watched ones are not counted: they are not what the migration brought.
    """
    figures = (
        "fid, kind, count() as n, countIf(routed) as routes, "
        f"groupArrayIf({_SHOWN})(concat(execution, ' ', message), kind != '') as bad"
    )
    where = logsql.both(logsql.source(logsql.FUNCTION), scope.where)
    kinds: Counter[str] = Counter()
    lines = {slug: 0 for slug, route in watched.items() if route is not None}
    bad: list[Offender] = []
    for start, end in _days(scope):
        rows = _once(_kinds(scope, watched), logsql.both(where, logsql.span(start, end)))
        for row in reader.query(f"select {figures} from {rows} group by fid, kind order by fid, kind", start, end):
            slug = scope.slug(row["fid"])
            if slug in lines:
                lines[slug] += int(row["routes"])
            if row["kind"] and slug not in watched:
                kinds[row["kind"]] += int(row["n"])
                bad += [_complaint(slug, str(text)) for text in row["bad"]]
    return Faults(sum(kinds.values()), dict(kinds), tuple(bad)), lines


def _kinds(scope: LiveVersions, watched: Mapping[str, Pattern | None]) -> str:
    """Columns: which kind of error a row is, "" for none, and whether it is a line of the function's own route."""
    kind = "multiIf(" + ", ".join(f"{test}, {logsql.literal(name)}" for name, test in _ERROR.items()) + ", '')"
    known = {slug: route for slug, route in watched.items() if route is not None and slug in scope.functions}
    own = (
        logsql.both(logsql.equal("function_id", scope.functions[slug][0]), route.sql) for slug, route in known.items()
    )
    message = "substring(event_message, 1, 1000) as message"
    return f"{_FID} as fid, {_EXECUTION} as execution, {kind} as kind, ({logsql.either(*own)}) as routed, {message}"


def _complaint(slug: str, text: str) -> Offender:
    execution, _, message = text.partition(" ")
    return Offender(execution, slug, cropped(" ".join(message.split()), _MESSAGE))


def _days(scope: LiveVersions) -> list[tuple[datetime, datetime]]:
    """Spans that fit into one query together with the time before; none without functions."""
    spans, start = [], scope.since
    while scope.functions and start < scope.until:
        spans.append((start, min(start + _DAY, scope.until)))
        start += _DAY
    return spans


def _once(columns: str, where: str) -> str:
    """Each row once: the platform may deliver one twice."""
    return f"(select id, {columns} from logs where {where} limit 1 by id)"


def cost_of(usage: Pattern, price: Price | None) -> str:
    """The USD that a line names, else what its tokens come to."""
    claimed = signals.number(usage, "cost")
    if price is None:
        return claimed
    input_, cached, output = (signals.number(usage, name) for name in ("input", "cached", "output"))
    rest = (
        f"(({input_}) - ({cached})) * {price.input} + ({cached}) * {price.cached_input} + ({output}) * {price.output}"
    )
    return f"if({claimed} > 0, {claimed}, ({rest}) / 1000000)"


def _map(value: Any) -> Mapping[str, Any]:
    """A map column: an object, or on some versions its text."""
    pairs = json.loads(value) if isinstance(value, str) else value
    return dict(pairs) if isinstance(pairs, list) else pairs or {}


def routes(known: Mapping[str, Pattern], unchanged: Sequence[str]) -> dict[str, Pattern | None]:
    """The signal that names an unchanged function as its own, by slug; None where there is none."""
    usable = [pattern for name, pattern in known.items() if name not in _NO_ROUTES]
    return {slug: next((route for route in usable if slug in route.functions), None) for slug in unchanged}
