"""What a running sandbox leaves in its folder for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.rehearsal import running


def test_settings_come_from_the_section_and_its_import_map_lies_beside_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("migration: {}\nrehearsal:\n  import_map: maps/closed.json\n  logs: {late: 1}\n")
    assert running.settings(config) == {"import_map": str(tmp_path / "maps" / "closed.json"), "logs": {"late": 1}}


@pytest.mark.parametrize("text", ["", "migration: {}\n", "rehearsal:\n", "- a\n"])
def test_a_file_without_the_section_means_no_settings(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    assert running.settings(config) == {}


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"gone\.yaml"):
        running.settings(tmp_path / "gone.yaml")


def test_only_one_holds_the_folder_and_it_is_free_again_afterwards(tmp_path: Path) -> None:
    with running.held(tmp_path / "a"), pytest.raises(Refused, match="A sandbox is already running in"):  # noqa: SIM117
        with running.held(tmp_path / "a"):
            pytest.fail("held twice")
    with running.held(tmp_path / "a"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_note_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / running.INFO).write_text(text)
    assert running.read(tmp_path) is None
    assert running.read(tmp_path / "nowhere") is None


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="Cannot write"), running.held(tmp_path / "file" / "sandbox"):
        pass
