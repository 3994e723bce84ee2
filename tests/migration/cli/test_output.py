"""What reaches a reader, and what a reader who has gone decides: nothing."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection

import tasks
from migration.base import interrupts, runlog
from migration.base.command import CURRENT, inv
from migration.base.errors import Interrupted
from migration.cli import dispatch, output
from migration.cli.output import Output
from migration.cli.progress import Lines
from migration.git.giterrors import translate
from migration.git.repository import Repository
from tests.support import repos, schema
from tests.support.project import ROOT
from tests.support.streams import Gone

ASKS = """
import sys, time
from migration.cli.output import Output
sys.stdout.write("planning\\n"); sys.stdout.flush()
sys.stdin.readline()
time.sleep(0.3)
print(repr(Output("deploy").ask("Deploy this? Type the ref:")), flush=True)
"""


def _until(master: int, words: str) -> str:
    heard = ""
    while words not in heard:
        heard += os.read(master, 4096).decode()
    return heard


def test_what_was_typed_before_the_question_is_no_answer_to_it() -> None:
    master, slave = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", ASKS], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    _until(master, "planning")
    os.write(master, b"go on\nabcdefghijklmnopqrst\n")
    _until(master, "Type the ref:")
    os.write(master, b"what was meant\n")
    assert "'what was meant'" in _until(master, "meant'")
    assert child.wait(10) == 0
    os.close(master)


def test_an_interrupted_question_ends_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is said of the interruption does not begin behind the question."""

    def interrupted() -> str:
        raise Interrupted("SIGINT")

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(output, "_forget_typed", lambda: None)
    monkeypatch.setattr("builtins.input", interrupted)
    with pytest.raises(Interrupted):
        Output("deploy").ask("Deploy this? Type the ref:")
    assert capsys.readouterr().err == "Deploy this? Type the ref: \n"


def test_progress_that_nobody_reads_is_no_error() -> None:
    lines = Lines(Gone(after=1))
    lines.done("plan")
    lines.done("stage", "alpha", "v2")
    lines.warn("it goes on")


@dataclass(frozen=True)
class Result:
    exit_code: int


@pytest.mark.parametrize(("ended", "code"), [(0, 141), (1, 1), (4, 4)])
def test_a_result_that_nobody_reads_keeps_its_exit_code(ended: int, code: int, patched: Callable[..., int]) -> None:
    assert patched(lambda *_args, **_options: Result(ended)) == code


def test_a_reader_who_goes_while_something_is_half_done_hides_nothing(
    patched: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(*_args: Any, **_options: Any) -> None:
        interrupts.between("Uploads had begun.", inv("deploy"), inv("rollback"))
        raise BrokenPipeError(32, "Broken pipe")

    assert patched(verb) == 5
    shown = capsys.readouterr().err.splitlines()
    assert shown[-1].startswith("Log: ") and shown[:-1] == [
        "The output was closed. Uploads had begun.",
        "→ inv deploy",
        "→ inv rollback",
    ]


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs a verb whose stdout nobody reads; returns the exit code."""

    def run(verb: Callable[..., Any]) -> int:
        monkeypatch.setattr(interrupts, "install", lambda: None)
        monkeypatch.setattr(dispatch, "ROOT", tmp_path)
        monkeypatch.setattr(sys, "stdout", Gone())
        interrupts.between("Nothing was changed.", exit_code=130)
        with pytest.raises(SystemExit) as left:
            dispatch.run(verb, True, env="prod")
        interrupts.between("Nothing was changed.", exit_code=130)
        return int(left.value.code or 0)

    return run


def test_every_verb_has_a_schema() -> None:
    """docs/schema/ describes what each verb prints with --json; real output is held to it wherever a test reads it."""
    written = {path.stem for path in schema.FOLDER.glob("*.json")}
    assert written == {*Collection.from_module(tasks).task_names, "inv", "figures"}


def test_json_carries_its_schema_and_one_form_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Times of all origins become RFC 3339 with Z and milliseconds; other people's text stays as it is."""
    given = {
        "at": "2026-11-27T14:53:15.123456+00:00",
        "since": datetime(2026, 11, 27, 15, tzinfo=timezone(timedelta(hours=1))),
        "message": "2026-11-27T14:53:15+00:00",
    }  # fmt: skip
    Output("status", json=True).line(given, 4)
    assert json.loads(capsys.readouterr().out) == {
        "schema": "cutover/status/1", "env": CURRENT.env or None, "exit_code": 4, "at": "2026-11-27T14:53:15.123Z",
        "since": "2026-11-27T14:00:00.000Z", "message": "2026-11-27T14:53:15+00:00",
    }  # fmt: skip


HOOK = """#!/bin/sh
printf '::error::owned by a hook\\n##[group]x\\n##vso[task.setvariable variable=x]y\\n\\033[2J\\033]0;title\\007\\n' >&2
exit 1
"""


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_words_of_a_git_remote_pass_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """What a hook of the remote writes (git shows it as `remote: …`), on a branch with a hostile name, reaches neither
    a terminal nor a CI server as a command."""
    remote, app = repos.pair(tmp_path)
    path = remote / "hooks" / hook
    path.parent.mkdir(exist_ok=True)
    path.write_text(HOOK)
    path.chmod(0o755)
    own = Repository(app, repos.QUIET)
    done = own.push("origin", "HEAD:refs/heads/x;rm${IFS}-rf;$(id)")
    assert not done.ok and "owned by a hook" in done.err
    out = Output("rollback", tmp_path)
    monkeypatch.setattr(runlog, "_run", runlog.RunLog(tmp_path / "log", "rollback", echo=True))
    error = translate("push", done.err, app, "origin")
    out.error(f"{error.message} {done.err}", (own.typed("push", "origin", "HEAD:x;rm${IFS}-rf;$(id)"),), 3, {})
    out.json = True
    out.line({"text": done.err})
    shown = "".join(capsys.readouterr())
    assert "owned by a hook" in shown and "\x1b" not in shown and "\x07" not in shown
    assert not re.search(r"^\s*::|##\w*\[", shown, re.MULTILINE), shown
    assert "push origin 'HEAD:x;rm${IFS}-rf;$(id)'" in shown


SECOND = r"""
import os, signal, sys
from migration.base import interrupts, runlog
from migration.base.command import Do
from migration.base.secrets_type import Secret
Secret("a-secret-value-of-42")
interrupts.install()
interrupts.between("::error::\x1b[2J a-secret-value-of-42 is live", Do("type\n::set-env name=x::y"))
try:
    os.kill(os.getpid(), signal.SIGTERM)
except BaseException:
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_second_signal_passes_the_gate() -> None:
    """What a second signal writes on its way out is masked and obeyed by nothing."""
    done = subprocess.run([sys.executable, "-c", SECOND], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 5 and "is live" in done.stderr
    assert "\x1b" not in done.stderr and "a-secret-value" not in done.stderr
    assert not re.search(r"^\s*::", done.stderr, re.MULTILINE), done.stderr
