"""Patterns of config.yaml: one engine, which no text hangs, and one sentence for what it lacks."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.config import load, madeup
from migration.config.pattern import problem, search
from migration.config.settings import SecretSettings
from migration.setup.secret import shape

SLOW = r"^(a+)+$"
SMALL = "migration: {name: a, functions: [alpha]}\napp: {path: app}\nenvironments: {sandbox: {embedded: true}}\n"
LONG = "a" * 40 + "!"  # a backtracking engine takes hours


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("^ok$", "ok\n", True),
        ("^ok$", "ok\n\n", False),
        (r"a\$$", "a$", True),
        (r"ok\Z", "ok", True),
        ("k$", "ko", False),
        ("(?m)^ok$", "first\nok\nlast", True),
        ("(?m:^ok$)", "first\nok\nlast", True),
    ],
)
def test_the_end_is_pythons(pattern: str, text: str, holds: bool) -> None:
    assert bool(search(pattern, text)) is holds


def test_half_a_character_is_matched() -> None:
    """A page and an environment variable can hold half a surrogate pair, which is not UTF-8."""
    assert search("^a.b$", "a\ud800b")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "uses (?=, which RE2 does not know (no lookaround, no backreference)"),
        ("a{,5}", "uses {,5}, which RE2 does not know"),
        (r"\u00e9", r"is not a pattern that RE2 runs: invalid escape sequence: \u"),
        ("(?#note)a", "is not a pattern that RE2 runs: invalid perl operator: (?#"),
        ("a{1001}", "is not a pattern that RE2 runs: invalid repetition size: {1001}"),
        (r"\é", "is not a pattern that RE2 runs: invalid escape sequence"),
        ("(a", "is not a regular expression: missing ), unterminated subpattern at position 0"),
        ("a[[b]", "can be read in two ways: possible nested set at position 2; write a backslash before it"),
    ],
)
def test_refusal_names_the_cause(pattern: str, words: str) -> None:
    assert words in problem(pattern)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('secrets: {KEY: {format: "(?!x)"}}', "secrets.KEY.format"),
        ('smoke: [{name: a, function: alpha, expect: {text: {matches: "(?!x)"}}}]', "smoke.0.expect.text.matches"),
        ('smoke: [{name: a, function: alpha, expect: {headers: {x: "(?!x)"}}}]', "smoke.0.expect.headers.x"),
        ('smoke: [{name: a, function: alpha, capture: {x: {at: $, matches: "(?!x)"}}}]', "smoke.0.capture.x.matches"),
        ('e2e: {steps: [{expect: {matches: "(?!x)"}}]}', "e2e.steps.0.expect.matches"),
        ('e2e: {steps: [{goto: /, allow: {exceptions: ["(?!x)"]}}]}', "e2e.steps.0.allow.exceptions.0"),
        ('e2e: {steps: [{goto: /}], expect: {slow: {ignore: ["(?!x)"]}}}', "e2e.expect.slow.ignore.0"),
        ('signals: {retry: "(?!x)", usage: "x"}', "signals.retry.pattern"),
    ],
)
def test_every_pattern_is_checked_at_load(tmp_path: Path, text: str, where: str) -> None:
    """With its place, whichever section it stands in; a mistake beside it is named too."""
    file = tmp_path / "config.yaml"
    file.write_text(f"{SMALL}{text}\n")
    with pytest.raises(ConfigError) as caught:
        load.read(file, {})
    assert f": {where}: uses (?!, which RE2 does not know" in caught.value.message
    assert ("signals.usage: has none of the named groups" in caught.value.message) is text.startswith("signals")


def _slow_format() -> None:
    assert shape(SecretSettings(format=SLOW), Secret(LONG)) is False
    assert madeup.formed("KEY", SLOW, LONG, "seed") != LONG


def test_slow_format_does_not_hang() -> None:
    """In a process of its own, which can be ended: a hang inside a match cannot."""
    process = multiprocessing.get_context("spawn").Process(target=_slow_format)
    process.start()
    process.join(60)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0
