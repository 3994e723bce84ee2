"""What a git host must be able to do for the ledger and the lock is tried, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.ledger.probe import probe
from tests.support.repos import alone, git, ledger, pair


def test_an_able_host_passes_and_nothing_is_left(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    assert probe(ledger(first)) is None
    assert "probe" not in git(remote, "for-each-ref") + git(first, "for-each-ref")


@pytest.mark.parametrize(
    ("setting", "hook", "said"),
    [
        ("receive.advertiseAtomic=false", "", "not support atomic pushes: set `app.ledger: refs/heads/cutover`"),
        ("", "exit 1", "does not accept a new ref. The git host of origin refuses refs/cutover/probe/"),
        ("", '[ "$3" != 0000000000000000000000000000000000000000 ]', "does not delete a ref"),
    ],
)
def test_what_a_host_cannot_do_is_named(tmp_path: Path, setting: str, hook: str, said: str) -> None:
    remote, first = pair(tmp_path)
    if setting:
        git(remote, "config", *setting.split("="))
    if hook:
        path = remote / "hooks" / "update"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{hook}\n")
        path.chmod(0o755)
    assert said in (probe(ledger(first)) or "")


def test_without_a_remote_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert probe(ledger(alone(tmp_path / "app"))) is None
