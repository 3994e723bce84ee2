"""One query a window: requests, retries, tokens and claimed cost, by hour and function, added up in the log engine.

Three layers: read each line once, turn its texts into numbers, add up by hour, function and size of the cost; then the
sizes are folded into an array. Few rows come back whatever the log's size, and quantiles can be added over windows.
Where most rows are alike, `*` and `bitAnd` are quicker than `if` and `and`, which first sort the rows out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from migration.logbook import logsql, signals
from migration.logbook.signals import Pattern
from migration.schema.settings import Price

STEPS = 200  # sizes of a cost: steps of half a percent
NANO = 1_000_000_000  # claimed costs are added up as whole billionths of a dollar
FIRST = ("input", "output", "cached", "cost")  # RE2's quick engine takes four groups at once
SECOND = ("total", "reasoning")

SUMS: Mapping[str, str] = {
    "requests": "request",
    "succeeded": "good",
    "retries": "retry",
    "lines": "line",
    "unmatched": "alike",
    "tokenless": "line and tokens = 0",
    "unpriced": "line and cost = ''",
    "input": "i",
    "cached": "c",
    "output": "o",
    "reasoning": "r",
    "logged": "claimed",
    "assumed": "if(tokens = 0, claimed, 0)",
}
_STATUS = f"toInt32OrZero({logsql.attribute('status')})"
_KEY = "hour, function, inside"


def window(functions: Sequence[str], usage: Pattern, retry: Pattern | None, price: Price, since: datetime,
           span: tuple[datetime, datetime]) -> str:  # fmt: skip
    """The query over `span` for functions by id; `inside` tells what lies at or after `since`."""
    rows = _numbers(_texts(functions, usage, retry, since, span), price)
    added = ", ".join(f"sum({text}) as sum_{name}" for name, text in SUMS.items())
    sized = f"select {_KEY}, size, sum(line) as n, max(digits) as most, {added} from ({rows}) group by {_KEY}, size"
    folded = ", ".join(f"sum(sum_{name}) as {name}" for name in SUMS)
    sizes = "max(most) as decimals, groupArrayIf((size, n), n > 0) as sizes"
    return f"select {_KEY}, {folded}, {sizes} from ({sized}) group by {_KEY}"


def _texts(functions: Sequence[str], usage: Pattern, retry: Pattern | None, since: datetime,
           span: tuple[datetime, datetime]) -> str:  # fmt: skip
    """A row a line: what it is, and the texts of the pattern's groups."""
    own, edge = logsql.source(logsql.FUNCTION), logsql.source(logsql.EDGE)
    first, second = (signals.order(usage.pattern, *names) for names in (FIRST, SECOND))
    taken = {name: f"g1[{at}]" for at, name in enumerate(first, 1)}
    taken |= {name: f"g2[{at}]" for at, name in enumerate(second, 1)}
    anchor, reasoned = logsql.literal(signals.anchor(usage.pattern)), _reasoned(usage.pattern)
    special = ", ".join([*(f"'{text}'" for text in logsql.STRANGE), *([logsql.literal(reasoned)] if reasoned else [])])
    columns = [
        "intDiv(toUnixTimestamp(timestamp), 3600) as hour",
        f"{logsql.attribute('function_id')} as function",
        f"timestamp >= {logsql.moment(since)} as inside",
        f"{own} as said",
        f"bitAnd({edge}, {logsql.attribute('method')} != 'OPTIONS') as request",
        f"bitAnd(request, {_STATUS} < 400) as good",
        f"multiSearchAny(event_message, [{special}]) as special",
        f"if(special, {logsql.CLEANED}, event_message) as message",
        f"{_groups(usage, first)} as g1",
        "bitAnd(said, notEmpty(g1)) as line",
        f"arrayMap(text -> {_count('text')}, if({_needed(usage, taken)}, {_groups(usage, second)}, [])) as g2",
        f"said and not line and {anchor} != '' and position(event_message, {anchor}) > 0 as alike",
        f"if(said and not line, {_matches(retry)}, 0) as retry",
        *(f"{taken.get(name, _NONE)} as {name}" for name in FIRST),
        *(f"{taken.get(name, '0')} as {name}" for name in SECOND),
    ]
    where = logsql.both(logsql.span(*span), logsql.either(own, edge), logsql.equal("function_id", *functions))
    return f"select {', '.join(columns)} from logs where {where}"


_NONE = "''"


def _groups(usage: Pattern, names: Sequence[str]) -> str:
    return logsql.groups(signals.portable(signals.capturing(usage.pattern, *names)), "message")


def _matches(signal: Pattern | None) -> str:
    return logsql.matches(signals.portable(signal.pattern), "message") if signal else "0"


def _reasoned(pattern: str) -> str:
    """The text before the count of reasoning tokens, "" where the pattern has none in plain sight."""
    before = re.search(r"(\w[\w: ]*)\(\?P<reasoning>", pattern)
    return before[1] if before else ""


def _needed(usage: Pattern, taken: Mapping[str, str]) -> str:
    """When the second look is worth its time: a count is missing, or the line may tell of reasoning."""
    told = "special" if _reasoned(usage.pattern) else str(int("reasoning" in taken))
    return f"line and ({taken.get('input', _NONE)} = '' or {taken.get('output', _NONE)} = '' or {told})"


def _numbers(texts: str, price: Price) -> str:
    """A row a line with its numbers: a missing count is what the total leaves for it."""
    dollars = f"(i - c) * {price.input} + c * {price.cached_input} + o * {price.output}"
    columns = [
        f"{_KEY}, request, good, retry, line, alike, cost",
        f"{_count('input')} as said_i, {_count('output')} as said_o",
        "total as t, reasoning as r",
        "input = '' and output = '' as neither",
        "line * (said_i + greatest(t - said_o, 0) * (input = '' and not neither)) as i",
        "line * (said_o + greatest(t - said_i, 0) * (output = '' and not neither)) as o",
        f"least({_count('cached')}, i) as c, i + o as tokens",
        f"line * toInt64(round(toFloat64OrZero(replaceAll(cost, ',', '')) * {NANO})) as claimed",
        "line * (length(cost) - position(cost, '.')) * (position(cost, '.') > 0) as digits",
        f"if(tokens = 0, claimed / {NANO}, ({dollars}) / 1000000) as paid",
        f"toInt32(floor(log(greatest(paid, 1e-9)) * {STEPS})) as size",
    ]
    return f"select {', '.join(columns)} from ({texts})"


def _count(name: str) -> str:
    """A number with whatever separates its thousands."""
    return f"toInt64OrZero(replaceAll(replaceAll({name}, ',', ''), '_', ''))"
