"""A smoke case, as config.yaml states it: one request and what its answer must be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from migration.schema.fields import Hidden, Regex, Section, Slug, Span

Kind = Literal["react", "html", "svg"]
TypeName = Literal["string", "number", "integer", "boolean", "array", "object", "null"]


_PLAIN = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\])*")


def _path(value: Any) -> str:
    """A JSONPath; the import is as late as the first path that is not plain names and indexes."""
    if _PLAIN.fullmatch(str(value)):
        return str(value)
    from jsonpath import JSONPathError, compile  # noqa: A004

    try:
        compile(str(value))
    except JSONPathError as error:
        raise ValueError(f"{value} is not a JSONPath: {str(error).splitlines()[0]}") from None
    return str(value)


JsonPath = Annotated[str, BeforeValidator(_path)]


def _short(key: str) -> BeforeValidator:
    """A plain value stands for the mapping that has it under `key`."""
    return BeforeValidator(lambda value: value if isinstance(value, dict) else {key: value})


class Length(Section):
    at_least: int = Field(default=0, ge=0)
    at_most: int | None = Field(default=None, ge=0)


class Match(Section):
    """What each value that a JSONPath finds must be; all that is given must hold."""

    equals: Any = None
    matches: Regex | None = None
    type: TypeName | None = None
    length: int | Length | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _something(self) -> Match:
        if not self.model_fields_set:
            raise ValueError("needs one of equals, matches, type, length, absent")
        if self.absent and len(self.model_fields_set) > 1:
            raise ValueError("absent stands alone: what is not there has no value")
        return self


class Text(Section):
    contains: str | list[str] | None = None
    matches: Regex | None = None


class Code(Section):
    """Where in the answer the code stands, and of which kind it must be."""

    type: Kind
    at: JsonPath | None = None


class Expect(Section):
    status: int | list[int] = 200
    headers: dict[str, Regex] = {}
    json_: dict[JsonPath, Annotated[Match, _short("equals")]] = Field(default={}, alias="json")
    text: Annotated[Text, _short("contains")] | None = None
    artifact: Annotated[Code, _short("type")] | None = None
    code: Annotated[Code, _short("type")] | None = None
    forbidden_imports: list[str] = []
    max_seconds: Span | None = None

    @property
    def statuses(self) -> list[int]:
        return self.status if isinstance(self.status, list) else [self.status]


class Capture(Section):
    """A value kept for later cases: what the path finds first, or the first group of `matches` in it."""

    at: JsonPath
    matches: Regex | None = None


class SmokeCase(Section):
    name: str = Field(min_length=1)
    function: Slug
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] = "POST"
    headers: dict[str, str] = {}
    auth: Literal["none", "anon", "user"] | Hidden = "anon"
    body: Any = None
    body_file: str | None = None
    timeout: Span = 60.0
    capture: dict[Slug, Annotated[Capture, _short("at")]] = {}
    expect: Expect = Expect()

    @model_validator(mode="after")
    def _one_body(self) -> SmokeCase:
        if self.body is not None and self.body_file is not None:
            raise ValueError("has both body and body_file")
        return self
