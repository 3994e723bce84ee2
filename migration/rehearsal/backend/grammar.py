"""The query language of PostgREST, parsed: what supabase-js writes into the address of a request.

https://docs.postgrest.org/en/stable/references/api/tables_views.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "apikey"})
OPERATORS = frozenset({
    "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "is", "isdistinct", "in", "cs", "cd",
    "ov", "fts", "plfts", "phfts", "wfts",
})  # fmt: skip
_RANGES = frozenset({"sl", "sr", "nxl", "nxr", "adj"})
_AGGREGATES = frozenset({"sum", "avg", "min", "max", "count"})
_FILTER = re.compile(r"(not\.)?(\w+)(?:\((\w+)\))?\.(.*)", re.S)
_TERM = re.compile(rf"(.+?)\.((?:not\.)?(?:{'|'.join(sorted(OPERATORS | _RANGES, key=len, reverse=True))})"
                   r"(?:\(\w+\))?\..*)", re.S)  # fmt: skip
_ARROW = re.compile(r"(->>?)")


class RestError(Exception):
    """PostgREST's answer to a request that it cannot carry out."""

    def __init__(self, status: int, code: str, message: str, details: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "details": details, "hint": hint, "message": message}


@dataclass(frozen=True)
class Column:
    """A column or a place in its JSON: `data->a->>b` is ("data", "a", "b") as text."""

    path: tuple[str, ...]
    text: bool = False
    cast: str = ""
    alias: str = ""

    @property
    def shown(self) -> str:
        return self.alias or self.path[-1]


@dataclass(frozen=True)
class Count:
    """`count` in place of columns."""

    alias: str = "count"


@dataclass(frozen=True)
class Embed:
    """Rows of a related table inside each row; `hint` tells apart several relationships."""

    relation: str
    alias: str
    hint: str
    inner: bool
    spread: bool
    select: tuple[Item, ...]

    @property
    def shown(self) -> str:
        return self.alias or self.relation


Item = Column | Count | Embed


@dataclass(frozen=True)
class Filter:
    """One condition; `quantifier` is any or all for a list of values."""

    column: Column
    operator: str
    value: str
    negated: bool = False
    quantifier: str = ""


@dataclass(frozen=True)
class Logic:
    """Conditions joined by `and` or `or`."""

    operator: str
    terms: tuple[Term, ...]
    negated: bool = False


Term = Filter | Logic


@dataclass(frozen=True)
class Order:
    """`relation` orders by a column of the one row that it leads to."""

    column: Column
    descending: bool
    nulls_first: bool
    relation: str = ""


@dataclass(frozen=True)
class Query:
    """What one level asks for; `inner` holds the levels of embedded tables by the name they are shown under."""

    select: tuple[Item, ...] = (Column(("*",)),)
    terms: tuple[Term, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    inner: dict[str, Query] = field(default_factory=dict)


def parse(pairs: Iterable[tuple[str, str]]) -> Query:
    """The whole query of a request. RestError for what PostgREST cannot parse."""
    query = Query()
    for key, value in pairs:
        if key in RESERVED - {"select", "order", "limit", "offset"}:
            continue
        query = _with(query, key, value)
    return query


def _with(query: Query, key: str, value: str) -> Query:
    head, _, rest = key.partition(".")
    if key == "select":
        return replace(query, select=tuple(map(_item, split(value))) or query.select)
    if key == "order":
        return replace(query, order=tuple(map(_order, split(value))))
    if key == "limit":
        return replace(query, limit=_number(key, value))
    if key == "offset":
        return replace(query, offset=_number(key, value))
    if key in ("and", "or", "not.and", "not.or"):
        term = Logic(key.removeprefix("not."), tuple(_terms(value)), key.startswith("not."))
        return replace(query, terms=(*query.terms, term))
    if rest and not _ARROW.search(head):
        return replace(query, inner=query.inner | {head: _with(query.inner.get(head, Query()), rest, value)})
    return replace(query, terms=(*query.terms, _filter(key, value)))


def split(text: str, separator: str = ",") -> list[str]:
    """The parts between separators outside of brackets and quotes; empty for an empty text."""
    parts, depth, quoted, current = [], 0, False, ""
    letters = iter(text)
    for letter in letters:
        if letter == "\\" and quoted:
            current += letter + next(letters, "")
            continue
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "({[") - (letter in ")}]")
        if letter == separator and depth == 0 and not quoted:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current] if current or parts else []


def unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def listed(text: str) -> list[str]:
    """The values of `(1,"a,b")` or of an array `{1,2}`."""
    return [unquoted(each.strip()) for each in split(text.strip()[1:-1])]


def column(text: str) -> Column:
    """`a`, `data->b->>c`, `a::text`."""
    bare, _, cast = text.partition("::")
    parts = _ARROW.split(bare.strip())
    names = tuple(unquoted(each) for each in parts[::2])
    if not all(names):
        raise _unparsed(text)
    return Column(names, text=len(parts) > 1 and parts[-2] == "->>", cast=cast.strip())


def _item(text: str) -> Item:
    text = text.strip()
    spread = text.startswith("...")
    text = text.removeprefix("...")
    if text.endswith(")") and not text.endswith("()"):
        return _embed(text, spread)
    alias, bare = _aliased(text)
    function = re.fullmatch(r"(?:(.+)\.)?(\w+)\(\)(?:::\w+)?", bare)
    if function and function[2] in _AGGREGATES and (function[1] or function[2] != "count"):
        raise RestError(400, "PGRST123", "Use of aggregate functions is not allowed")
    if bare in ("count", "count()"):
        return Count(alias or "count")
    return replace(column(bare), alias=alias)


def _embed(text: str, spread: bool) -> Embed:
    head, _, inside = text.partition("(")
    alias, bare = _aliased(head)
    relation, *marks = bare.split("!")
    hints = [mark for mark in marks if mark not in ("inner", "left")]
    items = tuple(map(_item, split(inside[:-1]))) or (Column(("*",)),)
    return Embed(unquoted(relation), alias, hints[0] if hints else "", "inner" in marks, spread, items)


def _aliased(text: str) -> tuple[str, str]:
    """Alias and the rest; a cast (`::`) is not an alias."""
    match = re.match(r'\s*("(?:[^"\\]|\\.)*"|[^:()"]+?)\s*:(?!:)\s*(.+)', text, re.S)
    return (unquoted(match[1]), match[2]) if match else ("", text)


def _order(text: str) -> Order:
    related = re.fullmatch(r"(\w+)\(([^)]+)\)(.*)", text.strip())
    relation, text = (related[1], related[2] + related[3]) if related else ("", text.strip())
    parts = text.split(".")
    words = []
    while len(parts) > 1 and parts[-1] in ("asc", "desc", "nullsfirst", "nullslast"):
        words.append(parts.pop())
    descending = "desc" in words
    first = "nullsfirst" in words or (descending and "nullslast" not in words)
    return Order(column(".".join(parts)), descending, first, relation)


def _filter(name: str, value: str) -> Filter:
    match = _FILTER.fullmatch(value)
    if match is None or match[2] not in OPERATORS | _RANGES:
        raise _unparsed(value)
    if match[2] in _RANGES:
        raise RestError(501, "SANDBOX", f"The sandbox has no range operator {match[2]}", hint=LOCAL)
    return Filter(column(name), match[2], match[4], bool(match[1]), match[3] or "")


def _terms(value: str) -> Iterator[Term]:
    if not (value.startswith("(") and value.endswith(")")):
        raise _unparsed(value)
    for each in map(str.strip, split(value[1:-1])):
        nested = re.fullmatch(r"(not\.)?(and|or)(\(.*\))", each, re.S)
        if nested:
            yield Logic(nested[2], tuple(_terms(nested[3])), bool(nested[1]))
            continue
        match = _TERM.fullmatch(each)
        if match is None:
            raise _unparsed(each)
        term = _filter(match[1], match[2])
        yield replace(term, value=unquoted(term.value))


LOCAL = "rehearsal.backend passes calls on to a local Supabase stack: set it in config.yaml"


def _number(key: str, value: str) -> int:
    if not value.isdigit():
        raise _unparsed(f"{key}={value}")
    return int(value)


def _unparsed(text: str) -> RestError:
    return RestError(400, "PGRST100", f'"failed to parse ({text})"', "unexpected input")


def names(items: Sequence[Item]) -> list[str]:
    """The columns of the table itself that a select names, `*` left out."""
    return [each.path[0] for each in items if isinstance(each, Column) and each.path[0] != "*"]
