"""Every kind of mistake, in words of ours: one each, all at once, and by the shape of what was meant."""

from typing import Annotated, Any, Literal

import pytest

from migration.base.secrets_type import Secret
from migration.config.builder import (
    CLOSE,
    OPEN,
    Count,
    Duration,
    Hidden,
    Problems,
    Regex,
    Risk,
    Section,
    Share,
    Slug,
    Span,
    build,
    filled,
    guess,
    keys,
    shown,
)
from migration.config.cases import Expect, Match
from migration.config.settings import Config, Criteria, CriterionSettings, Signal, Soak


class Inner(Section):
    short = "size"
    size: int
    name: str = "none"

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ValueError("brings bad luck")


class Outer(Section):
    needed: str
    inner_: Inner | None = None
    lists: list[Inner] = []  # noqa: RUF012 - msgspec copies defaults
    named: dict[Slug, Inner] = {}  # noqa: RUF012


def made(kind: Any, data: Any) -> Any:
    problems: Problems = []
    found = build(kind, data, (), problems)
    assert problems == []
    return found


def said(kind: Any, data: Any) -> list[str]:
    problems: Problems = []
    build(kind, data, (), problems)
    return [": ".join([".".join(str(part) for part in path), words] if path else [words]) for path, words in problems]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (int, "many", "should be a whole number, got 'many'"),
        (int, True, "should be a whole number, got true"),
        (int, 2.0, "should be a whole number, got 2.0"),
        (float, "x", "should be a number, got 'x'"),
        (float, False, "should be a number, got false"),
        (float, 10**399, f"should be a number, got 1{'0' * 59}…"),
        (str, 5, "should be text, got 5"),
        (str, None, "should be text, got nothing"),
        (str, {"a": 1}, "should be text, got keys and values"),
        (str, ["a"], "should be text, got a list"),
        (bool, "yes", "should be true or false, got 'yes'"),
        (bool, 1, "should be true or false, got 1"),
        (bool, "\ue000FLAG\ue001", "should be true or false, got '${FLAG}'"),
        (int, "x" * 99, f"should be a whole number, got '{'x' * 59}…"),
        (list[str], "a", "should be a list, got 'a'"),
        (dict[str, int], [1], "should be keys and values, got a list"),
        (Inner | None, None, None),
        (Outer, 5, "should be keys and values, got 5"),
        (Literal["keep", "restore"], "kept", "should be one of keep, restore, got 'kept'"),
        (Literal["keep", "restore"], ["keep"], "should be one of keep, restore, got a list"),
        (Literal["openrouter"], "openai", "should be openrouter, got 'openai'"),
        (Annotated[list[str], filled], [], "should not be empty"),
        (Count, -1, "should be at least 0, got -1"),
        (Count, 1.5, "should be a whole number, got 1.5"),
        (Share, 2, "should be at most 1, got 2"),
        (Risk, 0, "should be more than 0, got 0"),
        (Risk, 0.5, "should be less than 0.5, got 0.5"),
        (Slug, "a b", "should be letters, digits, - and _, first a letter, got 'a b'"),
        (Slug, "a\n", "should be letters, digits, - and _, first a letter, got 'a\\n'"),
        (Slug, 5, "should be text, got 5"),
        (Duration, True, "'True' is not a duration; use for example 30s, 10m or 24h"),
        (Span, 0, "must be longer than 0 seconds"),
        (Hidden, 5, 'should be text: put it in quotes, best as "${NAME}" from .env'),
        (Regex, True, "should be a regular expression, got true"),
        (Regex, ["a"], "should be a regular expression, got a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words(kind: Any, data: Any, words: str | None) -> None:
    assert said(kind, data) == ([words] if words else [])


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (int | list[int], "x", ["should be a whole number, got 'x'"]),
        (int | list[int], [200, "x", None],
         ["1: should be a whole number, got 'x'", "2: should be a whole number, got nothing"]),
        (int | list[int], {"a": 1}, ["should be a whole number or a list, got keys and values"]),
        (int | Inner | None, [1], ["should be a whole number or keys and values, got a list"]),
        (int | Inner | None, {"size": "x"}, ["size: should be a whole number, got 'x'"]),
        (str | int, 1.5, ["should be text or a whole number, got 1.5"]),
        (str | int, True, ["should be text or a whole number, got true"]),
        (Literal["none", "anon"] | Hidden, 5, ["should be one of none, anon or text, got 5"]),
        (str | list[str] | None, None, []),
    ],
)  # fmt: skip
def test_of_several_kinds_the_one_that_was_meant_is_told(kind: Any, data: Any, words: list[str]) -> None:
    """By the shape of the value: whoever wrote a list hears nothing of numbers."""
    assert said(kind, data) == words


def test_all_mistakes_come_at_once_each_with_its_path() -> None:
    data = {
        "inner_": {"size": 13},
        "lists": [{"size": "x", "nane": "y"}, 5, {}, [1]],
        "named": {"1a": {"size": None}},
        "lits": [],
    }
    assert said(Outer, data) == [
        "inner_: brings bad luck",
        "lists.0.size: should be a whole number, got 'x'",
        "lists.0.nane: unknown key; did you mean name?",
        "lists.2.size: is missing",
        "lists.3.size: should be a whole number, got a list",
        "named.1a: should be letters, digits, - and _, first a letter, got '1a'",
        "named.1a.size: should be a whole number, got nothing",
        "lits: unknown key; did you mean lists?",
        "needed: is missing",
    ]


def test_an_unknown_key_that_is_like_none_is_told_with_those_there_are() -> None:
    assert said(Signal, {"pattern": "x", "zzz": 1}) == ["zzz: unknown key; known are functions, pattern"]


def test_a_section_is_judged_as_a_whole_only_once_its_keys_are_right() -> None:
    assert said(Soak, {"accept": 0.5, "reject": 0.6}) == ["reject must be lower than accept"]
    assert said(Soak, {"accept": 0.5, "reject": 0.6, "beta": 1}) == ["beta: should be less than 0.5, got 1"]


def test_a_whole_number_will_do_where_a_number_is_wanted() -> None:
    found = made(float, 2)
    assert found == 2 and type(found) is float
    assert type(made(Share, 1)) is float and type(made(Duration, 5)) is float


def test_a_value_comes_back_as_what_it_stands_for() -> None:
    assert made(Literal["none", "anon"] | Hidden, "anon") == "anon"
    assert made(Literal["none", "anon"] | Hidden, "token-of-mine") == Secret("token-of-mine")
    assert made(Duration, "1h30m") == 5400.0 and made(Regex, 404) == "404"
    assert made(dict[str, Any], {"a": [None, {"b": True}]}) == {"a": [None, {"b": True}]}


def test_a_plain_value_stands_for_its_mapping() -> None:
    """A mapping never does; null does where the key may be null, as in a JSON match."""
    expect = made(Expect, {"json": {"$.a": None, "$.b": [1], "$.c": {"length": 3}}, "text": ["x"], "code": "svg"})
    assert [match.equals for match in expect.json_.values()][:2] == [None, [1]]
    assert (expect.json_["$.c"].length, expect.text.contains, expect.code.type) == (3, ["x"], "svg")
    assert made(Signal, "x") == Signal(pattern="x")
    assert said(Expect, {"artifact": "vue"}) == ["artifact.type: should be one of react, html, svg, got 'vue'"]


def test_a_match_needs_something_to_hold() -> None:
    assert said(Match, {}) == ["needs one of equals, matches, type, length, absent"]
    assert said(Match, {"type": None}) == ["needs one of equals, matches, type, length, absent"]
    assert said(Match, {"absent": True, "equals": None}) == [
        "absent cannot be combined: an absent value has no properties"
    ]
    assert made(Match, {"absent": False}).absent is False


def test_every_further_key_of_criteria_is_a_criterion() -> None:
    """Even one named like the field that holds them."""
    found = made(Criteria, {"window": "1h", "no_503": {}, "named": {"at_least": 1}})
    assert (found.window, found.named) == (
        3600.0,
        {"no_503": CriterionSettings(), "named": CriterionSettings(at_least=1.0)},
    )
    assert said(Criteria, {"no_503": {"atleast": 1}}) == ["no_503.atleast: unknown key; did you mean at_least?"]


def test_what_the_loader_fills_in_is_no_key() -> None:
    assert not {"folder", "file"} & set(keys(Config)) and not {"named"} & set(keys(Criteria))
    assert said(Config, {"folder": "x"})[0].startswith("folder: unknown key")


def test_sections_are_frozen_and_share_no_default() -> None:
    one, other = Outer(needed="a"), Outer(needed="a")
    assert one == other and one.lists is not other.lists
    with pytest.raises(AttributeError):
        one.needed = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"), (True, "true"), (5, "5"), (0.5, "0.5"), ("a\nb", r"'a\nb'"), ({}, "keys and values"),
        ([1], "a list"), (f"{OPEN}NAME{CLOSE}/x", "'${NAME}/x'"), ("x" * 1000, "'" + "x" * 59 + "…"),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_its_writer_knows_it(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_guess_is_what_is_close_else_what_there_is() -> None:
    assert guess("soack", ["gate", "soak"]) == "; did you mean soak?"
    assert guess("zzz", ["soak", "gate"]) == "; known are gate, soak"
    assert guess("zzz", []) == ""
