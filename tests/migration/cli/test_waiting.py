"""What stands on a terminal while a verb waits: whom it asks, at once, and for how long it has waited."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from migration.base.command import CURRENT
from migration.cli import terminal
from migration.cli.output import Output
from migration.cli.terminal import LiveLines
from migration.cli.waiting import ASKS
from tests.support.project import ROOT

QUIET = {"init", "config"}  # they ask a person, or nobody


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_verb_says_whom_it_asks() -> None:
    """A new verb needs its line in the table."""
    verbs = set(re.findall(r"^def (\w+)\(\s*_: Context", (ROOT / "tasks.py").read_text(), re.MULTILINE))
    assert verbs - QUIET <= set(ASKS)


def test_first_line_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a config is read or a client is made; a pipe gets none."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(CURRENT, "env", "prod")
    monkeypatch.delenv("CUTOVER_CONFIG", raising=False)
    Output("status").begin()
    assert screen.getvalue() == "… status on prod: asking the platform and the ledger\n"
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    Output("status").begin()
    assert pipe.getvalue() == ""


def test_long_wait_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second without a step the question is shown with its seconds; a step takes its place."""
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    stream = io.StringIO()
    lines = LiveLines(Console(file=stream, width=80, force_terminal=True), "asking the ledger")
    lines._asked -= 3
    assert re.fullmatch(r"… asking the ledger  \d(?:\.\d)?s", _drawn(lines))
    lines.step("plan")
    assert _drawn(lines).startswith("… plan")
    lines.close()
    assert _drawn(lines) == ""


def _drawn(lines: LiveLines) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(lines._table())
    return console.file.getvalue().strip()  # type: ignore[attr-defined, no-any-return]
