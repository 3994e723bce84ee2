"""ClickHouse SQL over the hosted table `logs`: literals quoted, columns from a fixed list.

The result of every function here is safe in a query, whatever its arguments contain.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = 1_000

FUNCTION = "function_logs"
EDGE = "function_edge_logs"
HOST = "sandbox_host_logs"  # what functions ask of declared hosts; a sandbox alone has it

ATTRIBUTES = {
    "function_id": "function_id",
    "execution_id": "execution_id",
    "version": "version",
    "level": "level",
    "event_type": "event_type",
    "region": "region",
    "status": "response.status_code",
    "milliseconds": "execution_time_ms",
    "method": "request.method",
    "path": "request.pathname",
    "edge_region": "response.headers.x_sb_edge_region",
    "gateway_request": "response.headers.sb_request_id",
}

MICROSECONDS = "toUnixTimestamp64Micro(timestamp)"
SECOND = "toUnixTimestamp(timestamp)"


def literal(text: str) -> str:
    """A string literal, quoted as the platform's own CLI quotes: backslash doubled, then the quote."""
    clean = text.encode("utf-8", "replace").decode()
    return "'" + clean.replace("\\", "\\\\").replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """A list of string literals in parentheses; without any, a list that nothing equals."""
    return "(" + (", ".join(literal(text) for text in texts) or "''") + ")"


def attribute(name: str) -> str:
    """The column expression of an attribute by our name for it; KeyError for an unknown name."""
    return f"log_attributes['{ATTRIBUTES[name]}']"


def moment(at: datetime) -> str:
    return f"toDateTime64('{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - EPOCH) // timedelta(microseconds=1)


def at_micros(value: int | str) -> datetime:
    return EPOCH + timedelta(microseconds=int(value))


def span(since: datetime, until: datetime) -> str:
    """`since` included, `until` not."""
    return f"timestamp >= {moment(since)} and timestamp < {moment(until)}"


def both(*conditions: str) -> str:
    """All of the conditions; true when there are none."""
    return " and ".join(f"({condition})" for condition in conditions if condition) or "1 = 1"


def either(*conditions: str) -> str:
    """One of the conditions; false when there are none."""
    return " or ".join(f"({condition})" for condition in conditions if condition) or "1 = 0"


def source(name: str) -> str:
    return f"source = {literal(name)}"


def equal(name: str, *values: str) -> str:
    """The attribute is one of the values."""
    return f"{attribute(name)} in {literals(values)}"


def contains(text: str) -> str:
    """The message contains the text, in upper or lower case."""
    return f"positionCaseInsensitiveUTF8(event_message, {literal(text)}) > 0"


# How a function's own line begins: the request's id. The group is the id.
REQUEST_ID = r"\[([A-Za-z0-9_-]{6,64})\] "
# The message without colour codes, and without the request id that is repeated on every line of one object.
_REQUEST_SQL = REQUEST_ID.replace("\\", "\\\\")
PLAIN = (
    r"if(multiSearchAny(event_message, ['\x1b[', '\n[']), replaceRegexpAll(replaceRegexpAll(event_message, "
    r"'\\x1b\\[[0-9;]*m', ''), '\n" + _REQUEST_SQL + r"', '\n'), event_message)"
)


def matches(pattern: str, text: str = PLAIN) -> str:
    """The message without colour codes matches a regular expression made by `signals.portable`."""
    return f"match({text}, {literal(pattern)})"


def groups(pattern: str, text: str = PLAIN) -> str:
    """The groups of the first match as an array of strings; empty without a match."""
    return f"extractGroups({text}, {literal(pattern)})"


def serves(ids: Iterable[str], slugs: Iterable[str]) -> str:
    """Rows of these functions: by id, or by path where the gateway refused the request and logged no id."""
    paths = literals(f"/functions/v1/{slug}" for slug in slugs)
    refused = f"{attribute('function_id')} = '' and {attribute('path')} in {paths}"
    return either(f"{attribute('function_id')} in {literals(ids)}", refused)


LEVELS = ("debug", "info", "warn", "error")


def level() -> str:
    """The level of a row as the platform's CLI computes it, for the two sources of functions."""
    status = f"toInt32OrZero({attribute('status')})"
    written = f"lower({attribute('level')})"
    return (
        f"multiIf(source = '{EDGE}', multiIf({status} >= 500, 'error', {status} >= 400, 'warn', {status} >= 100, "
        f"'info', ''), {written} in ('error', 'fatal'), 'error', {written} in ('warn', 'warning'), 'warn', "
        f"{written} = 'log', 'info', {written})"
    )


def rows(where: str, columns: str, newest_first: bool = False, limit: int = PAGE) -> str:
    """One page in the order (timestamp, id)."""
    direction = "desc" if newest_first else "asc"
    chosen = f"id, {MICROSECONDS} as us, {columns}"
    return f"select {chosen} from logs where {where} order by us {direction}, id {direction} limit {int(limit)}"


def beyond(us: int, id_: str, newest_first: bool = False) -> str:
    """Rows after (us, id) in the order of the page."""
    sign = "<" if newest_first else ">"
    return f"{MICROSECONDS} {sign} {int(us)} or ({MICROSECONDS} = {int(us)} and id {sign} {literal(id_)})"
