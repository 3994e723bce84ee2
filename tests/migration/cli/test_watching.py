"""A watch as it is read: an object a round for scripts, a line a round in a pipe, all of it for `--once`."""

from __future__ import annotations

import io
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
