"""Tables of a narrow terminal: nothing may be cut off, least of all an id that has to be typed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from migration.base.command import inv
from migration.cli.results.canvas import Canvas
from migration.cli.results.draw import draw

ROW = [
    "20261123-004824-32b4",
    "2026-11-23 00:48",
    "Somebody Else",
    "deploy",
    "generate-artifact, generate-artifact-fix",
]
HEADS = ("deployment", "when (UTC)", "who", "kind", "functions")


def drawn(width: int, *rows: list[str]) -> str:
    stream = io.StringIO()
    Canvas(Console(file=stream, width=width)).table(rows, *HEADS)
    return stream.getvalue()


@pytest.mark.parametrize("width", range(20, 140, 7))
def test_every_word_of_a_table_is_whole_at_every_width(width: int) -> None:
    shown = drawn(width, ROW, ROW).split()
    assert all(shown.count(word) >= 2 for cell in ROW for word in cell.split())
    assert all(word in shown for head in HEADS[1:] for word in head.split()), "the first cell of a stack names the row"


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_what_fits_keeps_within_the_width(width: int) -> None:
    """Where the columns do not fit beside each other they are stacked."""
    assert all(len(line) <= width for line in drawn(width, ROW).splitlines())


def test_a_table_without_rows_is_not_drawn() -> None:
    assert drawn(80) == ""


@pytest.mark.parametrize("status", [None, 503])
def test_smoke_cases_that_nothing_answered_point_to_the_environment(status: int | None) -> None:
    case = {"name": "a", "function": "f", "ok": False, "status": status, "seconds": 0.0, "failures": []}
    stream = io.StringIO()
    draw("smoke", {"cases": [case]}, Console(file=stream, width=200))
    assert ("inv smoke --env prod" in stream.getvalue()) == (status is None)


def test_long_table_is_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece it looks as it does whole: one head, the same widths, every row."""
    rows = [[f"row {number}", "x" * (number % 7), "Ada", "deploy", "alpha"] for number in range(25)]
    whole = drawn(120, *rows)
    monkeypatch.setattr("migration.cli.results.canvas._PIECE", 4)
    assert drawn(120, *rows) == whole and whole.count("deployment") == 1


@pytest.mark.parametrize("width", [60, 80, 120])
def test_sentences_keep_their_words(width: int) -> None:
    """A terminal breaks between words and never within a time or an amount; a command stays one line to copy."""
    words = "Projected per month: light (100/day) $2.25, medium (500/day) $11.27, at 21:59:36.123Z, 2m29s. " * 3
    stream = io.StringIO()
    canvas = Canvas(Console(file=stream, width=width, force_terminal=True, color_system=None))
    canvas.say(words.strip())
    lines = stream.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert " ".join(line.strip() for line in lines).split() == words.split()
    stream.truncate(0)
    stream.seek(0)
    canvas.hint(inv("rollback", without_lock=words.strip()))
    assert stream.getvalue().count("\n") == 1


def test_stacked_mark_joins_its_row() -> None:
    """A mark without a head of its own stands before the row's name, not on a line alone."""
    stream = io.StringIO()
    row = ["✗", "guests-may-not-fix", "generate-artifact-fix", "0a1b2c3d-0000"]
    Canvas(Console(file=stream, width=40)).table([row], "", "case", "function", "request")
    assert stream.getvalue().splitlines() == [
        "✗ guests-may-not-fix",
        "  function generate-artifact-fix",
        "  request 0a1b2c3d-0000",
    ]


def test_rows_that_fold_into_many_lines_are_stacked() -> None:
    """A column of one word a line was taller than the stack, and harder to read."""
    cells, shown = ("open", "unchanged image", "a first look closes at 10 answers: 10 more"), {}
    for width in (34, 72):
        stream = io.StringIO()
        Canvas(Console(file=stream, width=width)).table([cells, cells], "verdict", "criterion", "settled by")
        shown[width] = stream.getvalue().splitlines()
    row = ["open · criterion unchanged image", "  settled by a first look closes", "  at 10 answers: 10 more"]
    assert shown[34] == [*row, *row]
    assert len(shown[72]) == 3, "one line a row, and the head"


def test_a_command_that_settles_several_criteria_is_printed_once() -> None:
    row = {"verdict": "inconclusive", "advisory": False, "expected": "", "got": "", "evidence": ["more", inv("soak")]}
    data = {"criteria": [{**row, "name": "a"}, {**row, "name": "b"}], "provider": [], "verdict": "inconclusive"}
    stream = io.StringIO()
    draw("checks", data, Console(file=stream, width=200))
    assert stream.getvalue().count("inv soak") == 1 and "b: more" in stream.getvalue()
