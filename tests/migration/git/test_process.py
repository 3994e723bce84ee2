"""git ends when it ends: nothing that it leaves behind, and no question to a person, holds a command."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from migration.git import process
from migration.git.giterrors import Denied, TimedOut
from migration.git.repository import Repository
from tests.support.repos import QUIET, git, pair


def _ssh(folder: Path, script: str) -> dict[str, str]:
    """git's environment with this script in place of ssh; `$last` in it is the command for the other side."""
    file = folder / "ssh"
    file.write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
    file.chmod(0o755)
    return {**QUIET, "GIT_SSH_COMMAND": str(file), "GIT_SSH_VARIANT": "simple"}


def _over_ssh(folder: Path, script: str) -> Repository:
    remote, app = pair(folder)
    git(app, "remote", "set-url", "origin", f"ssh://host{remote}")
    return Repository(app, _ssh(folder, script))


def test_a_background_ssh_does_not_hold_git(tmp_path: Path) -> None:
    """ControlPersist keeps an ssh alive that has git's stderr open; git itself has ended."""
    own = _over_ssh(tmp_path, 'sleep 20 </dev/null >/dev/null &\neval "exec $last"')
    began = time.monotonic()
    assert "refs/heads/main" in own.ls_remote("origin")
    assert time.monotonic() - began < 10


def test_a_silent_remote_gets_less_time_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first question has its time, the next ones less, until one is answered; the message names who and what."""
    monkeypatch.setattr("migration.git.repository.SILENT", 0.3)
    own = _over_ssh(tmp_path, f'[ -e {tmp_path}/well ] || exec sleep 60\neval "exec $last"')
    own.patience = 1.0
    with pytest.raises(TimedOut, match=r"The git remote origin did not answer git ls-remote within 1s") as caught:
        own.ls_remote("origin")
    assert str(caught.value.steps[0]) == f"git -C {own.path} ls-remote origin"
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"within 0\.3s"):
        own.ls_remote("origin")
    assert time.monotonic() - began < 20
    (tmp_path / "well").touch()
    own.patience, own._silent = 20.0, set()
    assert own.ls_remote("origin") and not own._silent


@pytest.mark.parametrize(
    ("variable", "setting", "batch"),
    [("", "", True), ("GIT_SSH_COMMAND", "", False), ("GIT_SSH", "", False), ("", "ssh -i key", False)],
)
def test_ssh_never_asks_unless_the_user_chose_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, setting: str, batch: bool
) -> None:
    """BatchMode is ours to add only where the user has not set an ssh command."""
    for name in ("GIT_SSH_COMMAND", "GIT_SSH"):
        monkeypatch.delenv(name, raising=False)
    _, app = pair(tmp_path)
    if variable:
        monkeypatch.setenv(variable, "ssh -v")
    if setting:
        git(app, "config", "core.sshCommand", setting)
    transport = Repository(app, QUIET)._transport
    assert ("BatchMode=yes" in transport.get("GIT_SSH_COMMAND", "")) is batch


def test_no_window_asks_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/usr/bin/ssh-askpass")
    own = process.environment({})
    assert "SSH_ASKPASS" not in own
    assert (own["SSH_ASKPASS_REQUIRE"], own["GIT_TERMINAL_PROMPT"], own["GCM_INTERACTIVE"]) == ("never", "0", "never")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("Host key verification failed.", "does not know the host key"),
        ("git@host: Permission denied (publickey,password).", "no ssh key fits"),
    ],
)
def test_what_ssh_refuses_without_asking_is_named(tmp_path: Path, words: str, sentence: str) -> None:
    own = _over_ssh(tmp_path, f"echo '{words}' >&2\nexit 255")
    with pytest.raises(Denied, match=sentence):
        own.ls_remote("origin")


def test_much_output_and_input_pass_whole(tmp_path: Path) -> None:
    """More than a pipe holds, both ways at once."""
    _, app = pair(tmp_path)
    data = os.urandom(3_000_000)
    own = Repository(app, QUIET)
    blob = own.git("hash-object", "-w", "--stdin", stdin=data).text
    assert own.git("cat-file", "blob", blob).out == data
