"""Kinds of values that config.yaml holds, each with the words for what is wrong with it.

A kind is a type and functions: each takes the value, and gives it back or raises ValueError with the words. They are
real objects, not text as under `from __future__ import annotations`: whatever evaluates that costs each verb its time.
"""

import re
import warnings
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, dataclass_transform

import msgspec

from migration.base import durations
from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.config.words import OPEN, shown

Rule = Callable[[Any], Any]
_ADDRESS = re.compile(r"https?://([\w.{}-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?")
_NO_REF = re.compile(r"^[-/.]|[/.]$|\.\.|//|/\.|@\{|\.lock(/|$)|[\x00-\x20\x7f~^:?*\[\\]")


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Section(msgspec.Struct, frozen=True):
    """Keys of config.yaml that belong together; a ValueError of its `__post_init__` is a mistake in the file."""

    short: ClassVar[str] = ""  # the key that a plain value in place of the mapping stands for
    further: ClassVar[Any] = None  # what every unknown key holds; the field `named` has them. None: there must be none
    inner: ClassVar[tuple[str, ...]] = ()  # fields that are no keys


class Raw:
    """The first function of a kind that reads what stands in the file, whatever its type."""

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
        raise ValueError(f"{error.message}; {error.hint}") from None


def _some(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0 seconds")
    return value


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("should be text, best a ${NAME} from .env")
    return Secret(value)


def _pattern(value: Any) -> str:
    """As Python reads it now and will: what a later version may take for something else is refused with its words."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"should be a regular expression, got {shown(value)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(str(value))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    except FutureWarning as warning:
        raise ValueError(f"can be read in two ways: {_found(warning)}; write a backslash before it") from None
    return str(value)


def _found(warning: Warning) -> str:
    """`Possible nested set at position 1`, without the capital."""
    words = str(warning)
    return words[:1].lower() + words[1:]


def _address(value: str) -> str:
    """An http address; one that holds a variable without a value is judged by whoever needs it."""
    if not value or OPEN in value:
        return value
    found = _ADDRESS.fullmatch(value)
    if not found or int((found[2] or ":1")[1:]) > 65535:
        raise ValueError("should be an address like https://api.example.com")
    return value.rstrip("/")


def _ref(value: str) -> str:
    """A branch or the start of refs, as git would take it."""
    if OPEN not in value and (not value or _NO_REF.search(value)):
        raise ValueError("is no name that git takes")
    return value


def _place(value: str) -> str:
    """An environment's name, which becomes a part of git refs, of paths and of the commands that we print."""
    if not re.fullmatch(r"\w[\w.-]*", value) or _NO_REF.search(value):
        raise ValueError("an environment's name takes letters, digits, - and _: it names a git ref (refs/cutover/…)")
    return value


def _project(value: str) -> str:
    """A project as its dashboard's address names it; the Management API refuses any other form."""
    if OPEN not in value and not re.fullmatch(r"[a-z]{20}", value):
        raise ValueError("should be the twenty lower-case letters of the dashboard's address")
    return value


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
Address = Annotated[str, _address]
Ref = Annotated[str, _ref]
Place = Annotated[str, _place]
ProjectRef = Annotated[str, _project]
