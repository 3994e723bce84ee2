"""Log lines of the functions: history of any span, and a tail that follows.

`history` and `follow` yield events; `explain` shows what signals.usage matches in real lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from migration.base.command import Do
from migration.base.errors import Refused
from migration.base.ids import SHORT
from migration.config import logsql, signals
from migration.config.signals import Pattern
from migration.logs import local
from migration.logs.follow import Follower
from migration.logs.local import LocalLine
from migration.logs.names import Names
from migration.logs.reader import LogReader, Row

if TYPE_CHECKING:
    from migration.context import Context

COLUMNS = ", ".join(["source", "event_message", *(f"{logsql.attribute(name)} as {name}" for name in logsql.ATTRIBUTES)])
EXPLAINED = 20
_SLUG = re.compile(r"^/functions/v1/([^/?]+)")


@dataclass(frozen=True)
class LogQuery:
    """Which events: `functions` by slug (all when empty), `level` that one and worse, `until` None for now.

    `limit` takes the newest so many; order is oldest first unless `newest_first`.
    """

    since: datetime
    until: datetime | None = None
    functions: tuple[str, ...] = ()
    grep: str | None = None
    signal: str | None = None
    level: str | None = None
    request: str | None = None
    limit: int | None = None
    newest_first: bool = False


@dataclass(frozen=True)
class Event:
    """One log row. `function` is the slug (the id where no name is known); `status` only for gateway rows."""

    id: str
    timestamp: datetime
    function: str
    level: str
    message: str
    request_id: str
    execution_id: str
    version: int | None
    status: int | None
    milliseconds: int | None
    region: str
    kind: str
    signals: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"timestamp": iso(self.timestamp), "signals": list(self.signals)}


@dataclass(frozen=True)
class ExplainedLine:
    """A line and the pattern's named groups in it ("" for an absent one); `taken` is None where it does not match."""

    id: str
    timestamp: datetime
    function: str
    message: str
    taken: dict[str, str] | None


@dataclass(frozen=True)
class Explanation:
    """What the usage pattern matches in real lines, oldest first."""

    pattern: str
    lines: tuple[ExplainedLine, ...]


def history(context: Context, query: LogQuery) -> Iterator[Event]:
    """Events of the range, each once. Refused for an unknown function, signal or level."""
    if local.configured(context):
        return iter(_local(context, query))
    search = LogSearch.of(context, query)
    return search.history(query, context.clock.now())


def follow(context: Context, query: LogQuery) -> Iterator[Event]:
    """Events from `query.since` on and then as they arrive, without end; late ones when they arrive, each once."""
    if local.configured(context):
        return _local_tail(context, query)
    search = LogSearch.of(context, query)
    follower = Follower(search.reader, search.where(query), COLUMNS, query.since)
    return (search.event(row) for row in follower.run())


def explain(context: Context, query: LogQuery) -> Explanation:
    """The newest lines that look like usage, as the usage pattern reads them."""
    usage = signals.usage(context.config)
    grep, limit = signals.anchor(usage.pattern), query.limit or EXPLAINED
    if local.configured(context):
        functions = query.functions or usage.functions
        events = iter(_local(context, replace(query, functions=functions, grep=grep, limit=limit)))
    else:
        search = LogSearch.of(context, query)
        functions = query.functions or search.names.known(usage.functions)
        wanted = replace(query, functions=functions, grep=grep, limit=limit)
        events = search.history(wanted, context.clock.now())
    lines = (ExplainedLine(it.id, it.timestamp, it.function, it.message, usage.groups(it.message)) for it in events)
    return Explanation(usage.pattern, tuple(lines))


def _local(context: Context, query: LogQuery, after: int = 0) -> list[Event]:
    """The lines of `supabase functions serve` that meet the query, after the line of this number. Lines without times
    count as of now, whatever the range."""
    _known(context, query)
    patterns, now = signals.named(context.config), context.clock.now()
    until = query.until or now + timedelta(minutes=1)
    events = [
        Event(
            str(line.number), line.at or now, line.function, line.level, line.message, line.request, "", None, None,
            None, "", "Log", _signals(patterns, line),
        )
        for line in local.read(context)
        if line.number > after and (line.at is None or query.since <= line.at < until)
    ]  # fmt: skip
    kept = [event for event in events if _meets(event, query)]
    kept = kept[-query.limit :] if query.limit else kept
    return kept[::-1] if query.newest_first else kept


def _signals(patterns: Mapping[str, Pattern], line: LocalLine) -> tuple[str, ...]:
    own = (one for one in patterns.values() if line.function in one.functions)
    return tuple(one.name for one in own if one.matches(line.message))


def _meets(event: Event, query: LogQuery) -> bool:
    levels = logsql.LEVELS[logsql.LEVELS.index(query.level) :] if query.level else ()
    return (
        (not query.functions or event.function in query.functions)
        and (not query.grep or query.grep.lower() in event.message.lower())
        and (not query.signal or query.signal in event.signals)
        and (not levels or event.level in levels)
        and (not query.request or event.request_id.startswith(query.request))
    )


def _local_tail(context: Context, query: LogQuery) -> Iterator[Event]:
    """The lines so far, then new ones every second, without end."""
    seen = 0
    while True:
        events = _local(context, query, seen)
        yield from events
        seen = max([seen, *(int(event.id) for event in events)])
        context.clock.sleep(1.0)


def _known(context: Context, query: LogQuery) -> None:
    """Refused for a level or a signal that does not exist."""
    if query.level and query.level not in logsql.LEVELS:
        raise Refused(f"--level {query.level} is not a level.", Do(f"use one of: {', '.join(logsql.LEVELS)}"))
    if query.signal:
        signals.one(context.config, query.signal)


class LogSearch:
    """Turns a query into SQL, and rows into events."""

    def __init__(
        self, reader: LogReader, names: Names, patterns: Mapping[str, Pattern], *more_sources: str
    ) -> None:  # fmt: skip
        self.reader = reader
        self.names = names
        self.patterns = patterns
        self.sources = (logsql.FUNCTION, logsql.EDGE, *more_sources)

    @classmethod
    def of(cls, context: Context, query: LogQuery) -> LogSearch:
        """Refused for a level, a signal (before anything is asked of a service) or a function that does not exist."""
        _known(context, query)
        names = Names.of(context)
        names.ids(query.functions)
        own = [logsql.HOST] if context.environment.embedded else []
        return cls(LogReader.of(context), names, signals.named(context.config), *own)

    def history(self, query: LogQuery, now: datetime) -> Iterator[Event]:
        until = query.until or now + timedelta(minutes=1)
        newest = query.newest_first or query.limit is not None
        rows = self.reader.rows(
            self.where(query), query.since, until, columns=COLUMNS, newest_first=newest, limit=query.limit
        )
        events = (self.event(row) for row in rows)
        return events if newest == query.newest_first else reversed(list(events))

    def where(self, query: LogQuery) -> str:
        """The condition of a query, without its range."""
        return logsql.both(
            logsql.either(*map(logsql.source, self.sources)),
            self._functions(query.functions),
            self._signal(query.signal, query.functions),
            logsql.contains(query.grep) if query.grep else "",
            _at_least(query.level) if query.level else "",
            request_story(query.request) if query.request else "",
        )

    def event(self, row: Row) -> Event:
        """An event of a row with COLUMNS."""
        edge, own = row["source"] == logsql.EDGE, row["source"] == logsql.FUNCTION
        message = row["event_message"]
        function = self.names.slug(row["function_id"]) or _slug(row["path"])
        return Event(
            id=row["id"],
            timestamp=logsql.at_micros(row["us"]),
            function=function,
            level=_level(row),
            message=message,
            request_id=row["gateway_request"] if edge else signals.request_id(message),
            execution_id=row["execution_id"],
            version=_number(row["version"]),
            status=None if own else _number(row["status"]),
            milliseconds=_number(row["milliseconds"]),
            region=row["region"] or row["edge_region"],
            kind="Request" if edge else row["event_type"],
            signals=self._seen(function, message) if own else (),
        )

    def _functions(self, slugs: Sequence[str]) -> str:
        return logsql.serves(self.names.ids(slugs), slugs) if slugs else ""

    def _signal(self, name: str | None, functions: Sequence[str]) -> str:
        if not name:
            return ""
        pattern = self.patterns[name]
        own = "" if functions else logsql.equal("function_id", *self.names.ids(self.names.known(pattern.functions)))
        return logsql.both(logsql.source(logsql.FUNCTION), own, pattern.sql)

    def _seen(self, function: str, message: str) -> tuple[str, ...]:
        own = [pattern for pattern in self.patterns.values() if function in pattern.functions]
        text = signals.plain(message) if own else ""
        return tuple(pattern.name for pattern in own if pattern.regex.search(text))


def iso(at: datetime) -> str:
    """UTC with microseconds and a Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _at_least(level: str) -> str:
    return f"{logsql.level()} in {logsql.literals(logsql.LEVELS[logsql.LEVELS.index(level) :])}"


def _level(row: Row) -> str:
    if row["source"] == logsql.EDGE:
        status = _number(row["status"]) or 0
        return "error" if status >= 500 else "warn" if status >= 400 else "info" if status >= 100 else ""
    written = str(row["level"]).lower()
    return {"fatal": "error", "warning": "warn", "log": "info"}.get(written, written)


def _number(text: str) -> int | None:
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        return None


def _slug(path: str) -> str:
    match = _SLUG.match(path)
    return match[1] if match else ""


# One request across function and gateway logs, as a condition on rows.

SLACK = 250_000  # microseconds by which the clocks of gateway and worker may differ

_EXECUTION = logsql.attribute("execution_id")
_TAGGED = f"match(event_message, {logsql.literal('^' + logsql.REQUEST_ID)})"


def request_story(request: str) -> str:
    """Everything about one request: by its id in a line, its execution id, or the gateway's id for it.

    Each of them may be shortened: to its first characters, at least eight, or to its last eight. A worker may serve
    several requests, one at a time: of the others that the same execution served, only lines beside this one in time
    are shown, and lines without any id.
    """
    named = logsql.either(*_identified(request))
    same = f"{_EXECUTION} != '' and {_EXECUTION} in (select {_EXECUTION} from logs where {named})"
    return logsql.either(named, logsql.both(same, logsql.either(_untagged(), _beside(named))))


def _identified(request: str) -> tuple[str, str, str]:
    gateway, text = logsql.attribute("gateway_request"), logsql.literal(request)
    if len(request) < SHORT:
        own = f"startsWith(event_message, {logsql.literal(f'[{request}]')})"
        return own, f"{_EXECUTION} = {text}", f"{gateway} = {text}"
    begins = f"startsWith(event_message, {logsql.literal(f'[{request}')})"
    # The gateway's ids begin with the time: their first eight characters are those of every request of a minute.
    gateways = [f"endsWith({gateway}, {text})", *([f"startsWith({gateway}, {text})"] if len(request) > SHORT else [])]
    return begins, f"startsWith({_EXECUTION}, {text})", logsql.either(*gateways)


def _untagged() -> str:
    return logsql.both(logsql.source(logsql.FUNCTION), f"not {_TAGGED}")


def _beside(named: str) -> str:
    """A gateway's row beside a named line, or a line beside a named gateway's row, within the time that it took."""
    edge = logsql.source(logsql.EDGE)
    took = f"toInt64OrZero({logsql.attribute('milliseconds')}) * 1000"
    known = f"(select groupArray(({_EXECUTION}, {logsql.MICROSECONDS}, {took}, {edge})) from logs where {named})"
    apart = f"abs({logsql.MICROSECONDS} - one.2) <= {took} + one.3 + {SLACK}"
    return f"arrayExists(one -> one.1 = {_EXECUTION} and one.4 != ({edge}) and {apart}, {known})"
