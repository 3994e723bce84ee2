"""The README says what is so: verbs, exit codes, commands and the output that it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from migration.cli.output import Output
from migration.rehearsal.rehearse import PHASES
from tests.support.project import helped

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_verb_stands_in_the_table_and_no_other() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "invoke", "--list", "--list-format=nested"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    verbs = set(re.findall(r"^\s+([a-z0-9]+) {2,}", listed, re.MULTILINE)) | set(
        re.findall(r"^\s+([a-z0-9]+)$", listed, re.MULTILINE)
    )
    table = README[README.index("## Verbs") : README.index("## Exit codes")]
    assert set(re.findall(r"^\| `([a-z0-9]+)` \|", table, re.MULTILINE)) == verbs


def test_every_exit_code_stands_in_the_table() -> None:
    from migration.base import errors

    table = README[README.index("## Exit codes") : README.index("## Guides")]
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes | {0, 4}


def test_the_two_commands_are_there() -> None:
    assert "pip install uv && uv run inv rehearse\n" in README and "pip install uv && uv run pytest\n" in README
    for way_out in (".uv/bin/uv run inv rehearse", "python3 -m uv run", "UV_CACHE_DIR"):
        assert way_out in README


def test_the_rehearsal_shown_has_the_phases_of_a_real_one() -> None:
    block = README[README.index("<!-- output of inv rehearse") :].split("```")[1]
    assert re.findall(r"^✓ ([a-z0-9]+) ", block, re.MULTILINE) == [*(name for name, _ in PHASES), "report"]


def test_the_end_of_the_rehearsal_shown(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": name, "ok": True, "skipped": False} for name, _ in PHASES]
    Output("rehearse").show("rehearse", {"phases": rows, "seconds": 23.0, "report": ""})
    block = README[README.index("<!-- output of inv rehearse") :].split("```")[1]
    assert capsys.readouterr().out.strip() == block.strip().splitlines()[-1]


def test_every_command_shown_is_a_verb_with_flags_that_exist() -> None:
    shown = re.findall(r"^(?:uv run )?inv ([a-z0-9]+)((?: --?[a-z-]+)*)", README, re.MULTILINE)
    assert shown
    for verb, flags in set(shown):
        for flag in flags.split():
            assert flag in helped(verb), (verb, flag)
