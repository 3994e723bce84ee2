"""What one case keeps, a later one uses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migration.base.errors import ConfigError
from migration.config.cases import SmokeCase
from migration.verify import smoke_cases
from tests.support.built import built


def case(name: str, body: Any = None, **more: Any) -> SmokeCase:
    return built(SmokeCase, {"name": name, "function": "f", "body": body, **more})


def order(*cases: SmokeCase) -> list[str]:
    needs = {each.name: smoke_cases.used(each.headers, each.body) for each in cases}
    return [each.name for each in smoke_cases.ordered(cases, needs)]


def test_a_text_that_is_one_capture_becomes_its_value_and_others_hold_its_text() -> None:
    """Numbers and lists stay what they are when nothing stands beside them."""
    body = {"id": "{{capture.id}}", "list": ["{{ capture.tags }}", 1], "text": "no. {{capture.id}} of {{capture.tags}}"}
    assert smoke_cases.fill(body, {"id": 7, "tags": ["a"]}) == {"id": 7, "list": [["a"], 1], "text": 'no. 7 of ["a"]'}


def test_other_braces_stay_as_they_are() -> None:
    """JSX in a body is full of braces."""
    text = "<p style={{color: c}}>{{x}} {capture.id} ${a}</p>"
    assert smoke_cases.fill(text, {}) == text and smoke_cases.used(text) == set()


def test_names_are_found_anywhere_in_a_body() -> None:
    """In keys of keys, in lists, in headers."""
    assert smoke_cases.used({"x-id": "{{capture.a}}"}, {"b": [{"c": "{{capture.d}}"}]}) == {"a", "d"}


@pytest.mark.parametrize(
    ("capture", "value"),
    [
        ("$.code", "<a>x</a>"),
        ("$.items[1].n", 2),
        ({"at": "$.code", "matches": "<a>(.*)</a>"}, "x"),
        ({"at": "$.code", "matches": "x.*"}, "x</a>"),
        ({"at": "$.code", "matches": "q"}, None),
        ({"at": "$.items", "matches": "x"}, None),
        ("$.nothing", None),
    ],
)
def test_a_value_is_taken_by_path_and_narrowed_by_pattern(capture: Any, value: Any) -> None:
    """What cannot be found is a failure that names the capture."""
    body = json.dumps({"code": "<a>x</a>", "items": [{"n": 1}, {"n": 2}]}).encode()
    kept, missing = smoke_cases.take(case("a", capture={"it": capture}).capture, body)
    assert kept == ({} if value is None else {"it": value})
    assert [failure.what for failure in missing] == (["capture it"] if value is None else [])


def test_cases_come_after_those_they_need() -> None:
    """Whatever the order of config.yaml; the others keep theirs."""
    last = case("last", "{{capture.two}}")
    middle = case("middle", {"x": "{{capture.one}}"}, capture={"two": "$.x"})
    assert order(last, middle, case("free"), case("first", capture={"one": "$.y"})) == [
        "free",
        "first",
        "middle",
        "last",
    ]


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        ([case("a", "{{capture.typo}}"), case("b", capture={"type": "$.x"})], "a: no case captures typo"),
        ([case("a", capture={"x": "$.x"}), case("b", capture={"x": "$.x"})], "a and b both capture x"),
        (
            [case("a", "{{capture.y}}", capture={"x": "$.x"}), case("b", "{{capture.x}}", capture={"y": "$.y"})],
            "a, b wait for each other's captures",
        ),
    ],
)
def test_what_cannot_be_ordered_is_refused(cases: list[SmokeCase], said: str) -> None:
    """Unknown, doubled and circular captures, before anything is sent."""
    with pytest.raises(ConfigError) as caught:
        order(*cases)
    assert said in caught.value.message and caught.value.hint
