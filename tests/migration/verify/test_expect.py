"""Every kind of expectation, once met and once not; a failure says what was expected and what came."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migration.base.secrets_type import Secret
from migration.clients.http import Answer
from migration.config.cases import Expect
from migration.verify.expect import Checker, Failure, delivers, events
from migration.verify.parser import Parser
from tests.support.built import built

REACT = '<artifact type="application/vnd.ant.react" title="A">\nexport default 1;\n</artifact>'
BODY = {
    "success": True, "count": 2, "ratio": 2.5, "name": "Counter", "none": None, "items": [{"n": 1}, {"n": 2}],
    "artifactCode": REACT, "fixedCode": "import x from 'x';\nexport default x;",
}  # fmt: skip


@pytest.fixture(scope="module")
def checker(deno_state: Path) -> Iterator[Checker]:
    parser = Parser(deno_state / "deno")
    yield Checker(parser)
    parser.close()


def answer(body: Any = BODY, status: int = 200, seconds: float = 1.0) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": "application/json"}, data, seconds, 0.4 * seconds)


MET: list[dict[str, Any]] = [
    {"status": 200},
    {"status": [200, 201]},
    {"headers": {"content-type": "^application/json"}},
    {"json": {"$.success": True}},
    {"json": {"$.none": {"equals": None}}},
    {"json": {"$.count": {"equals": 2.0}}},
    {"json": {"$.items": {"equals": [{"n": 1}, {"n": 2}]}}},
    {"json": {"$.name": {"matches": "^Count"}}},
    {"json": {"$.name": {"type": "string"}}},
    {"json": {"$.count": {"type": "integer"}}},
    {"json": {"$.ratio": {"type": "number"}}},
    {"json": {"$.success": {"type": "boolean"}}},
    {"json": {"$.items": {"type": "array"}}},
    {"json": {"$.items[0]": {"type": "object"}}},
    {"json": {"$.none": {"type": "null"}}},
    {"json": {"$.items": {"length": 2}}},
    {"json": {"$.name": {"length": {"at_least": 3, "at_most": 9}}}},
    {"json": {"$.items[*].n": {"type": "integer"}}},
    {"json": {"$.error": {"absent": True}}},
    {"text": "Counter"},
    {"text": {"contains": ["Counter", "success"]}},
    {"text": {"matches": '"count": *2'}},
    {"artifact": "react"},
    {"artifact": {"type": "react", "at": "$.artifactCode"}},
    {"code": "react"},
    {"code": {"type": "react", "at": "$.fixedCode"}, "forbidden_imports": ["lodash"]},
    {"max_seconds": 1},
    {"stream": {"first_byte": 0.5, "events": 1, "last": "Counter"}},
]

UNMET: list[tuple[dict[str, Any], str]] = [
    ({"status": 400}, "status: expected 400, got 200: {"),
    ({"status": [400, 404]}, "status: expected 400 or 404, got 200: {"),
    ({"headers": {"content-type": "html"}}, "header content-type: expected something like html, got application/json"),
    ({"headers": {"x-other": "."}}, "header x-other: expected something like ., got no such header"),
    ({"json": {"$.success": False}}, "json $.success: expected false, got true"),
    ({"json": {"$.success": 1}}, "json $.success: expected 1, got true"),
    ({"json": {"$.none": {"equals": 0}}}, "json $.none: expected 0, got null"),
    ({"json": {"$.name": {"matches": "x"}}}, 'json $.name: expected text that matches x, got "Counter"'),
    ({"json": {"$.count": {"matches": "2"}}}, "json $.count: expected text that matches 2, got 2"),
    ({"json": {"$.name": {"type": "number"}}}, 'json $.name: expected a value of type number, got "Counter"'),
    ({"json": {"$.success": {"type": "integer"}}}, "json $.success: expected a value of type integer, got true"),
    ({"json": {"$.ratio": {"type": "integer"}}}, "json $.ratio: expected a value of type integer, got 2.5"),
    ({"json": {"$.items": {"length": 3}}}, "json $.items: expected a length of 3, got 2: ["),
    ({"json": {"$.name": {"length": {"at_most": 3}}}}, "json $.name: expected a length of at most 3, got 7: \"Counter"),
    ({"json": {"$.name": {"length": {"at_least": 9}}}}, "json $.name: expected a length of at least 9, got 7: "),
    ({"json": {"$.name": {"length": {"at_least": 8, "at_most": 9}}}}, "json $.name: expected a length of 8 to 9, got"),
    ({"json": {"$.count": {"length": 1}}}, "json $.count: expected a length of 1, got 2"),
    ({"json": {"$.items[*].n": 1}}, "json $.items[*].n: expected 1, got 2"),
    ({"json": {"$.error": {"type": "string", "length": 2}}}, "json $.error: expected a value of type string, a len"),
    ({"json": {"$.name": {"absent": True}}}, 'json $.name: expected nothing there, got "Counter"'),
    ({"text": "Timer"}, "text: expected a text that contains Timer, got {"),
    ({"text": {"contains": ["Counter", "Timer"]}}, "text: expected a text that contains Timer, got {"),
    ({"text": {"matches": "^x"}}, "text: expected a text that matches ^x, got {"),
    ({"artifact": "html"}, "artifact: expected valid html code at $.artifactCode, got code that is not: its"),
    ({"artifact": {"type": "react", "at": "$.nothing"}}, "artifact: expected react code at $.nothing, got no"),
    ({"artifact": {"type": "react", "at": "$.count"}}, "artifact: expected react code at $.count, got no text there"),
    ({"code": "react", "forbidden_imports": ["x"]}, "code: expected valid react code at $.fixedCode, got code that is"),
    ({"code": {"type": "svg", "at": "$.name"}}, "code: expected valid svg code at $.name, got code that is not: it"),
    ({"max_seconds": 0.5}, "max_seconds: expected at most 0.5s, got 1s"),
    ({"stream": {"first_byte": 0.2}}, "stream first_byte: expected at most 0.2s, got 0.4s"),
    ({"stream": {"events": {"at_least": 3}}}, "stream events: expected at least 3, got 1 (the last: {"),
    ({"stream": {"last": {"matches": "^x"}}}, "stream last: expected a text that matches ^x, got {"),
]  # fmt: skip


def check(checker: Checker, expect: dict[str, Any], got: Answer | None = None) -> tuple[Failure, ...]:
    return checker.check(built(Expect, expect), got or answer())


@pytest.mark.parametrize("expect", MET, ids=str)
def test_an_expectation_that_holds_says_nothing(checker: Checker, expect: dict[str, Any]) -> None:
    """No failure for what is as it should be."""
    assert check(checker, expect) == ()


@pytest.mark.parametrize(("expect", "said"), UNMET, ids=str)
def test_an_expectation_that_does_not_hold_says_what_came(checker: Checker, expect: dict[str, Any], said: str) -> None:
    """Exactly one failure, with expected and got."""
    found = check(checker, expect)
    assert [str(failure)[: len(said)] for failure in found] == [said]


def test_each_kind_of_expectation_is_tried_both_ways() -> None:
    """A new key of `expect` or of a JSON match needs a passing and a failing case here."""
    from migration.config.builder import keys
    from migration.config.cases import Match

    for shown in (json.dumps(MET), json.dumps([expect for expect, _ in UNMET])):
        names = {*keys(Expect), *keys(Match)}
        assert [name for name in sorted(names) if f'"{name}"' not in shown] == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b": ping\r\n\r\nevent: delta\r\ndata: one\r\ndata: two\r\n\r\nid: 3\r\n\r\n", ["one\ntwo"]),
        (b"data: a\n\ndata: cut off\n", ["a"]),
        (b"\xef\xbb\xbfdata:[DONE]\n\n", ["[DONE]"]),
        (b"", []),
    ],
)
def test_events_of_a_stream(body: bytes, found: list[str]) -> None:
    """As browsers read text/event-stream: comments and other fields are no event, nor is one that is cut off."""
    assert events(Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, body, 1.0)) == found
    assert events(Answer(200, {"content-type": "application/x-ndjson"}, b'{"n": 1}\n\n{"n": 2}\n', 1.0)) == [
        '{"n": 1}', '{"n": 2}',
    ]  # fmt: skip


def test_stream_without_events(checker: Checker) -> None:
    got = Answer(200, {"content-type": "text/event-stream"}, b": nothing\n\n", 1.0)
    found = check(checker, {"stream": {"events": {"at_least": 1}, "last": "x"}}, got)
    assert [str(failure) for failure in found] == [
        "stream events: expected at least 1, got none", "stream last: expected an event, got : nothing",
    ]  # fmt: skip


def test_a_wrong_status_is_told_alone(checker: Checker) -> None:
    """What was expected of another answer is not counted against this one."""
    found = check(checker, {"status": 200, "text": "x", "artifact": "react"}, answer({"error": "Busy"}, 503))
    assert [str(failure) for failure in found] == ["status: expected 200, got 503: Busy"]


def test_a_body_that_is_no_json_is_one_failure(checker: Checker) -> None:
    """However many paths were asked for."""
    found = check(checker, {"json": {"$.a": 1, "$.b": 2}}, answer(b"<html>"))
    assert [str(failure) for failure in found] == ["json: expected a JSON body, got <html>"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": NaN}', b'{"a": "\\ud800"}'])
def test_what_no_caller_could_parse_is_no_json(checker: Checker, body: bytes) -> None:
    """Python's own reader takes it, or dies of it."""
    found = [str(failure) for failure in check(checker, {"json": {"$.a": 1}}, answer(body))]
    assert len(found) == 1 and found[0].startswith("json: expected a JSON body, got ")


def test_long_answers_are_cut_and_secrets_masked(checker: Checker) -> None:
    """A failure can be printed as it is."""
    secret = Secret("very-secret-value-123")
    found = check(checker, {"text": "x"}, answer({"key": secret.reveal(), "more": "y" * 5000}))
    assert secret.reveal() not in str(found) and "[REDACTED]" in str(found) and len(str(found)) < 600


@pytest.mark.parametrize("before", range(270, 302, 3))
@pytest.mark.parametrize("expect", [{"status": 503}, {"text": "x"}, {"json": {"$.a": 1}}], ids=str)
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(checker: Checker, before: int, expect: Any) -> None:
    secret = Secret("half-a-secret-is-one-too-9876543210")
    [found] = check(checker, expect, answer({"a": "-" * before + secret.reveal() + "-" * 200}))
    assert secret.reveal()[:6] not in found.got


def test_a_cut_value_says_how_long_all_of_it_was(checker: Checker) -> None:
    [found] = check(checker, {"json": {"$.a": {"length": 3}}}, answer({"a": "y" * 5000}))
    assert found.got.startswith('5000: "yyy') and found.got.endswith("… (5008 characters)")


@pytest.mark.parametrize(
    ("body", "status", "delivered"), [(BODY, 200, True), (BODY, 500, False), ({"artifactCode": " "}, 200, False)]
)
def test_delivered_is_code_of_any_quality_in_an_expected_answer(body: Any, status: int, delivered: bool) -> None:
    """Whether there was code at all is asked apart from whether it works."""
    assert delivers(built(Expect, {"artifact": "html"}), answer(body, status)) is delivered


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_hangs_on_an_answer(checker: Checker, pattern: str) -> None:
    """Both take minutes in a backtracking engine."""
    began = time.monotonic()
    found = check(checker, {"text": {"matches": pattern}}, answer("a" * 5_000 + "!"))
    assert len(found) == 1 and time.monotonic() - began < 5
