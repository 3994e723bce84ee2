"""Kinds of values that config.yaml holds, each with the words for what is wrong with it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from migration.common import durations
from migration.common.secrets_type import Secret
from migration.errors import Refused


def _seconds(value: Any) -> float:
    try:
        return durations.parse(value)
    except Refused as error:
        raise ValueError(f"{error.message}; {error.hint}") from None


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("should be text, best a ${NAME} from .env")
    return Secret(value)


def _pattern(value: Any) -> str:
    try:
        re.compile(str(value))
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return str(value)


Duration = Annotated[float, BeforeValidator(_seconds)]
Hidden = Annotated[Secret, BeforeValidator(_secret)]
Regex = Annotated[str, BeforeValidator(_pattern)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)
