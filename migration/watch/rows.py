"""What a round reads from the logs: one query over the rows that are new, counted where they lie.

An answer belongs to the look in which its request started, whenever its rows came. A request is one execution: its
gateway row says how it ended, its function rows what it cost and whether it logged an error.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks import stats
from migration.clients.edge import PROBE_AGENT
from migration.config import logsql
from migration.config.settings import Price
from migration.config.signals import Pattern
from migration.logs.reader import MINUTE, LogReader, Row
from migration.verify.readings import ERROR_ROW, cost_of
from migration.watch.judge import Look, together
from migration.watch.model import LookCounts

BURST = 100  # events in 10 s: the platform drops what is above (supabase.com/docs/guides/functions/logging)
LONGEST = timedelta(hours=4)  # of one query, so that its answer stays below the endpoint's 1,000 rows
SLACK = timedelta(minutes=7)  # a request runs for 400 s at most, and its first row is read for its start
_STEP = 1.01  # durations are counted in steps of one percent
_FEW = 10  # requests with which missing rows are worth an alert
_LOST = 0.2  # a share of requests whose rows are missing
_AGENT = "log_attributes['request.headers.user_agent']"
_FID, _VERSION, _EXECUTION = (logsql.attribute(name) for name in ("function_id", "version", "execution_id"))
_STATUS = f"toInt32OrZero({logsql.attribute('status')})"
_MS = f"toInt64OrZero({logsql.attribute('milliseconds')})"
_REFUSED = "status >= 400 and status < 500 and status not in (402, 408, 429)"  # as evidence.Traffic.refused
_COUNTS = {
    "answers": "answers", "failed": "failed", "unavailable": "unavailable", "slow": "slow", "with_errors": "errors",
    "successes": "good", "without_cost": "missing", "too_expensive": "expensive", "refused": "refused",
    "probes": "probes", "billed": "billed",
}  # fmt: skip


@dataclass(frozen=True)
class RowQuery:
    """What is read: `functions` by slug as (function id, live version); `began` and `every` cut time into looks.

    `usage` None: costs are not measured. `promised`: every served request must log its usage, as `cost_logged` demands.
    `slow` in seconds; `dearest` in USD a request, None without a limit.
    """

    functions: Mapping[str, tuple[str, int]]
    began: datetime
    every: timedelta
    usage: Pattern | None = None
    promised: bool = True
    price: Price | None = None
    slow: float = 8.0
    dearest: float | None = None

    def slug(self, id_: str) -> str:
        return next((slug for slug, (own, _) in self.functions.items() if own == id_), id_)

    def number(self, at: datetime) -> int:
        """The look that a moment belongs to."""
        return (at - self.began) // self.every

    def end(self, number: int) -> datetime:
        return self.began + self.every * (number + 1)


@dataclass
class Cell:
    """One function in one look, at its live version. `silent` are served requests without one line of the function,
    `orphans` executions without a row of the gateway, `burst` the most events of the function in 10 s."""

    counts: LookCounts = field(default_factory=LookCounts)
    silent: int = 0
    orphans: int = 0
    burst: int = 0
    seconds: Counter[float] = field(default_factory=Counter)


@dataclass
class Reading:
    """What one round read: cells by (look, slug), versions by (look, slug, region), and how much was read.

    `measured`: the bytes are the engine's own figure, not our estimate.
    """

    cells: dict[tuple[int, str], Cell] = field(default_factory=dict)
    versions: dict[tuple[int, str, str], int] = field(default_factory=dict)
    bytes_read: int = 0
    measured: bool = True

    def answers(self, look: int) -> int:
        """All answers that started in a look, the refused ones too."""
        return sum(one.counts.answers + one.counts.refused for (n, _), one in self.cells.items() if n == look)

    def look(self, wanted: RowQuery, number: int, migrated: Sequence[str]) -> Look:
        """The counts of one look; functions without a request have none."""
        mine = {slug: one for (n, slug), one in self.cells.items() if n == number}
        seconds: Counter[float] = Counter()
        for slug in migrated:
            seconds.update(mine[slug].seconds if slug in mine else {})
        p95 = stats.quantile(seconds, 0.95) if seconds else None
        burst = max((one.burst for slug, one in mine.items() if slug in migrated), default=0)
        why = f"{burst} log events in 10 s: the platform drops what is above {BURST}" if burst >= BURST else ""
        lost = self.lost(wanted, number, migrated)
        return Look(wanted.end(number), {slug: one.counts for slug, one in mine.items()}, p95, lost or why)

    def lost(self, wanted: RowQuery, number: int, migrated: Sequence[str]) -> str:
        """Why log rows of a look must be missing: served requests without one line, executions without an answer.

        A function need not log: only where each request promises its usage, one without a line tells of a lost row.
        """
        if not wanted.usage:
            return ""
        own = {slug: one for (n, slug), one in self.cells.items() if n == number and slug in migrated}
        log = [one for slug, one in own.items() if wanted.promised and slug in wanted.usage.functions]
        silent, orphans = sum(one.silent for one in log), sum(one.orphans for one in own.values())
        served = sum(one.counts.successes for one in log)
        if served >= _FEW and silent >= _LOST * served:
            return f"{silent} of {served} served requests have no line of the function: log rows are missing"
        if orphans >= _FEW and orphans > sum(one.counts.successes for one in own.values()):
            return f"{orphans} executions have no row of the gateway: log rows are missing"
        return ""


def read(reader: LogReader, wanted: RowQuery, since: datetime, until: datetime) -> Reading:
    """Rows of requests that started in a span. One query for each four hours of it; more where there is too much."""
    reading = Reading()
    start = since
    while start < until and wanted.functions:
        end = min(start + LONGEST, until)
        _window(reader, wanted, start, end, reading)
        start = end
    return reading


def _window(reader: LogReader, wanted: RowQuery, start: datetime, end: datetime, reading: Reading) -> None:
    last = min(end + SLACK, reader.clock.now() + MINUTE)
    rows = reader.query(_sql(wanted, start, end), start, max(last, start + MINUTE))
    read_ = getattr(rows, "bytes_read", None)
    reading.measured = reading.measured and read_ is not None
    reading.bytes_read += read_ if read_ is not None else sum(int(row["bytes"]) for row in rows)
    if len(rows) >= logsql.PAGE and end - start > wanted.every:
        middle = start + (end - start) / 2
        _window(reader, wanted, start, middle, reading)
        _window(reader, wanted, middle, end, reading)
        return
    for row in rows:
        _add(wanted, row, reading)


def _add(wanted: RowQuery, row: Row, reading: Reading) -> None:
    slug, version, number = wanted.slug(row["fid"]), str(row["version"]), int(row["look"])
    live = wanted.functions[slug][1] if slug in wanted.functions else 0
    if version.isdigit() and int(row["answers"]):
        for region in row["regions"]:
            if (
                reading.versions.get((number, slug, region), live) == live
            ):  # another one beside the live one is the news
                reading.versions[number, slug, region] = int(version)
    if version != str(live):
        return
    cell = reading.cells.setdefault((number, slug), Cell())
    counts = LookCounts(**{name: int(row[column]) for name, column in _COUNTS.items()})
    cell.counts = together([cell.counts, counts])
    cell.silent += int(row["silent"])
    cell.orphans += int(row["orphans"])
    cell.burst = max(cell.burst, int(row["burst"]))
    for step, many in _pairs(row["steps"]):
        cell.seconds[round(_STEP**step, 4)] += many


def _pairs(value: object) -> Iterator[tuple[int, int]]:
    """A map column: an object, on some versions its text, or a list of pairs."""
    pairs = json.loads(value) if isinstance(value, str) else value
    items = pairs.items() if isinstance(pairs, Mapping) else pairs if isinstance(pairs, list) else ()
    return ((int(key), int(many)) for key, many in items)


def _sql(wanted: RowQuery, start: datetime, end: datetime) -> str:
    """A row a function, version and look; below it a row an execution; below that each row once."""
    first, last = logsql.micros(start), logsql.micros(end)
    began, every = logsql.micros(wanted.began), wanted.every // timedelta(microseconds=1)
    columns = ", ".join(
        [
            f"fid, version, intDiv(at - {began}, {every}) as look",
            *(f"sum({name}) as {name}" for name in ("answers", "failed", "unavailable", "slow", "errors", "good")),
            *(f"sum({name}) as {name}" for name in ("missing", "expensive", "refused", "probes", "billed", "silent")),
            "sum(orphans) as orphans",
            "sum(size) as bytes, sumMap(took) as steps, groupUniqArrayArray(places) as regions",
            "arrayMax(arrayPushBack(mapValues(sumMap(events)), toUInt64(0))) as burst",
        ]
    )
    return (
        f"select {columns} from ({_executions(wanted, start, end)}) where at >= {first} and at < {last} "
        "group by fid, version, look order by look, fid, version limit 1000"
    )


def _executions(wanted: RowQuery, start: datetime, end: datetime) -> str:
    """What one request came to. A request without an execution of its own (a refusal, a failed boot) is its row."""
    failed, good = "edge and (status < 200 or status >= 400) and not refuse", "edge and status >= 200 and status < 400"
    dear = f"lines > 0 and paid / greatest(good, 1) > {wanted.dearest}" if wanted.dearest is not None else "0"
    billed = [id_ for slug, (id_, _) in wanted.functions.items() if wanted.usage and slug in wanted.usage.functions]
    figures = ", ".join(
        [
            "fid, version, key",
            "if(countIf(edge) > 0, minIf(begun, edge), min(us)) as at",
            "countIf(edge and not refuse) as answers, countIf(refuse) as refused",
            f"countIf({failed}) as failed, countIf(edge and status = 503) as unavailable",
            f"countIf({good}) as good, countIf({good} and ms > {1000 * wanted.slow:.0f}) as slow",
            "countIf(not edge) as lines, if(countIf(edge) = 0, 1, 0) as orphans, if(lines = 0, good, 0) as silent",
            "countIf(probe) as probes, countIf(use) as used, sum(cost) as paid",
            "least(answers, if(countIf(wrong) > 0, 1, 0)) as errors",
            f"if(fid in {logsql.literals(billed)}, good, 0) as billed, if(billed > used, billed - used, 0) as missing",
            f"if({dear}, good, 0) as expensive, sum(weight) as size",
            f"sumMapIf(map(step, toUInt64(1)), {good}) as took",
            "sumMapIf(map(ten, toUInt64(1)), not edge) as events",
            "groupUniqArrayIf(region, edge and region != '') as places",
        ]
    )
    return f"select {figures} from ({_rows(wanted, start, end)}) group by fid, version, key"


def _rows(wanted: RowQuery, start: datetime, end: datetime) -> str:
    usage, edge = wanted.usage, logsql.source(logsql.EDGE)
    own = logsql.source(logsql.FUNCTION)
    used = logsql.both(own, usage.sql) if usage else "0"
    cost = f"if(use, {cost_of(usage, wanted.price)}, 0)" if usage else "0"
    columns = ", ".join(
        [
            f"id, {_FID} as fid, {_VERSION} as version, {logsql.MICROSECONDS} as us, {edge} as edge",
            f"if({_EXECUTION} = '', id, {_EXECUTION}) as key",
            f"if(edge, {_STATUS}, 0) as status, if(edge, {_MS}, 0) as ms, us - ms * 1000 as begun",
            f"toInt32(round(log(greatest(ms / 1000, 0.001)) / log({_STEP}))) as step, intDiv(us, 10000000) as ten",
            f"edge and {_REFUSED} as refuse, {used} as use, {cost} as cost",
            f"{logsql.both(own, ERROR_ROW)} as wrong",
            f"edge and startsWith({_AGENT}, {logsql.literal(PROBE_AGENT)}) as probe",
            f"if(edge, {logsql.attribute('edge_region')}, '') as region",
            "length(event_message) + arraySum(arrayMap(v -> length(v) + 8, mapValues(log_attributes))) + 100 as weight",
        ]
    )
    ids = [id_ for id_, _ in wanted.functions.values()]
    kinds = logsql.either(logsql.both(edge, f"{logsql.attribute('method')} != 'OPTIONS'"), own)
    where = logsql.both(logsql.span(start, end + SLACK), kinds, logsql.equal("function_id", *ids))
    return f"select {columns} from logs where {where} limit 1 by id"
