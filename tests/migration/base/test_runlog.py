"""What a run did can be read afterwards."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from migration.base import runlog
from migration.base.secrets_type import register

SECRET = "sk-or-v1-" + "facade" * 8


def test_lines_are_masked_and_plain(tmp_path: Path) -> None:
    """One line each, with its time; no secret, no escape, for the owner alone."""
    register(SECRET)
    log = runlog.begin(tmp_path / "log", "deploy")
    assert log.path is None, "no file before the first line"
    runlog.record(f"GET https://x/{SECRET} 200 12 ms\n\x1b[2J")
    runlog.end()
    runlog.record("nothing")
    assert log.path is not None and log.path.name.endswith("-deploy.log")
    text = log.path.read_text()
    assert "facade" not in text and "\x1b" not in text and text.count("\n") == 1 and "200 12 ms" in text
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_the_last_fifty_are_kept(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"20250101-0000{number:02d}-plan.log").write_text("old")
    runlog.begin(tmp_path, "plan").write("new")
    runlog.end()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == runlog.KEPT and names[0] == "20250101-000011-plan.log"


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("a file in its place")
    log = runlog.begin(tmp_path / "log", "plan", echo=True)
    log.write("GET x 200 1 ms")
    runlog.end()
    assert log.path is None and "GET x 200 1 ms" in capsys.readouterr().err


def test_logs_of_others_stay(tmp_path: Path) -> None:
    """A linked folder may hold files that are not ours: only what has our name is removed."""
    for number in range(runlog.KEPT + 9):
        (tmp_path / f"app{number:02}.log").touch()
        (tmp_path / f"20261127-1200{number:02}-000000-status.log").touch()
    runlog.RunLog(tmp_path, "status").write("x")
    assert len(list(tmp_path.glob("app*.log"))) == runlog.KEPT + 9
    assert len(list(tmp_path.glob("2*.log"))) == runlog.KEPT
