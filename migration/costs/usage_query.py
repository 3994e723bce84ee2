"""One query a window: requests, retries, tokens and claimed cost, by hour and function, added up in the log engine.

Three layers: read each line once, turn its texts into numbers, add up by hour, function and size of the cost; then the
sizes are folded into an array. Few rows come back whatever the log's size, and quantiles can be added over windows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from migration.config import logsql, signals
from migration.config.settings import Price
from migration.config.signals import Pattern

STEPS = 200  # sizes of a cost: steps of half a percent
NANO = 1_000_000_000  # claimed costs are added up as whole billionths of a dollar
FIRST = ("input", "output", "cached", "cost")  # RE2's quick engine takes four groups at once
SECOND = ("total", "reasoning")
# One request above these is a mistake in the line, not a cost: such lines are counted, and left out of every sum.
MOST_TOKENS = 100_000_000
MOST_DOLLARS = 10_000
LONGEST = 16  # characters of a number, separators included: longer ones would overflow

SUMS: Mapping[str, str] = {
    "requests": "request",
    "succeeded": "good",
    "retries": "retry",
    "lines": "line",
    "unmatched": "alike",
    "tokenless": "line and tokens = 0",
    "unpriced": "line and cost = ''",
    "implausible": "matched and not line",
    "input": "i",
    "cached": "c",
    "output": "o",
    "reasoning": "r",
    "logged": "claimed",
    "assumed": "if(tokens = 0, claimed, 0)",
}
_STATUS = f"toInt32OrZero({logsql.attribute('status')})"
MODEL = "model"  # a group of signals.usage: the sums are then kept apart by model


def window(functions: Sequence[str], usage: Pattern, retry: Pattern | None, price: Price, since: datetime,
           span: tuple[datetime, datetime]) -> str:  # fmt: skip
    """The query over `span` for functions by id; `inside` tells what lies at or after `since`."""
    key = ", ".join(("hour", "function", "inside", *_model(usage)))
    rows = _numbers(_texts(functions, usage, retry, since, span), price, key)
    added = ", ".join(f"sum({text}) as sum_{name}" for name, text in SUMS.items())
    sized = f"select {key}, size, sum(line) as n, max(digits) as most, {added} from ({rows}) group by {key}, size"
    folded = ", ".join(f"sum(sum_{name}) as {name}" for name in SUMS)
    sizes = "max(most) as decimals, groupArrayIf((size, n), n > 0) as sizes"
    return f"select {key}, {folded}, {sizes} from ({sized}) group by {key}"


def _model(usage: Pattern) -> list[str]:
    return signals.order(usage.pattern, MODEL)


def _texts(functions: Sequence[str], usage: Pattern, retry: Pattern | None, since: datetime,
           span: tuple[datetime, datetime]) -> str:  # fmt: skip
    """A row a line: what it is, and the texts of the pattern's groups."""
    own, edge = logsql.source(logsql.FUNCTION), logsql.source(logsql.EDGE)
    first, second = (signals.order(usage.pattern, *names) for names in (FIRST, SECOND))
    taken = {name: f"g1[{at}]" for at, name in enumerate(first, 1)}
    taken |= {name: f"g2[{at}]" for at, name in enumerate(second, 1)}
    anchor = logsql.literal(signals.anchor(usage.pattern))
    columns = [
        "intDiv(toUnixTimestamp(timestamp), 3600) as hour",
        f"{logsql.attribute('function_id')} as function",
        f"timestamp >= {logsql.moment(since)} as inside",
        f"{own} as counted",
        f"if({edge}, {logsql.attribute('method')} != 'OPTIONS', 0) as request",
        f"if(request, {_STATUS} < 400, 0) as good",
        f"{logsql.PLAIN} as message",
        f"if(counted, {_groups(usage, first)}, []) as g1",
        "notEmpty(g1) as matched",
        f"if({_needed(usage, taken)}, {_groups(usage, second)}, []) as g2",
        f"counted and not matched and {anchor} != '' and position(event_message, {anchor}) > 0 as alike",
        f"if(counted and not matched, {_matches(retry)}, 0) as retry",
        *(f"if(matched, {_groups(usage, [name])}, [''])[1] as {name}" for name in _model(usage)),
        *(f"{taken.get(name, _NONE)} as {name}" for name in FIRST + SECOND),
    ]
    where = logsql.both(logsql.span(*span), logsql.either(own, edge), logsql.equal("function_id", *functions))
    return f"select {', '.join(columns)} from logs where {where}"


_NONE = "''"


def _groups(usage: Pattern, names: Sequence[str]) -> str:
    return logsql.groups(signals.portable(signals.capturing(usage.pattern, *names)), "message")


def _matches(signal: Pattern | None) -> str:
    return logsql.matches(signals.portable(signal.pattern), "message") if signal else "0"


def _needed(usage: Pattern, taken: Mapping[str, str]) -> str:
    """When the second look is worth its time: a count is missing, or the line tells of reasoning."""
    before = re.search(r"(\w[\w: ]*)\(\?P<reasoning>", usage.pattern)
    counted = f"position(event_message, {logsql.literal(before[1])}) > 0" if before and before[1] else "1"
    condition = counted if before else "0"
    return f"matched and ({taken.get('input', _NONE)} = '' or {taken.get('output', _NONE)} = '' or {condition})"


def _numbers(texts: str, price: Price, key: str) -> str:
    """A row a line with its numbers: a missing count is what the total leaves for it."""
    dollars = f"(i - c) * {price.input} + c * {price.cached_input} + o * {price.output}"
    columns = [
        f"{key}, request, good, retry, matched, alike, cost",
        f"matched and {_plausible()} as line",
        f"{_count('input')} as said_i, {_count('output')} as said_o, {_count('total')} as t",
        "input = '' and output = '' as neither",
        "multiIf(not line, 0, input = '' and not neither, greatest(t - said_o, 0), said_i) as i",
        "multiIf(not line, 0, output = '' and not neither, greatest(t - said_i, 0), said_o) as o",
        f"if(line, least({_count('cached')}, i), 0) as c, if(line, {_count('reasoning')}, 0) as r, i + o as tokens",
        f"if(line, toInt64(round({_DOLLARS} * {NANO})), 0) as claimed",
        "if(position(cost, '.') > 0, length(cost) - position(cost, '.'), 0) as digits",
        f"if(tokens = 0, claimed / {NANO}, ({dollars}) / 1000000) as paid",
        f"if(line, toInt32(floor(log(greatest(paid, 1e-9)) * {STEPS})), 0) as size",
    ]
    return f"select {', '.join(columns)} from ({texts})"


_DOLLARS = "toFloat64OrZero(replaceAll(cost, ',', ''))"


def _plausible() -> str:
    """Whether every number of a line is one that a request can have."""
    names = ("input", "output", "total", "cached", "reasoning")
    short = " and ".join(f"length({name}) <= {LONGEST}" for name in (*names, "cost"))
    few = f"greatest(said_i, said_o, t) <= {MOST_TOKENS}"
    return f"{short} and {few} and {_DOLLARS} <= {MOST_DOLLARS}"


def _count(name: str) -> str:
    """A number with whatever separates its thousands."""
    return f"toInt64OrZero(replaceAll(replaceAll({name}, ',', ''), '_', ''))"
