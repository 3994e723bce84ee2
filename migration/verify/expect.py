"""What an answer must be, against what it is: one Failure for each expectation that does not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import UNSET

from migration.base import strictjson
from migration.base.secrets_type import mask
from migration.config.cases import Code, Expect, Length, Match, Stream, Text
from migration.config.pattern import search
from migration.verify.parser import Parser

WRAPPED_AT, BARE_AT = "$.artifactCode", "$.fixedCode"
_SHOWN = 300  # characters of an answer in a message
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,), "null": (type(None),),
}  # fmt: skip


class AnswerLike(Protocol):
    """What is read of an answer, so that tests can make one."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def first(self) -> float: ...


@dataclass(frozen=True)
class Failure:
    """One expectation that did not hold; `what` names it as config.yaml does, texts are masked."""

    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, got {self.got}"


class Checker:
    """Checks answers; the parser is for artifacts."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def check(self, expect: Expect, answer: AnswerLike) -> tuple[Failure, ...]:
        """Every expectation that fails. A wrong status is reported alone: the rest describes another answer."""
        if answer.status not in expect.statuses:
            wanted = " or ".join(str(status) for status in expect.statuses)
            text = brief(answer.text)
            return (Failure("status", wanted, f"{answer.status}: {text}" if text else str(answer.status)),)
        return tuple(
            Failure(failure.what, failure.expected, cut(failure.got))
            for failure in (
                *_headers(expect.headers, answer.headers),
                *_json(expect.json_, answer.body),
                *_text(expect.text, answer.text),
                *_stream(expect.stream, answer),
                *self.code(expect, answer),
                *_seconds(expect.max_seconds, answer.seconds),
            )
        )

    def code(self, expect: Expect, answer: AnswerLike) -> Iterator[Failure]:
        """Failures of the artifact and the code alone."""
        for name, wanted, at, judge in _codes(expect):
            text = code_at(answer.body, at)
            if text is None:
                yield Failure(name, f"{wanted.type} code at {at}", "no text there")
                continue
            for problem in judge(text, wanted.type, self._parser, expect.forbidden_imports):
                yield Failure(name, f"valid {wanted.type} code at {at}", f"code that is not: {problem}")


def delivers(expect: Expect, answer: AnswerLike) -> bool:
    """Whether the answer holds the expected code, valid or not."""
    codes = [code_at(answer.body, at) for _, _, at, _ in _codes(expect)]
    return answer.status in expect.statuses and bool(codes) and all(codes)


def find(body: bytes, path: str) -> list[Any]:
    """What a JSONPath finds in a body; nothing where the body is not JSON."""
    from jsonpath import findall

    try:
        data = strictjson.loads(body)
    except ValueError:
        return []
    return findall(path, data) if isinstance(data, dict | list) else [data] if path == "$" else []


def code_at(body: bytes, path: str) -> str | None:
    """The text at a path, None when there is none or it is empty."""
    value = next(iter(find(body, path)), None)
    return value if isinstance(value, str) and value.strip() else None


def events(answer: AnswerLike) -> list[str]:
    """The data of each event of a stream, in order; in an answer of another type, its lines that are not empty.

    An event ends with an empty line; comments and fields other than data are not counted, nor is an event that the
    answer's end cuts off. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    text = answer.text.removeprefix("\ufeff")
    if not answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
        return [line for line in text.splitlines() if line.strip()]
    events_, data = list[str](), list[str]()
    for line in re.split(r"\r\n|\n|\r", text)[:-1]:
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            events_.append("\n".join(data))
            data = []
    return events_


def brief(text: str) -> str:
    """The error that a body reports, without the JSON around it; a body of another form is cut."""
    try:
        data = strictjson.loads(text)
    except ValueError:
        return cut(text)
    while isinstance(data, dict):
        data = next((data[key] for key in ("error", "message", "msg", "detail", "code") if data.get(key)), "")
    return cut(data if isinstance(data, str) and data else text)


def cut(text: str) -> str:
    """A text short enough for a message, on one line; masked before it is cut, so that no half of a secret is left."""
    line = " ".join(mask(text).split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}… ({len(text)} characters)"


def _codes(expect: Expect) -> Iterator[tuple[str, Code, str, Any]]:
    if not expect.artifact and not expect.code:
        return
    from migration.verify import artifact  # with an HTML and an XML parser behind it

    if expect.artifact:
        yield "artifact", expect.artifact, expect.artifact.at or WRAPPED_AT, artifact.wrapped
    if expect.code:
        yield "code", expect.code, expect.code.at or BARE_AT, artifact.code


def _headers(wanted: Mapping[str, str], got: Mapping[str, str]) -> Iterator[Failure]:
    for name, pattern in wanted.items():
        value = got.get(name)
        if value is None or not search(pattern, value):
            yield Failure(f"header {name}", f"something like {pattern}", "no such header" if value is None else value)


def _text(wanted: Text | None, got: str, what: str = "text") -> Iterator[Failure]:
    if wanted is None:
        return
    parts = [wanted.contains] if isinstance(wanted.contains, str) else wanted.contains or []
    for part in parts:
        if part not in got:
            yield Failure(what, f"a text that contains {cut(part)}", got or "an empty body")
    if wanted.matches is not None and not search(wanted.matches, got):
        yield Failure(what, f"a text that matches {wanted.matches}", got or "an empty body")


def _stream(wanted: Stream | None, answer: AnswerLike) -> Iterator[Failure]:
    if wanted is None:
        return
    if wanted.first_byte is not None and answer.first > wanted.first_byte:
        yield Failure("stream first_byte", f"at most {wanted.first_byte:g}s", f"{answer.first:.4g}s")
    events_ = events(answer)
    if wanted.events is not None and not _fits(wanted.events, events_):
        words = _length(wanted.events).replace("a length of ", "")
        yield Failure("stream events", words, f"{len(events_)} (the last: {events_[-1]})" if events_ else "none")
    if wanted.last is not None and not events_:
        yield Failure("stream last", "an event", answer.text or "an empty body")
    elif wanted.last is not None:
        yield from _text(wanted.last, events_[-1], "stream last")


def _seconds(most: float | None, got: float) -> Iterator[Failure]:
    if most is not None and got > most:
        yield Failure("max_seconds", f"at most {most:g}s", f"{got:.4g}s")


def _json(wanted: Mapping[str, Match], body: bytes) -> Iterator[Failure]:
    if wanted and not _is_json(body):
        yield Failure("json", "a JSON body", body.decode("utf-8", "replace") or "an empty body")
        return
    for path, match in wanted.items():
        values = find(body, path)
        if match.absent:
            if values:
                yield Failure(f"json {path}", "nothing there", _json_of(values[0]))
        elif not values:
            yield Failure(f"json {path}", _wish(match), "nothing there")
        for value in [] if match.absent else values:
            yield from (Failure(f"json {path}", wish, got) for wish, got in _unmet(match, value))


def _unmet(match: Match, value: Any) -> Iterator[tuple[str, str]]:
    """The wishes that a value does not meet, in words, each with what came instead."""
    got = _json_of(value)
    if match.equals is not UNSET and not _equal(value, match.equals):
        yield cut(_json_of(match.equals)), got
    if match.type and not _is_type(value, match.type):
        yield f"a value of type {match.type}", got
    if match.matches is not None and not (isinstance(value, str) and search(match.matches, value)):
        yield f"text that matches {match.matches}", got
    if match.length is not None and not _fits(match.length, value):
        yield _length(match.length), f"{len(value)}: {got}" if isinstance(value, str | list | dict) else got


def _wish(match: Match) -> str:
    """Everything that is expected of a value, in words."""
    parts = [cut(_json_of(match.equals))] if match.equals is not UNSET else []
    parts += [f"a value of type {match.type}"] if match.type else []
    parts += [f"text that matches {match.matches}"] if match.matches is not None else []
    return ", ".join(parts + ([_length(match.length)] if match.length is not None else []))


def _equal(got: Any, wanted: Any) -> bool:
    """As JSON compares: true is not 1."""
    return json.dumps(got, sort_keys=True) == json.dumps(wanted, sort_keys=True) or (
        _is_type(got, "number") and _is_type(wanted, "number") and got == wanted
    )


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())


def _fits(wanted: int | Length, value: Any) -> bool:
    if not isinstance(value, str | list | dict):
        return False
    if isinstance(wanted, int):
        return len(value) == wanted
    return wanted.at_least <= len(value) and (wanted.at_most is None or len(value) <= wanted.at_most)


def _length(wanted: int | Length) -> str:
    if isinstance(wanted, int):
        return f"a length of {wanted}"
    if wanted.at_most is None:
        return f"a length of at least {wanted.at_least}"
    return (
        f"a length of {wanted.at_least} to {wanted.at_most}"
        if wanted.at_least
        else f"a length of at most {wanted.at_most}"
    )


def _is_json(body: bytes) -> bool:
    try:
        strictjson.loads(body)
    except ValueError:
        return False
    return True


def _json_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
