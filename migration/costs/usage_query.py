"""One query a window: requests, retries, tokens and claimed cost, by hour and function, added up in the log engine.

Three layers: read each line once and turn the texts of its groups into numbers, all of an array at once; tell what it
counts as; add up by hour, function and size of the cost. Then the sizes are folded into an array. Few rows come back
whatever the log's size, and quantiles can be added over windows.

A line that the shortcut reads is read by it, any other by the pattern itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from migration.config import logsql, signals
from migration.config.settings import Price
from migration.config.signals import Pattern
from migration.costs.shortcut import SEPARATOR, Shortcut, shortcut

STEPS = 200  # sizes of a cost: steps of half a percent
NANO = 1_000_000_000  # claimed costs are added up as whole billionths of a dollar
FIRST = ("input", "output", "cached", "cost")  # RE2's quick engine takes four groups at once
SECOND = ("total", "reasoning")
# One request above these is a mistake in the line, not a cost: such lines are counted, and left out of every sum.
MOST_TOKENS = 100_000_000
MOST_DOLLARS = 10_000
SUMS: Mapping[str, str] = {
    "requests": "request",
    "succeeded": "good",
    "retries": "retry",
    "lines": "line",
    "unmatched": "alike",
    "tokenless": "line * (tokens = 0)",
    "unpriced": "line * (1 - priced)",
    "implausible": "matched - line",
    "input": "i",
    "cached": "c",
    "output": "o",
    "reasoning": "r",
    "logged": "claimed",
    "assumed": "claimed * (tokens = 0)",
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
    """A row a line: what it is, the texts of the pattern's groups (`g`), and those as numbers (`n`)."""
    own, edge = logsql.source(logsql.FUNCTION), logsql.source(logsql.EDGE)
    first, second = (signals.order(usage.pattern, *names) for names in (FIRST, SECOND))
    names, fast = _quickest(usage, [*first, *second])
    anchor = logsql.literal(signals.anchor(usage.pattern))
    columns = [
        "intDiv(toUnixTimestamp(timestamp), 3600) as hour",
        f"{logsql.attribute('function_id')} as function",
        f"timestamp >= {logsql.moment(since)} as inside",
        f"{own} as counted",
        f"if({edge}, {logsql.attribute('method')} != 'OPTIONS', 0) as request",
        f"if(request, {_STATUS} < 400, 0) as good",
        f"{logsql.PLAIN} as message",
        f"{_short(fast)} as short",
        "counted * (length(short) != length(message)) > 0 as quick",
        f"if(counted and not quick, {_groups(usage, first)}, []) as g1",
        f"{f'if({_needed(usage, first)}, {_groups(usage, second)}, [])' if second else '[]'} as g2",
        "quick + notEmpty(g1) > 0 as matched",
        f"{_captured(fast, names, second)} as g",
        "arrayMap(x -> toFloat64OrZero(x), g) as n",
        f"if(counted and not matched, {anchor} != '' and position(event_message, {anchor}) > 0, 0) as alike",
        f"if(counted and not matched, {_matches(retry)}, 0) as retry",
        *(f"if(matched, {_groups(usage, [name])}, [''])[1] as {name}" for name in _model(usage)),
        *(f"{_said(name, names, second)} as said_{name}" for name in FIRST + SECOND),
        f"{_element('g', 'cost', names)} as cost",
        *(f"{_element('g', name, names)} != '' as has_{name}" for name in ("input", "output")),
    ]
    rows = logsql.both(logsql.span(*span), logsql.either(own, edge))
    return f"select {', '.join(columns)} from ({_ROWS} where {rows}) where {logsql.equal('function_id', *functions)}"


# Read whole and once: of a map alone, the engine would read each attribute by itself, which takes as long every time.
_ROWS = "select timestamp, source, event_message, materialize(log_attributes) as log_attributes from logs"
# Whatever separates thousands is left out. As a float no text overflows, and every whole number that a request can have
# is exact.
_BARE = "replaceAll(replaceAll({}, ',', ''), '_', '')"
_TAB = logsql.literal(SEPARATOR)


def _quickest(usage: Pattern, names: Sequence[str]) -> tuple[Sequence[str], Shortcut | None]:
    """The names to read from every line, and the shortcut to them.

    The total is left out where each line that the shortcut reads has both counts: it would say nothing new.
    """
    fast = shortcut(usage.pattern, names)
    if fast and "total" in names and {"input", "output"} <= fast.always:
        names = [name for name in names if name != "total"]
        fast = shortcut(usage.pattern, names)
    return names, fast


def _short(fast: Shortcut | None) -> str:
    """What the shortcut leaves of a line. A line whose length it does not change is read with the pattern itself."""
    if not fast:
        return "message"
    return f"replaceRegexpOne(message, {logsql.literal(fast.pattern)}, {logsql.literal(fast.replacement)})"


def _captured(fast: Shortcut | None, names: Sequence[str], second: Sequence[str]) -> str:
    """The texts of a line in the order of `names`, from the shortcut or from the pattern itself.

    `multiIf`, not `if`: of that, the engine would evaluate all that the arguments rest on once more.
    """
    rest = ", ".join(_element("g2", name, second) for name in names if name in second)
    slow = f"arrayConcat(g1, [{rest}])"
    if not fast:
        return f"arrayMap(x -> {_BARE.format('x')}, {slow})"
    quick = "short" if fast.bare else _BARE.format("short")
    joined = _BARE.format(f"arrayStringConcat(arrayMap(x -> replaceAll(x, {_TAB}, ' '), {slow}), {_TAB})")
    return f"splitByChar({_TAB}, multiIf(quick, {quick}, matched, {joined}, ''), {len(names)})"


def _said(name: str, names: Sequence[str], second: Sequence[str]) -> str:
    """The number of a group; the total of the lines that need it, where it is not read from every line."""
    if name in second and name not in names:
        return f"multiIf(notEmpty(g2), toFloat64OrZero({_BARE.format(_element('g2', name, second))}), 0)"
    return _element("n", name, names)


def _element(array: str, name: str, names: Sequence[str]) -> str:
    """The group in its array: an empty text, or 0, where the pattern has none or it did not take part."""
    if name in names:
        return f"{array}[{names.index(name) + 1}]"
    return "toFloat64(0)" if array == "n" else "''"


def _groups(usage: Pattern, names: Sequence[str]) -> str:
    return logsql.groups(signals.portable(signals.capturing(usage.pattern, *names)), "message")


def _matches(signal: Pattern | None) -> str:
    return logsql.matches(signals.portable(signal.pattern), "message") if signal else "0"


def _needed(usage: Pattern, first: Sequence[str]) -> str:
    """When the second look is worth its time: a count is missing, or the line tells of reasoning."""
    before = re.search(r"(\w[\w: ]*)\(\?P<reasoning>", usage.pattern)
    counted = f"position(event_message, {logsql.literal(before[1])}) > 0" if before and before[1] else "1"
    missing = (f"{_element('g1', name, first)} = ''" for name in ("input", "output"))
    return f"notEmpty(g1) and ({' or '.join(missing)} or {counted if before else '0'})"


def _numbers(texts: str, price: Price, key: str) -> str:
    """A row a line with its numbers: a missing count is what the total leaves for it.

    Only arithmetic: the arguments of `if` and `and` are evaluated for a part of the rows, with all that they rest on,
    once for every place where they stand, the regular expression included.
    """
    dollars = f"(i - c) * {price.input} + c * {price.cached_input} + o * {price.output}"
    columns = [
        f"{key}, request, good, retry, matched, alike, cost != '' as priced",
        f"greatest({', '.join(f'said_{name}' for name in _COUNTS)}) <= {MOST_TOKENS} as few",
        f"matched * few * (said_cost <= {MOST_DOLLARS}) as line",
        f"toInt64({_count('input', 'output')}) * line as i, toInt64({_count('output', 'input')}) * line as o",
        f"least(toInt64({_whole('cached')}) * line, i) as c, toInt64({_whole('reasoning')}) * line as r",
        "i + o as tokens",
        f"toInt64(round(least(said_cost, {MOST_DOLLARS}) * {NANO})) * line as claimed",
        "position(cost, '.') as point, (length(cost) - point) * (point > 0) as digits",
        f"(tokens = 0) * claimed / {NANO} + ({dollars}) / 1000000 as paid",
        f"toInt32(floor(log(greatest(paid, 1e-9)) * {STEPS})) * line as size",
    ]
    return f"select {', '.join(columns)} from ({texts})"


def _count(name: str, other: str) -> str:
    """What the line says, or the rest of the total; no more than a request can have, so that it fits an integer."""
    rest = f"(1 - has_{name}) * has_{other} * greatest(said_total - said_{other}, 0)"
    return f"least(said_{name} + {rest}, {MOST_TOKENS})"


def _whole(name: str) -> str:
    return f"least(said_{name}, {MOST_TOKENS})"


_COUNTS = ("input", "output", "total", "cached", "reasoning")
