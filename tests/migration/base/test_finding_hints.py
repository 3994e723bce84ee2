"""What stands after an arrow can be typed as it stands."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.parser import Parser

import tasks
from migration.base.command import inv
from migration.base.finding import lines
from migration.cli import confirm
from migration.cli.output import Output
from migration.context import Context
from tests.support.project import ROOT

_SPOKEN = re.compile(r"\.$|\(or |, $")  # a message, or a piece of one


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module, with a word or nothing where something is filled in."""
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.JoinedStr):
            text = ""
            for part in node.values:
                word = "x" if not text or text[-1] in " '=\n" else ""
                text += str(part.value) if isinstance(part, ast.Constant) else word
            yield text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _commands() -> list[tuple[str, str]]:
    found = set()
    for path in sorted((ROOT / "migration").rglob("*.py")):
        for text in _texts(ast.parse(path.read_text())):
            if text.startswith(("inv ", "git ", "supabase ")) and not _SPOKEN.search(text):
                found |= {(path.name, line[2:]) for line in lines(text) if line.startswith("→ ")}
    return sorted(found)


def test_every_command_in_a_hint_can_be_typed() -> None:
    contexts = Collection.from_module(tasks).to_contexts()
    commands = _commands()
    assert len(commands) > 40
    for name, command in commands:
        for words in command.split(" && "):
            program, *rest = shlex.split(words)
            assert not any(word.endswith(",") for word in rest), f"{name}: {command}"
            if program == "inv" and rest[0] not in ("--help", "unlock"):
                flags = [word for n, word in enumerate(rest) if word != "x" or rest[n - 1].startswith("--")]
                Parser(contexts=contexts).parse_argv(flags)


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("inv plan", ["→ inv plan"]),
        ("inv plan\ninv deploy --plan abc", ["→ inv plan", "→ inv deploy --plan abc"]),
        ("set KEY in .env (inv init)", ["set KEY in .env (inv init)"]),
        ("add credit at x, then type: inv doctor", ["add credit at x", "→ inv doctor"]),
        ("inv deploy --plan a, or to take it back: inv rollback",
         ["→ inv deploy --plan a", "or to take it back:", "→ inv rollback"]),
        ("to roll forward: git revert abc && inv deploy", ["to roll forward:", "→ git revert abc && inv deploy"]),
        ("", []),
    ],
)  # fmt: skip
def test_only_commands_stand_after_an_arrow(hint: str, shown: list[str]) -> None:
    assert lines(hint) == shown


def test_a_question_that_nobody_answers_ends_with_the_command_as_it_was_given() -> None:
    command = inv("rollback", to="20261123-004230-ae31", no_push=True, wait="", without_lock="git is down")
    assert str(command) == "inv rollback --to 20261123-004230-ae31 --no-push --without-lock 'git is down'"


@pytest.mark.parametrize(("typed", "hint"), [(None, "inv unlock ab12 --yes"), ("prod", "inv unlock ab12")])
def test_a_refused_question_says_what_was_asked(monkeypatch: pytest.MonkeyPatch, typed: str | None, hint: str) -> None:
    out = Output("unlock")
    if typed:
        monkeypatch.setattr(out, "ask", lambda _: typed)
    environment = type("Environment", (), {"confirm": True, "project_ref": "abcd", "name": "prod"})
    context = Context(None, environment, ROOT, Path())  # type: ignore[arg-type]
    what = "Take the lock ab12 away from Ada on her laptop"
    with pytest.raises(confirm.Refused) as caught:
        confirm.agree(out, context, what, False, inv("unlock", "ab12"))
    assert caught.value.hint == hint and "Nothing was changed" in caught.value.message
    assert (what in caught.value.message) == (typed is None)
