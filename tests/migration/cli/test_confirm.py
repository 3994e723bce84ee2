"""A question without an answer ends with the command to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.command import inv
from migration.base.errors import Refused
from migration.cli import confirm
from migration.cli.output import Output
from migration.context import Context
from tests.support.project import ROOT


@pytest.mark.parametrize(("typed", "hint"), [(None, "inv unlock ab12 --yes"), ("prod", "inv unlock ab12")])
def test_a_refused_question_repeats_it(monkeypatch: pytest.MonkeyPatch, typed: str | None, hint: str) -> None:
    """Without a terminal the question itself is part of the message; either way nothing is changed."""
    out = Output("unlock")
    if typed:
        monkeypatch.setattr(out, "ask", lambda _: typed)
    environment = type("Environment", (), {"confirm": True, "project_ref": "abcd", "name": "prod"})
    context = Context(None, environment, ROOT, Path())  # type: ignore[arg-type]
    what = "Break the lock ab12 of Ada on her laptop"
    with pytest.raises(Refused) as caught:
        confirm.agree(out, context, what, False, inv("unlock", "ab12"))
    assert caught.value.hint == hint and "Nothing was changed" in caught.value.message
    assert ".." not in caught.value.message
    assert (what in caught.value.message) == (typed is None)


@pytest.mark.parametrize(
    ("typed", "agrees", "asked"),
    [(["abdc", "abc", "abcd"], True, 3), (["x", "y", "z", "abcd"], False, 3), ([""], False, 1)],
)
def test_typo_may_be_corrected(monkeypatch: pytest.MonkeyPatch, typed: list[str], agrees: bool, asked: int) -> None:
    """Three tries, each naming what was typed; Enter alone is a no."""
    out, answers = Output("deploy"), iter(typed)
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return next(answers)

    monkeypatch.setattr(out, "ask", ask)
    environment = type("Environment", (), {"confirm": True, "project_ref": "abcd", "name": "prod"})
    context = Context(None, environment, ROOT, Path())  # type: ignore[arg-type]
    try:
        found = confirm.agree(out, context, "Deploy to PROD, plan 6b8d26a207bd", False, inv("deploy"))
    except confirm.NotConfirmed:
        found = False
    assert found is agrees and len(questions) == asked
    assert questions[0] == "Deploy to PROD, plan 6b8d26a207bd. Type abcd to go on:"
    assert all(
        one == f"{text} is not abcd. Type abcd to go on:" for one, text in zip(questions[1:], typed, strict=False)
    )
