"""Kinds of values that config.yaml holds, each with the words for what is wrong with it."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from migration.common import durations
from migration.common.secrets_type import Secret
from migration.errors import Refused

_WAITING = "\ue000"  # begins a ${NAME} that has no value yet
_ADDRESS = re.compile(r"https?://([\w.{}-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?")
_NO_REF = re.compile(r"^[-/.]|[/.]$|\.\.|//|/\.|@\{|\.lock(/|$)|[\x00-\x20\x7f~^:?*\[\\]")


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


def _address(value: Any) -> Any:
    """An http address; one that holds a variable without a value is judged by whoever needs it."""
    if not isinstance(value, str) or not value or _WAITING in value:
        return value
    found = _ADDRESS.fullmatch(value)
    if not found or int((found[2] or ":1")[1:]) > 65535:
        raise ValueError("should be an address like https://api.example.com")
    return value.rstrip("/")


def _ref(value: Any) -> Any:
    """A branch or the start of refs, as git would take it."""
    if isinstance(value, str) and _WAITING not in value and (not value or _NO_REF.search(value)):
        raise ValueError("is no name that git takes")
    return value


def _place(value: Any) -> Any:
    """An environment's name, which becomes a part of git refs, of paths and of the commands that we print."""
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w.-]*", value) or _NO_REF.search(value):
        raise ValueError("an environment's name takes letters, digits, - and _: it names a git ref (refs/cutover/…)")
    return value


def _project(value: Any) -> Any:
    """A project as its dashboard's address names it; the Management API refuses any other form."""
    if isinstance(value, str) and _WAITING not in value and not re.fullmatch(r"[a-z]{20}", value):
        raise ValueError("should be the twenty lower-case letters of the dashboard's address")
    return value


Duration = Annotated[float, BeforeValidator(_seconds)]
Span = Annotated[Duration, AfterValidator(_some)]
Hidden = Annotated[Secret, BeforeValidator(_secret)]
Regex = Annotated[str, BeforeValidator(_pattern)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Address = Annotated[str, BeforeValidator(_address)]
Ref = Annotated[str, BeforeValidator(_ref)]
Place = Annotated[str, BeforeValidator(_place)]
ProjectRef = Annotated[str, BeforeValidator(_project)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)
