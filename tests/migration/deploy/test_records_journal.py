"""What this machine knows of a deployment survives its death."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from migration.deploy import records
from migration.deploy.records import KEPT, Journal


def test_what_was_sent_and_answered_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "prod", "d1")
    assert not journal.exists()
    journal.sending(["alpha", "beta"])
    journal.answered("alpha", {"slug": "alpha", "version": 2})
    again = Journal(tmp_path, "prod", "d1")
    assert again.sent() == {"alpha", "beta"}
    assert again.answers() == {"alpha": {"slug": "alpha", "version": 2}}


def test_a_torn_last_line_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "prod", "d1")
    journal.answered("alpha", {"version": 2})
    with journal.path.open("a") as file:
        file.write('{"answered":"beta","answ')
    assert set(journal.answers()) == {"alpha"}


def test_the_newest_answer_of_a_function_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "prod", "d1")
    journal.answered("alpha", {"version": 2})
    journal.answered("alpha", {"version": 3})
    assert journal.answers()["alpha"]["version"] == 3


def test_old_journals_are_cleared_away(tmp_path: Path) -> None:
    """Those of the oldest deployments, and no file of another name."""
    folder = tmp_path / "journal/prod"
    folder.mkdir(parents=True)
    (folder / "mine.jsonl").touch()
    for second in range(KEPT + 5):
        Journal(tmp_path, "prod", records.new_id(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC))).sending(["alpha"])
    found = sorted(path.name for path in folder.iterdir())
    assert len(found) == KEPT + 2 and found[-1] == "mine.jsonl"
    assert found[-2].startswith(f"20260101-0000{KEPT + 4:02}-")
