"""A smoke case, as config.yaml states it: one request and what its answer must be."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .fields import Duration, Hidden, Regex, Section, Slug


class Text(Section):
    contains: str | None = None
    matches: Regex | None = None


class Expect(Section):
    status: int | list[int] = 200
    headers: dict[str, Regex] = {}
    json_: dict[str, Any] = Field(default={}, alias="json")
    text: Text | None = None
    artifact: Literal["react", "html", "svg"] | None = None
    forbidden_imports: list[str] = []
    max_seconds: Duration | None = None


class SmokeCase(Section):
    name: str
    function: Slug
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] = "POST"
    headers: dict[str, str] = {}
    auth: Literal["none", "anon", "user"] | Hidden = "anon"
    body: Any = None
    body_file: str | None = None
    timeout: Duration = 60.0
    capture: dict[str, str] = {}
    expect: Expect = Expect()
