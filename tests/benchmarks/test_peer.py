"""The real CLI is found, or its absence is said; and it never learns that it runs inside a coding agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import peer


@dataclass
class Project:
    profile: Path = Path("profile.yaml")
    access_token: str = "sbp_" + "0" * 40
    project_ref: str = "abcdefghijklmnopqrst"


def script(folder: Path, text: str) -> Path:
    made = folder / "supabase"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made


def test_it_inherits_nothing_but_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLAUDECODE", "SUPABASE_YES", "SUPABASE_OUTPUT", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "1")
    found = peer.Cli(tmp_path / "supabase", Project(), tmp_path).environment()
    assert {"CLAUDECODE", "SUPABASE_YES", "SUPABASE_OUTPUT", "HTTPS_PROXY"}.isdisjoint(found)
    assert found["SUPABASE_TELEMETRY_DISABLED"] == found["DO_NOT_TRACK"] == "1"


def test_another_version_or_nothing_runnable_is_refused_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for named in (script(tmp_path, "echo 2.0.0"), tmp_path / "nothing"):
        monkeypatch.setenv("CUTOVER_SUPABASE_CLI", str(named))
        with pytest.raises(peer.Missing, match=r"npm install --prefix .cutover/cli supabase@3\.1\.0"):
            peer.find()


def test_the_named_one_of_the_right_version_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = script(tmp_path, "echo 3.1.0")
    monkeypatch.setenv("CUTOVER_SUPABASE_CLI", str(named))
    assert peer.find() == named


def test_a_run_gives_exit_code_and_both_streams(tmp_path: Path) -> None:
    named = script(tmp_path, 'echo "$SUPABASE_PROJECT_ID $1"; echo bad >&2; exit 3')
    done = peer.Cli(named, Project(), tmp_path).run(["list"], tmp_path)
    assert (done.code, done.stdout, done.stderr) == (3, "abcdefghijklmnopqrst list\n", "bad\n")
