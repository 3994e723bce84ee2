"""A smoke case of config.yaml: one request and what its answer must be."""

import re
from typing import Annotated, Any, Literal

from msgspec import UNSET, field

from migration.base.secrets_type import Secret
from migration.config.builder import Count, Filled, Hidden, Parameter, Regex, Section, Slug, Span

CodeKind = Literal["react", "html", "svg"]
TypeName = Literal["string", "number", "integer", "boolean", "array", "object", "null"]


# Who a word may mean, which as a token would only be refused with 401.
_ROLES = frozenset(
    ("service", "service_role", "admin", "authenticated", "anonymous", "public", "bearer", "jwt", "token")
)
_PLAIN = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\])*")


def _path(value: str) -> str:
    """A JSONPath; the library is imported for the first path that is not plain names and indexes."""
    if _PLAIN.fullmatch(value):
        return value
    from jsonpath import JSONPathError, compile  # noqa: A004

    try:
        compile(value)
    except JSONPathError as error:
        raise ValueError(f"{value} is not a JSONPath: {str(error).splitlines()[0]}") from None
    return value


JsonPath = Annotated[str, _path]


class Length(Section):
    at_least: Count = 0
    at_most: Count | None = None


class Match(Section):
    """What each value at a JSONPath must be; all of it must hold. `equals` may be null."""

    short = "equals"
    equals: Any = UNSET
    matches: Regex | None = None
    type: TypeName | None = None
    length: int | Length | None = None
    absent: bool | None = None

    def __post_init__(self) -> None:
        others = [part for part in (self.matches, self.type, self.length) if part is not None]
        if self.equals is UNSET and not others and self.absent is None:
            raise ValueError("needs one of equals, matches, type, length, absent")
        if self.absent and (self.equals is not UNSET or others):
            raise ValueError("absent cannot be combined: an absent value has no properties")


class Text(Section):
    short = "contains"
    contains: str | list[str] | None = None
    matches: Regex | None = None


class Code(Section):
    """Where in the answer the code stands, and of which kind it must be."""

    short = "type"
    type: CodeKind
    at: JsonPath | None = None


class Stream(Section):
    """What a streaming answer must be: seconds to its first byte, how many events, what the last one holds.

    An event is one of text/event-stream; in any other answer, a line that is not empty.
    """

    first_byte: Span | None = None
    events: int | Length | None = None
    last: Text | None = None

    def __post_init__(self) -> None:
        if self.first_byte is None and self.events is None and self.last is None:
            raise ValueError("needs one of first_byte, events, last")


class Expect(Section):
    status: int | list[int] = 200
    headers: dict[str, Regex] = {}
    json_: dict[JsonPath, Match] = field(default={}, name="json")
    text: Text | None = None
    stream: Stream | None = None
    artifact: Code | None = None
    code: Code | None = None
    forbidden_imports: list[str] = []
    max_seconds: Span | None = None

    @property
    def statuses(self) -> list[int]:
        return self.status if isinstance(self.status, list) else [self.status]


class Capture(Section):
    """A value kept for later cases: the first at the path, or the first group of `matches` in it."""

    short = "at"
    at: JsonPath
    matches: Regex | None = None


class UserCredentials(Section):
    email: Hidden
    password: Hidden


def _route(value: str) -> str:
    if not re.fullmatch(r"/[^?#\s]*", value) or ".." in value.split("/"):
        raise ValueError(
            f"should begin with / and hold no ?, # or white space (query has a key of its own), got {value}"
        )
    return value


class SmokeCase(Section):
    name: Filled
    function: Slug
    path: Annotated[str, _route] | None = None
    query: dict[str, Parameter | list[Parameter]] = {}
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] = "POST"
    headers: dict[str, str] = {}
    auth: Literal["none", "anon", "user"] | Hidden = "anon"
    body: Any = None
    body_file: str | None = None
    timeout: Span = 60.0
    when: Literal["always", "before", "after"] = "always"
    capture: dict[Slug, Capture] = {}
    expect: Expect = Expect()
    probe: bool = False

    def __post_init__(self) -> None:
        if self.body is not None and self.body_file is not None:
            raise ValueError("has both body and body_file")
        if isinstance(self.auth, Secret) and self.auth.reveal().lower() in _ROLES:
            raise ValueError('auth should be none, anon, user, or a token of your own as "${NAME}"')
