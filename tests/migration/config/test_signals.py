from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import ConfigError, Refused
from migration.config import logsql, signals
from migration.config.pattern import problem
from migration.config.signals import Pattern
from migration.rehearsal.logstore import LogStore
from tests.support.logs import NOON, USAGE, config, row

P = "[req-000001] 💰 Token usage: "
FULL = {"input": "1234", "output": "567", "total": "1801", "cached": "", "reasoning": "", "cost": "0.0018"}
LINES: dict[str, tuple[str, dict[str, str] | None]] = {
    "one line": (P + '{ input: 1234, output: 567, total: 1801, estimatedCost: "$0.0018" }\n', FULL),
    "several lines": (P + '{\n  input: 1234,\n  output: 567,\n  total: 1801,\n  estimatedCost: "$0.0018"\n}\n', FULL),
    "a trailing comma": (P + '{\n  input: 1234,\n  output: 567,\n  total: 1801,\n  estimatedCost: "$0.0018",\n}', FULL),
    "single quotes": (P + "{ input: 1234, output: 567, total: 1801, estimatedCost: '$0.0018' }", FULL),
    "colours": (
        P + "{ input: \x1b[33m1234\x1b[39m, output: \x1b[33m567\x1b[39m, total: \x1b[33m1801\x1b[39m, "
        'estimatedCost: \x1b[32m"$0.0018"\x1b[39m }',
        FULL,
    ),
    "a prefix on every line": (
        "[req-000001] 💰 Token usage: {\n[req-000001]   input: 1234,\n[req-000001]   output: 567,\n"
        '[req-000001]   total: 1801,\n[req-000001]   estimatedCost: "$0.0018"\n[req-000001] }\n',
        FULL,
    ),
    "separators": (
        P + '{ input: 1,234,567, output: 1_000, total: 1,235,567, estimatedCost: "$1,234.50" }',
        FULL | {"input": "1,234,567", "output": "1_000", "total": "1,235,567", "cost": "1,234.50"},
    ),
    "cached and reasoning": (
        P + '{ input: 9, output: 8, total: 17, cached: 5, reasoning: 4, estimatedCost: "$0.1" }',
        {"input": "9", "output": "8", "total": "17", "cached": "5", "reasoning": "4", "cost": "0.1"},
    ),
    "no cost": (P + "{ input: 1234, output: 567, total: 1801 }", FULL | {"cost": ""}),
    "no total": (P + '{ input: 1234, output: 567, estimatedCost: "$0.0018" }', FULL | {"total": ""}),
    "only a total": (P + "{ total: 1801 }", dict.fromkeys(FULL, "") | {"total": "1801"}),
    "in a prompt": (f"[req-000001] 📝 prompt: {P}{{ input: 1, output: 1, total: 2 }}", None),
    "in a prompt, on a line of its own": (f"[req-000001] 📝 prompt:\n{P}{{ input: 1, output: 1, total: 2 }}", None),
    "without a request id": ("💰 Token usage: { input: 1, output: 1, total: 2 }", None),
    "cut off": (P + "{ input: 1234, output: 5", None),
    "other words": ("[req-000001] Token usage unknown", None),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    store = LogStore(tmp_path_factory.mktemp("logs"))
    store.append([row(text, id=name) for name, (text, _) in LINES.items()])
    yield store
    store.close()


def usage() -> Pattern:
    return signals.usage(config())


@pytest.mark.parametrize("name", LINES)
def test_a_usage_line_is_read_alike_here_and_in_the_log_engine(store: LogStore, name: str) -> None:
    text, expected = LINES[name]
    assert usage().groups(text) == expected
    index = usage().regex.groupindex
    names = sorted(index, key=index.__getitem__)
    sql = f"select {logsql.groups(signals.portable(USAGE))} as g from logs where id = {logsql.literal(name)}"
    [found] = store.query(sql, NOON, NOON + timedelta(hours=1))
    taken = {key: value.rstrip(",") for key, value in zip(names, found["g"], strict=True)} if found["g"] else None
    assert taken == expected


def test_the_two_engines_agree_on_which_lines_carry_a_signal(store: LogStore) -> None:
    for pattern in (r"(?i)\bTOKEN\b", r"\}$", r"^\[req", r"a.b", r"\d{4}", "[^\\]]\\n", r"prompt:\s*\["):
        found = Pattern("any", pattern, ())
        sql = f"select id from logs where {found.sql}"
        by_engine = {item["id"] for item in store.query(sql, NOON, NOON + timedelta(hours=1))}
        assert by_engine == {name for name, (text, _) in LINES.items() if found.matches(text)}, pattern


@pytest.mark.parametrize("names", [("input", "cost"), ("total",), ("reasoning", "cached", "output"), ()])
def test_fewer_groups_take_the_same_texts(names: tuple[str, ...]) -> None:
    fewer, order = re.compile(signals.capturing(USAGE, *names)), signals.order(USAGE, *names)
    assert fewer.groups == len(names)
    for text, expected in LINES.values():
        found = fewer.search(signals.plain(text))
        assert (found is not None) == (expected is not None)
        if found and expected:
            taken = {name: (value or "").rstrip(",") for name, value in zip(order, found.groups(), strict=True)}
            assert taken == {name: expected[name] for name in names}


def test_groups_inside_classes_and_escapes_are_left_alone() -> None:
    assert signals.capturing(r"\((a)[(](?P<b>c)(?:d)(?i)", "b") == r"\((?:a)[(](c)(?:d)(?i)"


@pytest.mark.parametrize(
    ("pattern", "anchor"),
    [
        (USAGE, "💰 Token usage:"),
        ("Using GOOGLE_KEY_", "Using GOOGLE_KEY_"),
        ("a|b", ""),
        (r"(?:abc)?x+", "x"),
        ("(?i)abc", ""),
        (r"abcd* ef", "abc"),
        (r"\[x\] hello (?P<n>\d+)", "hello"),
    ],
)
def test_the_anchor_is_in_every_match(pattern: str, anchor: str) -> None:
    assert signals.anchor(pattern) == anchor


@pytest.mark.parametrize(
    "pattern", [r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", r"(?>ab)", "a*+", "a{2}+"]
)
def test_what_the_log_engine_cannot_run_is_refused(pattern: str) -> None:
    assert problem(pattern).endswith("which RE2 does not know (no lookaround, no backreference)")


@pytest.mark.parametrize("pattern", [r"[*+]+", r"\\1", r"a\+\+", r"[(?=]", "(?i)x", "(?P<n>a)", "(?:a)+"])
def test_what_only_looks_beyond_the_engine_is_taken(store: LogStore, pattern: str) -> None:
    assert problem(pattern) == ""
    store.query(f"select id from logs where {Pattern('any', pattern, ()).sql}", NOON, NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^total: (?P<total>x)", "has none of the named groups input, output, total, cost: write (?P<input>…)"),
        ("(?P<input>a)(?P<output>b)(?P<total>c)(?P<cost>d)", "does not begin with ^"),
        ("(?P<total>x)", "write (?P<input>…); it does not begin with ^, so that text inside a prompt could be "),
    ],
)
def test_a_usage_pattern_that_costs_cannot_be_read_with_is_explained(pattern: str, words: str) -> None:
    assert words in signals.usage_problem(pattern)
    with pytest.raises(ConfigError):
        signals.usage(config(signals={"usage": {"pattern": pattern}}))


def test_the_shipped_patterns_are_fit_for_both_engines() -> None:
    found: Any = config().signals
    assert not any(problem(each.pattern) for each in found.values())
    assert not signals.usage_problem(found["usage"].pattern)


def test_a_signal_means_the_migrated_functions_unless_it_names_its_own() -> None:
    found = signals.named(config(signals={"a": {"pattern": "x"}, "b": {"pattern": "y", "functions": ["chat"]}}))
    assert (found["a"].functions, found["b"].functions) == (("artifact", "fix"), ("chat",))


def test_an_unknown_signal_is_refused_by_name() -> None:
    with pytest.raises(Refused) as refused:
        signals.one(config(), "nope")
    assert "usage" in refused.value.hint


def test_the_sample_app_logs_what_the_shipped_pattern_takes() -> None:
    """The line as Deno prints the app's object, taken from the app's own source order of keys."""
    client = Path("migration/rehearsal/app/after/supabase/functions/_shared/openrouter-client.ts").read_text()
    keys = re.findall(r"^\s+(?:\.\.\.\(.*\{ )?(input|output|total|cached|estimatedCost)\b", client, re.MULTILINE)
    assert keys[-5:] == ["input", "output", "total", "cached", "estimatedCost"]


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"^(\w+\s?)*$"])
def test_slow_patterns_stay_fast(pattern: str) -> None:
    """A pattern that would hang a backtracking engine on one line is answered at once."""
    line = "a" * 30_000 + "!"
    assert isinstance(Pattern("failure", pattern, ("a",)).matches(line), bool)


@pytest.mark.parametrize(
    ("message", "expected"),
    [("[req-000001] routed", "req-000001"), ("[invoice] paid", ""), ("[12345] short", ""), ("routed [req-000001]", "")],
)
def test_request_id_is_told_from_a_word_in_brackets(message: str, expected: str) -> None:
    assert signals.request_id(message) == expected
