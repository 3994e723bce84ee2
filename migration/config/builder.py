"""How config.yaml is read: kinds of values, sections of keys, and every mistake with its path.

A kind is a type and functions: each takes the value and returns it, or raises ValueError with the words. Annotations
here and in the sections are real objects, not text as under `from __future__ import annotations`: evaluating that text
would cost each verb its time.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, dataclass_transform, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, structs

from migration.base import durations
from migration.base.errors import Refused
from migration.base.filename import PATTERN
from migration.base.secrets_type import Secret
from migration.config import pattern
from migration.config.yamlfile import KeyPath

Problems = list[tuple[KeyPath, str]]
Rule = Callable[[Any], Any]
# A ${NAME} without a value stays in the text between these two signs (private use) until a verb needs it.
OPEN, CLOSE = "\ue000", "\ue001"
NOT_TEXT = "should be text, got "
VOID: Any = object()  # in place of a value that a mistake leaves nothing of
_SHOWN = 60  # characters of a value
_NAME = 60  # characters of an environment's name
_ADDRESS = re.compile(r"https?://([\w.{}-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?")
_NO_REF = re.compile(r"^[-/.]|[/.]$|\.\.|//|/\.|@\{|\.lock(/|$)|[\x00-\x20\x7f~^:?*\[\\]")
_NAMES = {
    int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "nothing",
    list: "a list", dict: "keys and values",
}  # fmt: skip


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Section(msgspec.Struct, frozen=True):
    """Keys of config.yaml that belong together. A ValueError of its `__post_init__` is reported as a mistake."""

    short: ClassVar[str] = ""  # the key meant by a plain value in place of the mapping
    further: ClassVar[Any] = None  # the kind of every key that is not a field, kept in `named`; None allows no such key
    inner: ClassVar[tuple[str, ...]] = ()  # fields that are not keys
    moved: ClassVar[dict[str, str]] = {}  # keys of earlier versions, and what replaced them


class Raw:
    """Stands first among a kind's functions and reads the value as written, whatever its type."""

    def __init__(self, read: Rule) -> None:
        self.read = read


def rule(words: str, holds: Callable[[Any], object]) -> Rule:
    """A function for a kind: `should WORDS` where it does not hold."""

    def check(value: Any) -> Any:
        if not holds(value):
            got = f"{value:.12g}" if isinstance(value, float) else shown(value)  # 0, not 0.0
            raise ValueError(f"should {words}, got {got}")
        return value

    return check


def at_least(least: float) -> Rule:
    return rule(f"be at least {least}", lambda value: value >= least)


def at_most(most: float) -> Rule:
    return rule(f"be at most {most}", lambda value: value <= most)


def above(bound: float) -> Rule:
    return rule(f"be more than {bound}", lambda value: value > bound)


def below(bound: float) -> Rule:
    return rule(f"be less than {bound}", lambda value: value < bound)


def filled(value: Any) -> Any:
    """A text, a list or a mapping with something in it."""
    if not value:
        raise ValueError("should not be empty")
    return value


def _seconds(value: Any) -> float:
    try:
        return durations.parse(value)
    except Refused as error:
        raise ValueError(f"{error.message.rstrip('.')}; {error.hint}") from None


def _some(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0 seconds")
    return value


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError('should be text: put it in quotes, best as "${NAME}" from .env')
    return Secret(value)


def _pattern(value: Any) -> str:
    """A regular expression that RE2 runs, and that means the same to this Python and to later ones."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        quoted = "; put it in quotes" if isinstance(value, float) else ""
        raise ValueError(f"should be a regular expression, got {shown(value)}{quoted}")
    why = pattern.problem(str(value))
    if why:
        raise ValueError(why)
    return str(value)


def _address(value: str) -> str:
    """An HTTPS address; HTTP on this machine alone, since tokens and keys travel to it in a header.

    One that holds a variable without a value is not used: whoever needs it names the variable.
    """
    if not value or OPEN in value:
        return value
    match = _ADDRESS.fullmatch(value)
    if not match or int((match[2] or ":1")[1:]) > 65535:
        raise ValueError("should be an address like https://api.example.com")
    if value.startswith("http:") and not loopback(match[1].strip("[]")):
        raise ValueError("should begin with https://: keys would travel in clear (http:// is for localhost)")
    return value.rstrip("/")


def loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _ref(value: str) -> str:
    """A branch or the start of refs, by git's rules for ref names."""
    if OPEN not in value and (not value or _NO_REF.search(value)):
        raise ValueError("is not a valid git ref name")
    return value


def _place(value: str) -> str:
    """An environment's name, which becomes a part of git refs, of paths and of the commands that we print."""
    if len(value) > _NAME or not re.fullmatch(PATTERN, value) or _NO_REF.search(value):
        words = f"an environment's name takes letters (A to Z), digits, - and _, at most {_NAME}"
        raise ValueError(f"{words}: it names a git ref (refs/cutover/…) and files")
    return value


def project(value: str) -> str:
    """A project as the dashboard's address names it; the Management API refuses any other form."""
    if OPEN not in value and not re.fullmatch(r"[a-z]{20}", value):
        raise ValueError("should be the twenty lower-case letters of the dashboard's address")
    return value


def _parameter(value: Any) -> str:
    """A value of a query, as it is sent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(f"should be text or a number, got {shown(value)}")
    return str(value)


def _slug(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value):
        raise ValueError(f"should be letters, digits, - and _, first a letter, got {shown(value)}")
    return value


Filled = Annotated[str, filled]
Count = Annotated[int, at_least(0)]
Positive = Annotated[int, at_least(1)]
Amount = Annotated[float, at_least(0)]
Share = Annotated[float, at_least(0), at_most(1)]
Risk = Annotated[float, above(0), below(0.5)]
Duration = Annotated[float, Raw(_seconds)]
Span = Annotated[Duration, _some]
Hidden = Annotated[Secret, Raw(_secret)]
Regex = Annotated[str, Raw(_pattern)]
Slug = Annotated[str, _slug]
Parameter = Annotated[str, Raw(_parameter)]
Address = Annotated[str, _address]
Ref = Annotated[str, _ref]
EnvironmentName = Annotated[str, _place]
ProjectRef = Annotated[str, project]


# From the data of a file to sections.


def build(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    """The value of a kind, from the data at `path`. Mistakes are added to `problems`; VOID where they leave no value,
    as an unknown key does not."""
    return _BY_ORIGIN.get(get_origin(kind), _simple)(kind, data, path, problems)


def sections(kind: type[Section], data: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """The fields of the whole file's kind that have a value, defaults included."""
    defaults = {field.name: field.default_factory() if field.default is NODEFAULT else field.default
                for field in structs.fields(kind) if not field.required}  # fmt: skip
    values = defaults | _fields(kind, data, (), problems)
    return {name: value for name, value in values.items() if value is not VOID}


@cache
def keys(kind: type[Section]) -> dict[str, tuple[str, Any, bool]]:
    """The keys of a section: the field that each one fills, its kind, and whether it is required."""
    fields, written = kind.__struct_fields__, kind.__struct_encode_fields__
    needed = fields[: len(fields) - len(kind.__struct_defaults__)]
    known = zip(written, fields, strict=True)
    kinds = {
        name: each for base in reversed(kind.__mro__) for name, each in vars(base).get("__annotations__", {}).items()
    }
    return {key: (name, kinds[name], name in needed) for key, name in known if name not in kind.inner}


def _simple(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    """A section or a scalar. A whole number is also a number; true and false are not."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind, data, path, problems)
    if kind is Any or type(data) is kind:
        return data
    if kind is float and type(data) is int and abs(data) < 1e300:
        return float(data)
    return _refuse(kind, data, path, problems)


def _section(kind: type[Section], data: Any, path: KeyPath, problems: Problems) -> Any:
    if kind.short and not isinstance(data, dict):
        data = {kind.short: data}
    if not isinstance(data, dict):
        return _refuse(kind, data, path, problems)
    values = _fields(kind, data, path, problems)
    try:
        return VOID if _void(values.values()) else kind(**values)
    except ValueError as error:
        problems.append((path, str(error)))
        return VOID


def _fields(kind: type[Section], data: dict[str, Any], path: KeyPath, problems: Problems) -> dict[str, Any]:
    """The fields that the keys fill; an unknown or missing key is a problem."""
    known = keys(kind)
    values: dict[str, Any] = {}
    further: dict[str, Any] = {}
    for key, value in data.items():
        if key in known:
            name, inner, _ = known[key]
            values[name] = build(inner, value, (*path, key), problems)
        elif kind.further and key not in kind.moved:
            further[key] = build(kind.further, value, (*path, key), problems)
        else:
            problems.append(((*path, key), kind.moved.get(key) or f"unknown key{guess(key, known)}"))
    missing = {key: name for key, (name, _, needed) in known.items() if needed and key not in data}
    problems += [((*path, key), "is missing") for key in missing]
    named = {"named": _whole(further)} if kind.further else {}
    return {**values, **named, **dict.fromkeys(missing.values(), VOID)}


def _void(values: Iterable[Any]) -> bool:
    return any(value is VOID for value in values)


def _whole(values: Any) -> Any:
    """A list or mapping, VOID where any of its values is."""
    return VOID if _void(values.values() if isinstance(values, dict) else values) else values


def _marked(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    """A kind's functions in turn, once its type is right."""
    inner, *rules = get_args(kind)
    try:
        value = rules.pop(0).read(data) if isinstance(rules[0], Raw) else build(inner, data, path, problems)
        for rule in rules if value is not VOID else ():
            value = rule(value)
    except ValueError as error:
        problems.append((path, str(error)))
        return VOID
    return value


def _union(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    """The member that has the value's shape, so that only its mistakes are reported; scalars are tried in turn."""
    if data is None and NoneType in get_args(kind):
        return None
    members = [member for member in get_args(kind) if member is not NoneType]
    fitting = [member for member in members if _fits(member, data)] if len(members) > 1 else members
    for member in fitting:
        tried: Problems = []
        built = build(member, data, path, tried)
        if not tried:
            return built
    if len(fitting) == 1:
        problems += tried
        return built
    return _refuse(kind, data, path, problems)


def _list(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    if not isinstance(data, list):
        return _refuse(kind, data, path, problems)
    (inner,) = get_args(kind)
    return _whole([build(inner, value, (*path, index), problems) for index, value in enumerate(data)])


def _dict(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    if not isinstance(data, dict):
        return _refuse(kind, data, path, problems)
    name, inner = get_args(kind)
    names = [build(name, key, (*path, key), problems) for key in data]
    values = _whole([build(inner, value, (*path, key), problems) for key, value in data.items()])
    return VOID if _void([values, *names]) else dict(zip(names, values, strict=True))


def _literal(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    return data if isinstance(data, str) and data in get_args(kind) else _refuse(kind, data, path, problems)


def _refuse(kind: Any, data: Any, path: KeyPath, problems: Problems) -> Any:
    problems.append((path, f"should be {_words(kind)}, got {shown(data)}"))
    return VOID


def _words(kind: Any) -> str:
    """A kind in words, after `should be`."""
    bare, parts = _bare(kind), get_args(kind)
    if bare is Literal:
        return f"one of {', '.join(parts)}" if len(parts) > 1 else str(parts[0])
    if bare in (Union, UnionType):
        return " or ".join(_words(part) for part in parts if part is not NoneType)
    return _NAMES.get(bare, "text")


def _fits(kind: Any, data: Any) -> bool:
    """Whether a value has the kind's shape: keys and values, a list, or a scalar."""
    looks = _bare(kind)
    return looks is type(data) if isinstance(data, dict | list) else looks not in (dict, list)


def _bare(kind: Any) -> Any:
    """A kind without its parameters; dict for a section."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    bare = get_origin(kind) or kind
    return dict if isinstance(bare, type) and issubclass(bare, Section) else bare


_BY_ORIGIN: dict[Any, Callable[[Any, Any, KeyPath, Problems], Any]] = {
    Annotated: _marked,
    Union: _union,
    UnionType: _union,
    list: _list,
    dict: _dict,
    Literal: _literal,
}


# The words of a mistake.


def plain(text: str) -> str:
    """The text with unset variables as they were written."""
    return text.replace(OPEN, "${").replace(CLOSE, "}")


def shown(value: Any) -> str:
    """A value for a message: as config.yaml has it, on one line, cut when long."""
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(plain(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def guess(name: str, known: Collection[str]) -> str:
    """The end of a sentence: the closest known name, else all of them; empty when there are none."""
    lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""
