"""How Postgres compares: values of rows with the text of a filter, null as unknown, in three-valued logic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cmp_to_key
from typing import Any

import re2

from migration.rehearsal.backend.grammar import Column, Filter, Logic, RestError, Term, listed

Row = Mapping[str, Any]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")
_WORD = re.compile(r"\w+")


def at(row: Row, column: Column) -> Any:
    """The value that a column or a path into its JSON names."""
    value = row.get(column.path[0])
    for step in column.path[1:]:
        if isinstance(value, str):
            value = _json(value)
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return _cast(value, "text") if column.text else _cast(value, column.cast)


def holds(term: Term, row: Row) -> bool | None:
    """Whether a condition is true of a row; None where it is unknown."""
    if isinstance(term, Logic):
        answers = [holds(each, row) for each in term.terms]
        decisive = term.operator == "or"
        answer = decisive if decisive in answers else None if None in answers else not decisive
    else:
        answer = _holds(term, at(row, term.column))
    return answer if answer is None else answer is not term.negated


def _holds(term: Filter, value: Any) -> bool | None:
    if term.operator == "is":
        return _is(term.value.lower(), value)
    if term.operator == "isdistinct":
        return value is None or compared(value, term.value) != 0
    if value is None:
        return None
    if term.operator == "in":
        return any(compared(value, each) == 0 for each in listed(term.value))
    if term.quantifier:
        answers = [_TESTS[term.operator](value, each) for each in listed(term.value)]
        return all(answers) if term.quantifier == "all" else any(answers)
    return _TESTS[term.operator](value, term.value)


def _is(wanted: str, value: Any) -> bool:
    known: dict[str, Callable[[Any], bool]] = {
        "null": lambda one: one is None,
        "not_null": lambda one: one is not None,
        "unknown": lambda one: one is None,
        "true": lambda one: one is True,
        "false": lambda one: one is False,
    }
    if wanted not in known:
        raise RestError(400, "PGRST100", f'"failed to parse filter (is.{wanted})"', "unexpected input")
    return known[wanted](value)


def compared(value: Any, text: str) -> int:
    """-1, 0 or 1, by the type that the row's value has. RestError where the text is not of that type."""
    if isinstance(value, bool):
        return _sign(value, _boolean(text))
    if isinstance(value, int | float):
        return _sign(Decimal(str(value)), _decimal(text, "bigint" if isinstance(value, int) else "double precision"))
    if isinstance(value, dict | list):
        other = _array(text) if isinstance(value, list) and text.startswith("{") else _json(text)
        return 0 if value == other or list(map(str, value)) == other else 1
    return _sign(*_moments(str(value), text))


def _moments(one: str, other: str) -> tuple[Any, Any]:
    """Both as moments where both are; a moment without a zone is UTC, as hosted."""
    if _MOMENT.fullmatch(one) and _MOMENT.fullmatch(other):
        try:
            return tuple(map(_moment, (one, other)))  # type: ignore[return-value]
        except ValueError:
            pass
    return one, other


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _like(value: Any, pattern: str, flags: str = "(?s)") -> bool:
    whole = "".join({"%": ".*", "*": ".*", "_": "."}.get(each, re2.escape(each)) for each in pattern)
    return bool(re2.fullmatch(flags + whole, str(value)))


def _matched(value: Any, pattern: str, flags: str = "") -> bool:
    try:
        return bool(re2.search(flags + pattern, str(value)))
    except re2.error as error:
        raise RestError(400, "2201B", f"invalid regular expression: {error}") from None


def _contains(value: Any, text: str) -> bool:
    return _within(_other(value, text), value)


def _contained(value: Any, text: str) -> bool:
    return _within(value, _other(value, text))


def _overlaps(value: Any, text: str) -> bool:
    return isinstance(value, list) and any(each in value or each in map(str, value) for each in _other(value, text))


def _other(value: Any, text: str) -> Any:
    """An array's literal `{a,b}`, else JSON."""
    return _array(text) if isinstance(value, list) and text.startswith("{") else _json(text)


def _within(small: Any, large: Any) -> bool:
    if isinstance(small, Mapping):
        held = large if isinstance(large, Mapping) else {}
        return bool(held or not small) and all(key in held and _within(one, held[key]) for key, one in small.items())
    if isinstance(small, list):
        return isinstance(large, list) and all(any(_within(one, each) for each in large) for one in small)
    return bool(small == large) or (isinstance(small, str) and small == str(large))


def _array(text: str) -> list[Any]:
    return list(listed(text))


def _searched(value: Any, text: str) -> bool:
    """Whether the words of a text search all stand in the text; `|` needs one of them, `!` none."""
    words = {each.lower() for each in _WORD.findall(str(value))}
    return any(
        all((word.strip(" '\"").lower().lstrip("!-") in words) is not word.strip().startswith(("!", "-"))
            for word in re.split(r"[&\s]+", choice) if word.strip())
        for choice in re.split(r"\||\bor\b", text)
    )  # fmt: skip


_TESTS: dict[str, Callable[[Any, str], bool]] = {
    "eq": lambda one, other: compared(one, other) == 0,
    "neq": lambda one, other: compared(one, other) != 0,
    "gt": lambda one, other: compared(one, other) > 0,
    "gte": lambda one, other: compared(one, other) >= 0,
    "lt": lambda one, other: compared(one, other) < 0,
    "lte": lambda one, other: compared(one, other) <= 0,
    "like": _like,
    "ilike": lambda one, other: _like(one, other, "(?is)"),
    "match": _matched,
    "imatch": lambda one, other: _matched(one, other, "(?i)"),
    "cs": _contains,
    "cd": _contained,
    "ov": _overlaps,
    **dict.fromkeys(("fts", "plfts", "phfts", "wfts"), _searched),
}


def ordered(rows: Sequence[Row], key: Callable[[Row], Any], descending: bool, nulls_first: bool) -> list[Row]:
    """Sorted by one value each, stable; nulls at the end that is asked for."""
    known = [row for row in rows if key(row) is not None]
    nulls = [row for row in rows if key(row) is None]
    known.sort(key=cmp_to_key(lambda one, other: _three(key(one), key(other))), reverse=descending)
    return [*nulls, *known] if nulls_first else [*known, *nulls]


def _three(one: Any, other: Any) -> int:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return _sign(one, other)
    return _sign(*_moments(str(one), str(other)))


def _sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _cast(value: Any, kind: str) -> Any:
    if not kind or value is None:
        return value
    if kind in ("text", "varchar"):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind in ("int", "integer", "bigint", "int4", "int8"):
        return int(_decimal(str(value), kind))
    if kind in ("numeric", "float", "float8", "real"):
        return float(_decimal(str(value), kind))
    return value


def _decimal(text: str, kind: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise RestError(400, "22P02", f'invalid input syntax for type {kind}: "{text}"') from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "t", "f", "1", "0"):
        raise RestError(400, "22P02", f'invalid input syntax for type boolean: "{text}"')
    return text.lower() in ("true", "t", "1")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise RestError(400, "22P02", "invalid input syntax for type json", f'Token "{text}" is invalid.') from None
