"""From the plain data of a file to sections: each value by the annotation of its field, every mistake with its path."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from migration.config.fields import Raw, Section
from migration.config.words import guess, shown
from migration.config.yamlfile import Path_

Problems = list[tuple[Path_, str]]
_NAMES = {
    int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "nothing",
    list: "a list", dict: "keys and values",
}  # fmt: skip


def build(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    """The value of a kind, a section's for one, from plain data that stands at a path.

    What is wrong is added to `problems`; the value means nothing then.
    """
    return _BY_ORIGIN.get(get_origin(kind), _simple)(kind, data, path, problems)


@cache
def keys(kind: type[Section]) -> dict[str, tuple[str, Any, bool]]:
    """The keys of a section: the field that each fills, its kind, and whether it must be there."""
    fields, written = kind.__struct_fields__, kind.__struct_encode_fields__
    needed = fields[: len(fields) - len(kind.__struct_defaults__)]
    known = zip(written, fields, strict=True)
    return {key: (name, kind.__annotations__[name], name in needed) for key, name in known if name not in kind.inner}


def _simple(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    """A section, or a value that is one: a whole number is a number, true and false are none."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind, data, path, problems)
    if kind is Any or type(data) is kind:
        return data
    if kind is float and type(data) is int and abs(data) < 1e300:
        return float(data)
    return _refuse(kind, data, path, problems)


def _section(kind: type[Section], data: Any, path: Path_, problems: Problems) -> Any:
    if kind.short and not isinstance(data, dict):
        data = {kind.short: data}
    if not isinstance(data, dict):
        return _refuse(kind, data, path, problems)
    before = len(problems)
    given = _given(kind, data, path, problems)
    try:
        return kind(**given) if len(problems) == before else None
    except ValueError as error:
        problems.append((path, str(error)))
        return None


def _given(kind: type[Section], data: dict[str, Any], path: Path_, problems: Problems) -> dict[str, Any]:
    """The fields that the keys fill; what is unknown or missing is a problem."""
    known = keys(kind)
    given: dict[str, Any] = {"named": {}} if kind.further else {}
    for key, value in data.items():
        if key in known:
            name, inner, _ = known[key]
            given[name] = build(inner, value, (*path, key), problems)
        elif kind.further:
            given["named"][key] = build(kind.further, value, (*path, key), problems)
        else:
            problems.append(((*path, key), f"unknown key{guess(key, known)}"))
    problems += [((*path, key), "is missing") for key, (*_, needed) in known.items() if needed and key not in data]
    return given


def _marked(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    """A kind's functions, in turn, after its type was found to be right."""
    inner, *rules = get_args(kind)
    before = len(problems)
    try:
        found = rules.pop(0).read(data) if isinstance(rules[0], Raw) else build(inner, data, path, problems)
        for rule in rules if len(problems) == before else ():
            found = rule(found)
    except ValueError as error:
        problems.append((path, str(error)))
        return None
    return found


def _union(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    """The member of the value's shape, so that only what was meant is told; scalars are tried in turn."""
    if data is None and NoneType in get_args(kind):
        return None
    members = [member for member in get_args(kind) if member is not NoneType]
    fitting = [member for member in members if _fits(member, data)] if len(members) > 1 else members
    for member in fitting:
        tried: Problems = []
        found = build(member, data, path, tried)
        if not tried:
            return found
    if len(fitting) == 1:
        problems += tried
        return None
    return _refuse(kind, data, path, problems)


def _list(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    if not isinstance(data, list):
        return _refuse(kind, data, path, problems)
    (inner,) = get_args(kind)
    return [build(inner, value, (*path, index), problems) for index, value in enumerate(data)]


def _dict(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    if not isinstance(data, dict):
        return _refuse(kind, data, path, problems)
    name, inner = get_args(kind)
    return {
        build(name, key, (*path, key), problems): build(inner, value, (*path, key), problems)
        for key, value in data.items()
    }


def _literal(kind: Any, data: Any, path: Path_, problems: Problems) -> Any:
    return data if isinstance(data, str) and data in get_args(kind) else _refuse(kind, data, path, problems)


def _refuse(kind: Any, data: Any, path: Path_, problems: Problems) -> None:
    problems.append((path, f"should be {_named(kind)}, got {shown(data)}"))


def _named(kind: Any) -> str:
    """A kind in words, to follow `should be`."""
    bare, parts = _bare(kind), get_args(kind)
    if bare is Literal:
        return f"one of {', '.join(parts)}" if len(parts) > 1 else str(parts[0])
    if bare in (Union, UnionType):
        return " or ".join(_named(part) for part in parts if part is not NoneType)
    return _NAMES.get(bare, "text")


def _fits(kind: Any, data: Any) -> bool:
    """Whether a value looks like one of the kind: keys and values, a list, or neither."""
    looks = _bare(kind)
    return looks is type(data) if isinstance(data, dict | list) else looks not in (dict, list)


def _bare(kind: Any) -> Any:
    """A kind without what it says of its parts; dict for a section."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    bare = get_origin(kind) or kind
    return dict if isinstance(bare, type) and issubclass(bare, Section) else bare


_BY_ORIGIN: dict[Any, Callable[[Any, Any, Path_, Problems], Any]] = {
    Annotated: _marked,
    Union: _union,
    UnionType: _union,
    list: _list,
    dict: _dict,
    Literal: _literal,
}
