"""What the migration costs: from the logs, against the provider's bill, projected, against the budget.

Days are UTC days, as the provider bills. Completed days that the ledger knows are not read from the logs again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from migration.base.command import Do, inv
from migration.base.errors import ApiError, ConfigError
from migration.base.numbers import count
from migration.config import logsql, signals
from migration.config.settings import PROOFS, Price, ProviderSettings
from migration.config.signals import Pattern
from migration.costs import bill, daily, reconcile, usage_query
from migration.costs.bill import Bill
from migration.costs.prices import UNNAMED, Prices, unsourced
from migration.costs.projection import gauge, project
from migration.costs.report import CostLine, CostReport, RequestCost, SizeClass, SourceSpan, TokenCounts
from migration.costs.totals import Totals, total
from migration.costs.usage_query import MODEL, MOST_DOLLARS, MOST_TOKENS
from migration.logs.names import Names
from migration.logs.reader import WINDOW, LogReader, Row, windows

if TYPE_CHECKING:
    from migration.context import Context

DAY = timedelta(days=1)
CLASSES = 24  # of the distribution
SMALLEST = timedelta(minutes=1)  # half of it is not asked for
TOO_MUCH = re.compile(r"Code: (?:159|241)\.|TIMEOUT_EXCEEDED|MEMORY_LIMIT_EXCEEDED")
RETENTION = (
    DAY,
    7 * DAY,
    28 * DAY,
    90 * DAY,
)  # by the platform's plans: where one ends, the logs may begin inside a day
SETTLED = timedelta(minutes=10)  # after midnight: late rows are in


@dataclass(frozen=True)
class HourlyUsage:
    """An hour (or, from the ledger, a day) of one function, and of one model where usage lines name it; `inside` the
    asked range or only in its first day."""

    at: datetime
    slug: str
    inside: bool
    totals: Totals
    whole_day: bool = False
    model: str = ""


def run(context: Context, since: datetime, by: str = "day") -> CostReport:
    """The costs from `since` until now, by `day`, `function`, `hour` or `model`. ServiceFailed when the logs cannot be
    read."""
    target = context.config.target
    if target is None:
        raise ConfigError("migration.to names no provider, so there is no price.",
                          Do("set migration.to in config.yaml to one of providers, with its price"))  # fmt: skip
    if target.price is None:
        raise ConfigError(f"providers.{context.config.migration.to} has no price.", Do("add it to config.yaml"))
    now, price = context.clock.now(), target.price
    reader = UsageReader(context, since, now, price)
    past = daily.known(context)
    logged = reader.segments(() if by in ("hour", "model") else past)
    cells = [cell for span in logged for cell in reader.read(*span)]
    kept = _ledger_cells(past, cells, since, now, context.config.migration.functions)
    over = _completed(cells, past, logged, now)
    cut = {now.date() - kept for kept in RETENTION}
    daily.keep(context, {day: totals for day, totals in over.items() if day not in cut or reader.older(midnight(day))})
    charged = _bill(context, target, since.astimezone(UTC).date(), now.date())
    return _report(context, by, since, now, [*cells, *kept], charged, (*_parts("logs", logged), *_kept_parts(kept)))


def _bill(context: Context, target: ProviderSettings, since: date, today: date) -> Bill:
    """An empty one from a kind of provider that reports no spend."""
    return bill.read(context, target.listed, since, today) if "usage" in PROOFS[target.kind] else Bill(since, today)


class UsageReader:
    """Reads the cells of one run."""

    def __init__(self, context: Context, since: datetime, until: datetime, price: Price) -> None:
        self.usage = signals.usage(context.config)
        self.retry: Pattern | None = signals.named(context.config).get("retry")
        self.names = Names.of(context)
        self.ids = self.names.ids(self.names.known(self.usage.functions))
        self.reader = LogReader.of(context)
        self.since, self.until, self.price = since, until, price

    def segments(self, past: Iterable[date]) -> list[tuple[datetime, datetime]]:
        """Stretches to be read from the logs: from the first midnight on, without the whole days that are known.

        The first day is read in any case when it is wanted in part.
        """
        known = {day for day in past if midnight(day) >= self.since and midnight(day) + DAY <= self.until}
        day, spans = midnight(self.since.astimezone(UTC).date()), list[tuple[datetime, datetime]]()
        while day < self.until:
            end = min(day + DAY, self.until + timedelta(minutes=1))
            if day.date() not in known:
                joined = spans and spans[-1][1] == day
                spans[-1:] = [(spans[-1][0], end)] if joined else [*spans[-1:], (day, end)]
            day += DAY
        return spans

    def read(self, start: datetime, end: datetime) -> list[HourlyUsage]:
        """The cells of a stretch; one query a window."""
        return [cell for window in windows(start, end) for cell in self._window(*window)] if self.ids else []

    def _window(self, start: datetime, end: datetime) -> Iterable[HourlyUsage]:
        """The cells of one query; of two halves where one is too much for the engine or for one answer."""
        self.reader.observer.step("reading the logs", detail=f"{start:%d %B}")
        sql = usage_query.window(self.ids, self.usage, self.retry, self.price, self.since, (start, end))
        try:
            rows = self.reader.query(sql, start, end)
        except ApiError as error:
            if not TOO_MUCH.search(error.body) or end - start < SMALLEST:
                raise
        else:
            if len(rows) < logsql.PAGE:
                return [self._cell(row) for row in rows]
        middle = start + (end - start) / 2
        return [*self._window(start, middle), *self._window(middle, end)]

    def older(self, at: datetime) -> bool:
        """Whether the logs, of whatever source, reach back beyond that time: what follows it is there as a whole."""
        return self.reader.scalar("count()", "1 = 1", at - WINDOW, at) > 0

    def _cell(self, row: Row) -> HourlyUsage:
        at = logsql.at_micros(int(row["hour"]) * 3_600_000_000)
        slug, inside, model = self.names.slug(row["function"]), bool(int(row["inside"])), str(row.get(MODEL) or "")
        return HourlyUsage(at, slug, inside, Totals.of(row), model=model)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _ledger_cells(
    past: Mapping[date, daily.Day],
    cells: Sequence[HourlyUsage],
    since: datetime,
    until: datetime,
    functions: Sequence[str],
) -> list[HourlyUsage]:
    """Days of the range of which the logs hold nothing, or were not asked, as the ledger has them."""
    read = {cell.at.date() for cell in cells}
    first, last = since.astimezone(UTC).date(), until.date()
    return [
        HourlyUsage(midnight(day), slug, True, totals, whole_day=True)
        for day, recorded in sorted(past.items())
        if first <= day < last and day not in read
        for slug, totals in recorded.items()
        if slug in functions
    ]


def _completed(
    cells: Sequence[HourlyUsage],
    past: Mapping[date, daily.Day],
    read: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> dict[date, dict[str, Totals]]:
    """Days that are over, were read whole, hold anything and are not in the ledger yet."""
    days: dict[date, dict[str, Totals]] = defaultdict(dict)
    for cell in cells:
        day = cell.at.date()
        begin, end = midnight(day), midnight(day) + DAY
        whole = any(start <= begin and end <= stop for start, stop in read)
        if whole and day not in past and end + SETTLED <= now:
            days[day][cell.slug] = days[day].get(cell.slug, Totals()) + cell.totals
    return days


def _report(context: Context, by: str, since: datetime, now: datetime, cells: Sequence[HourlyUsage], charged: Bill,
            sources: tuple[SourceSpan, ...]) -> CostReport:  # fmt: skip
    target = context.config.target
    assert target is not None and target.price is not None
    price, budget, prices = target.price, context.config.budget, Prices(context.config, target.price)
    inside = [cell for cell in cells if cell.inside]
    window, whole = total(cell.totals for cell in inside), total(cell.totals for cell in cells)
    cost = sum(cell.totals.cost(prices.of(cell.model)) for cell in inside)
    factor = reconcile.billed_price(whole, price, charged)
    paid = min(window.succeeded, window.lines) if window.succeeded else window.lines  # a free route logs no usage
    mean = factor * cost / paid if paid else None
    unmeasured = _unmeasured(inside)
    days, (rest, hours) = _history(inside, since, now, prices, unmeasured)
    projection = project(budget, mean, [factor * day for day in days], (factor * rest, hours))
    return CostReport(
        since, now, by,
        requests=window.requests, succeeded=window.succeeded, lines=window.lines, retries=window.retries,
        retry_share=window.retries / window.requests if window.requests else None,
        tokens=_tokens(window), cost=cost if window.measured else None, logged_cost=window.claimed,
        provider_cost=charged.cost, provider_since=charged.since, provider_basis=charged.basis,
        per_request=RequestCost(mean, *(_times(factor, window.quantile(share)) for share in (0.5, 0.95))),
        rows=_rows(inside, by, prices),
        differences=tuple(
            each for each in reconcile.differences(window, whole, price, charged)
            if (window.claimed is not None if each.between == "logged" else whole.measured)
        ),
        projection=projection, budget=gauge(budget, charged.month, projection),
        sources=sources, notes=_notes(window, charged, factor, context.environment.name == "sandbox", unmeasured),
        distribution=tuple(SizeClass(factor * low, factor * high, many) for low, high, many in window.classes(CLASSES)),
        unsourced=unsourced(
            (context.config.migration.to or "", target), signals.usage(context.config), charged.cost is not None,
            window.claimed is not None, {cell.model for cell in inside if cell.totals.lines}, prices,
        ),
    )  # fmt: skip


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _rows(cells: Sequence[HourlyUsage], by: str, prices: Prices) -> tuple[CostLine, ...]:
    grouped: dict[str, list[HourlyUsage]] = defaultdict(list)
    named = any(cell.model for cell in cells)
    for cell in cells:
        if by != "model" or cell.totals.lines:
            grouped[_key(cell, by, "" if named else prices.model)].append(cell)
    return tuple(_line(key, parts, by, prices) for key, parts in sorted(grouped.items()))


def _key(cell: HourlyUsage, by: str, only: str) -> str:
    """`only`: the one model that all lines count as, where none names its own."""
    if by == "model":
        return cell.model or only or UNNAMED
    if by == "function":
        return cell.slug
    if by == "day" or cell.whole_day:
        return cell.at.date().isoformat()
    return cell.at.strftime("%Y-%m-%dT%H:00Z")


def _line(key: str, cells: Sequence[HourlyUsage], by: str, prices: Prices) -> CostLine:
    totals = total(cell.totals for cell in cells)
    cost = sum(cell.totals.cost(prices.of(cell.model)) for cell in cells)
    requests = totals.lines if by == "model" else totals.requests
    return CostLine(key, requests, totals.retries, _tokens(totals), cost if totals.measured else None, totals.claimed)


def _tokens(totals: Totals) -> TokenCounts:
    return TokenCounts(totals.input, totals.cached, totals.output, totals.reasoning)


def _unmeasured(cells: Iterable[HourlyUsage]) -> dict[date, int]:
    """Days on which requests succeeded and no usage line says what they cost, with how many did."""
    days: dict[date, Totals] = defaultdict(Totals)
    for cell in cells:
        days[cell.at.date()] += cell.totals
    return {day: totals.succeeded for day, totals in days.items() if totals.succeeded and not totals.lines}


def _history(
    cells: Sequence[HourlyUsage], since: datetime, now: datetime, prices: Prices, unmeasured: Container[date]
) -> tuple[list[float], tuple[float, float]]:
    """The cost of each completed day in order, from the first that was measured, without those that were not; and cost
    and hours of the rest."""
    spent: dict[date, float] = defaultdict(float)
    for cell in (cell for cell in cells if cell.totals.lines):
        spent[cell.at.date()] += cell.totals.cost(prices.of(cell.model))
    first, last = since.astimezone(UTC).date(), now.date()
    whole = [first + n * DAY for n in range((last - first).days) if midnight(first + n * DAY) >= since]
    days = [day for day in whole if spent and day >= min(spent) and day not in unmeasured]
    partial = sum(cost for day, cost in spent.items() if day not in days)
    rest = [day for day in {first, last} if day not in whole and day not in unmeasured]
    hours = sum((min(now, midnight(day) + DAY) - max(since, midnight(day))).total_seconds() / 3600 for day in rest)
    return [spent.get(day, 0.0) for day in days], (partial, hours)


def _notes(
    totals: Totals, billed: Bill, factor: float, sandbox: bool, unmeasured: Mapping[date, int]
) -> tuple[str, ...]:  # fmt: skip
    notes = list(billed.notes)
    if sandbox and billed.cost is not None and factor == 1.0:
        notes.append("The sandbox bills by the price in config.yaml, so it cannot show whether that price is right.")
    if factor != 1.0:
        taken = "cost per request and projection follow the bill"
        notes.append(f"The provider bills {factor:.2f} times the price in config.yaml: {taken}.")
    if billed.others > 0:
        notes.append(f"The account also spent ${billed.others:.2f} on other models in these days.")
    if totals.implausible:
        most = f"more than {MOST_TOKENS:,} tokens or ${MOST_DOLLARS:,}"
        notes.append(f"{count(totals.implausible, 'usage line')} left out: {most} in one request cannot be right.")
    if totals.tokenless:
        notes.append(f"{count(totals.tokenless, 'usage line')} without token counts: taken at the cost they log.")
    why = f"matches signals.usage: {inv('logs', explain=True, signal='usage')} shows why"
    if not totals.measured:
        notes.append(f"No line of {count(totals.requests, 'request')} {why}.")
    elif unmeasured:
        many = f"{count(sum(unmeasured.values()), 'request')} of {count(len(unmeasured), 'day')}"
        notes.append(f"No line of {many} {why}; their cost is in no figure by tokens.")
    if not totals.requests and not totals.lines:
        notes.append("No requests of the migrated functions in this time.")
    return tuple(notes)


def _parts(source: str, spans: Sequence[tuple[datetime, datetime]]) -> tuple[SourceSpan, ...]:
    return tuple(SourceSpan(source, start, end) for start, end in spans)


def _kept_parts(cells: Sequence[HourlyUsage]) -> tuple[SourceSpan, ...]:
    return _parts("ledger", sorted({(cell.at, cell.at + DAY) for cell in cells}))
