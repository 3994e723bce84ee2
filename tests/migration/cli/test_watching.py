"""A watch as it is read: an object a round for scripts, a line a round in a pipe, all of it for `--once`."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from migration.base.command import CURRENT
from migration.base.plain import plain
from migration.cli.output import Output
from migration.cli.results import watch
from migration.cli.results.canvas import Canvas
from migration.cli.watching import WatchView
from migration.watch import judge, progress, report
from migration.watch.judge import Look
from migration.watch.model import LookCounts
from migration.watch.report import WatchRound
from tests.support import days, schema


def alarmed() -> WatchRound:
    """A round in which the success rate alarms."""
    state = replace(days.state(), until=datetime.now(UTC) + timedelta(hours=2), round_at=days.BEGIN, spend=4.1)
    for _ in range(12):
        look = Look(state.cursor + days.EVERY, {"artifact": LookCounts(20, 5, probes=2, successes=15)}, 3.2)
        state = progress._remember(judge.take(state, look, ["artifact"]), look)
    found = tuple(judge.alarms(state))
    state = replace(state, standing={one.key: one.since for one in found}, alarmed={found[0].key: found[0].summary})
    state = progress.event(state, days.BEGIN, f"alarm: {found[0].summary}", "bad")
    return report.shown(state, found, warning=10.0, critical=50.0)


def test_json_fits_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    CURRENT.env = "prod"
    WatchView(Output("watch", json=True), once=False).show(alarmed())
    line = schema.check(capsys.readouterr().out)
    assert (line["verdict"], line["exit_code"], line["figures"]["probes"]) == ("fail", 1, 24)
    assert line["criteria"][0]["score"] == 100


def test_line_a_round_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and below it what happened since the round before, once."""
    with WatchView(Output("watch"), once=False) as view:
        view.show(alarmed())
        first = capsys.readouterr().out.splitlines()
        view.show(alarmed())
    assert "round 0: fail, 60 of 240 answers failed (25.00%), 24 probes among them, p95 3.2s, spend $4.10" in first[0]
    assert len(first) == 2 and "alarm: success_rate" in first[1]
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_next_look_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """In the line of a log by the clock; on a screen also how long that is from now. Nothing where none is left."""
    at = datetime.now(UTC) + timedelta(minutes=4, seconds=30)
    coming = replace(alarmed(), next_look=at)
    with WatchView(Output("watch"), once=False) as view:
        view.show(coming)
    assert f"left, next look at {at:%H:%M:%SZ}\n" in capsys.readouterr().out
    WatchView(Output("watch"), once=True).show(coming)
    assert f"next look at {at:%H:%M:%SZ}, in 4m" in capsys.readouterr().out
    WatchView(Output("watch"), once=True).show(alarmed())
    assert "next look" not in capsys.readouterr().out


@pytest.mark.parametrize(("mood", "colour"), [("bad", "31"), ("good", "32"), ("", "")])
def test_mood_chooses_the_colour(mood: str, colour: str) -> None:
    """The words of an event decide nothing."""
    found = {"at": days.BEGIN.isoformat(), "text": "alarm: words", "mood": mood}
    stream = io.StringIO()
    data = {**plain(alarmed()), "new": [found]}
    watch.line(data, Canvas(Console(file=stream, force_terminal=True, color_system="standard", width=200)))
    drawn = next(one for one in stream.getvalue().splitlines() if "alarm: words" in one)
    assert (f"{colour}m" in drawn) if colour else ("\x1b" not in drawn)


def test_once_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts with their way to an alarm, sparklines, spend, what stands."""
    WatchView(Output("watch"), once=True).show(alarmed())
    text = capsys.readouterr().out
    assert (
        "100/100" in text and "success ▁" in text and "spend $4.10 this month (warning at $10, critical at $50)" in text
    )
    assert "✗ success_rate: " in text


class Screen(io.StringIO):
    """What a terminal of this height would show of the cursor movements and erasures that rich writes."""

    def __init__(self, height: int) -> None:
        super().__init__()
        self.height = height

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        rows, row, column = [""], 0, 0
        for code, text in re.findall(r"\x1b\[([0-9;?]*[A-Za-z])|(.)", self.getvalue(), re.DOTALL):
            if code.endswith("A"):
                row = max(row - int(code[:-1]), len(rows) - self.height, 0)
            elif code == "2K":
                rows[row] = ""
            elif text == "\r":
                column = 0
            elif text == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif text:
                rows[row] = f"{rows[row][:column]:{column}}{text}{rows[row][column + 1 :]}"
                column += 1
        return rows


def drawn(monkeypatch: pytest.MonkeyPatch, width: int, height: int, rounds: int = 3) -> list[str]:
    """The screen while a live view stands, after some rounds."""
    for name, value in {"COLUMNS": width, "LINES": height}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = Screen(height)
    monkeypatch.setattr("sys.stdout", screen)
    with WatchView(Output("watch"), once=False) as view:
        for _ in range(rounds):
            view.show(alarmed())
        return screen.lines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_view_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """However often it is drawn, the screen holds the newest round once and nothing above it."""
    lines = drawn(monkeypatch, width, 50)
    assert lines[0].startswith("Watch w of") and sum("Watch w of" in line for line in lines) == 1
    assert sum("spend $4.10" in line for line in lines) == 1 and "..." not in "".join(lines)


def test_low_screen_keeps_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the view is higher than the screen, criteria give way: those that are furthest from an alarm."""
    lines = drawn(monkeypatch, 60, 16)
    text = "\n".join(lines)
    assert len(lines) <= 16 and sum("Watch w of" in line for line in lines) == 1
    assert "✗ success_rate" in text and "further from an alarm: no room on this screen" in text
    assert "..." not in text
