"""Sixty wrong turns and more: each meets one sentence that names the cause and what to do next, and changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

from migration.cli import dispatch
from tests.support import repos, turns
from tests.support.turns import TURNS, Place, Turn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return turns.make(tmp_path_factory.mktemp("whole") / "project").root


def typed(words: str) -> tuple[int, str]:
    """The exit code and all that is printed, in this process."""
    import tasks

    out, held = io.StringIO(), {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            program = Program(namespace=Collection.from_module(tasks), name="inv")
            program.run(["inv", *shlex.split(words)])
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    return code, out.getvalue()


def kept(root: Path) -> dict[str, str]:
    """Every file by its content, refs of the app and its remote among them; not the log of the run."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".cutover" not in path.parts)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name.replace(" ", "-"))
def test_wrong_turn(turn: Turn, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2, the sentence, the next step, no traceback, and every file as it was."""
    root = tmp_path / "project"
    shutil.copytree(whole, root, symlinks=True)
    for name in [name for name in os.environ if name.startswith(("SUPABASE_", "OPENAI_", "CUTOVER_", "CI", "GITHUB_"))]:
        monkeypatch.delenv(name)
    for name, value in repos.QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dispatch, "ROOT", root)
    turn.setup(Place(root))
    monkeypatch.chdir(root)
    before = kept(root)
    code, printed = typed(turn.typed)
    lines = [line for line in printed.replace(str(root), "ROOT").splitlines() if line.strip()]
    cause = turn.sentence.splitlines()
    assert code == 2, printed
    assert (lines[: len(cause)], " ".join(lines[len(cause) :])) == (cause, turn.then)
    assert "Traceback" not in printed and kept(root) == before


def test_wrong_turns_are_sixty() -> None:
    """Each of another name, and each says what to do next."""
    assert len({turn.name for turn in TURNS}) == len(TURNS) >= 60
    assert all(turn.then for turn in TURNS)
