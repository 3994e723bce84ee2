"""What this machine knows of a deployment survives its death."""

from __future__ import annotations

from pathlib import Path

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
    for number in range(KEPT + 5):
        Journal(tmp_path, "prod", f"d{number:03}").sending(["alpha"])
    found = sorted(path.stem for path in (tmp_path / "journal/prod").iterdir())
    assert len(found) <= KEPT + 1
    assert found[-1] == f"d{KEPT + 4:03}"
