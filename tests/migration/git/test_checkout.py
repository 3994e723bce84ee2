"""The past is read from git without touching anybody's files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.git import checkout
from migration.git.repository import AUTHOR, Repository
from migration.source import reader

QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", **AUTHOR}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=QUIET | {"PATH": "/usr/bin:/bin"}, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def _app(folder: Path, text: str) -> str:
    index = folder / "supabase/functions/hello/index.ts"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(text)
    _git(folder, "add", "-A", ".")
    _git(folder, "commit", "-qm", text)
    return _git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize("below", ["", "deep/app"])
def test_a_revision_reads_as_it_was_and_nothing_of_the_user_moves(below: str, tmp_path: Path) -> None:
    top = tmp_path / "r"
    app = top / below
    app.mkdir(parents=True)
    _git(top, "init", "-q")
    first = _app(app, "export const a = 1;")
    _app(app, "export const a = 2;")
    (app / "supabase/functions/hello/index.ts").write_text("dirty")
    (app / "staged.txt").write_text("staged")
    _git(app, "add", "staged.txt")
    before = _git(top, "status", "--porcelain", "-b"), (top / ".git/index").read_bytes()
    found = reader.Reader(Repository(app, QUIET), tmp_path / "state").at(first, ["hello", "missing"])
    assert found["hello"].files == {"supabase/functions/hello/index.ts": b"export const a = 1;"}
    assert "missing" not in found
    assert (_git(top, "status", "--porcelain", "-b"), (top / ".git/index").read_bytes()) == before
    tree = _git(top, "rev-parse", f"{first}^{{tree}}")
    assert [path.name for path in (tmp_path / "state/trees").iterdir()] == [f"{tree}.part"]


def test_an_unknown_revision_is_refused(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    with pytest.raises(Refused, match="Commit feedbeef is not in this clone"):
        checkout.tree(Repository(tmp_path, QUIET), "feedbeef", tmp_path / "state")


def test_old_trees_are_cleared_away(tmp_path: Path) -> None:
    top = tmp_path / "r"
    top.mkdir()
    _git(top, "init", "-q")
    for number in range(14):
        checkout._proven.clear()  # each time another process, a day later
        for folder in (tmp_path / "state/trees").glob("*"):
            os.utime(folder, (number, number))
        checkout.tree(Repository(top, QUIET), _app(top, f"export const a = {number};"), tmp_path / "state")
    assert len(list((tmp_path / "state/trees").iterdir())) == 12


@pytest.mark.parametrize("harm", ["change", "same size and time", "add", "remove", "index", "empty", "old layout"])
def test_a_tree_that_was_tampered_with_is_made_again(harm: str, tmp_path: Path) -> None:
    top = tmp_path / "r"
    top.mkdir()
    _git(top, "init", "-q")
    first = _app(top, "export const a = 1;")
    repository, state = Repository(top, QUIET), tmp_path / "state"
    folder = checkout.tree(repository, first, state)
    file = folder / "supabase/functions/hello/index.ts"
    _harm(harm, folder, file)
    checkout._proven.clear()
    again = checkout.tree(repository, first, state) / "supabase/functions/hello/index.ts"
    assert again.read_text() == "export const a = 1;"
    assert [path.name for path in again.parent.iterdir()] == ["index.ts"]
    before = again.stat()
    checkout._proven.clear()
    assert checkout.tree(repository, first, state) == folder
    assert again.stat() == before, "what is whole is used as it is"


def _harm(harm: str, folder: Path, file: Path) -> None:
    if harm == "change":
        file.write_text("export const a = 22;")
    elif harm == "same size and time":
        then = file.stat()
        file.write_text("export const a = 2;")
        os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    elif harm == "add":
        (file.parent / "deno.json").write_text("{}")
    elif harm == "remove":
        file.unlink()
    elif harm == "index":
        (folder.parent / checkout.INDEX).write_bytes(b"torn")
    elif harm == "empty":
        shutil.rmtree(folder)
    else:
        shutil.rmtree(folder)
        (folder.parent / checkout.INDEX).unlink()
        (folder.parent / "supabase").mkdir()


def test_line_endings_submodules_and_odd_names_do_not_make_a_tree_look_tampered_with(tmp_path: Path) -> None:
    top = tmp_path / "r"
    top.mkdir()
    _git(top, "init", "-q")
    (top / ".gitattributes").write_text("*.txt eol=crlf\n")
    (top / "a b\n[1].txt").write_text("one\ntwo\n")
    (top / "link").symlink_to("nowhere")
    inner = tmp_path / "inner"
    inner.mkdir()
    _git(inner, "init", "-q")
    _app(inner, "export {};")
    _git(top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    revision, repository = _app(top, "export const a = 1;"), Repository(top, QUIET)
    made = checkout.tree(repository, revision, tmp_path / "state").stat().st_ino
    checkout._proven.clear()
    assert checkout.tree(repository, revision, tmp_path / "state").stat().st_ino == made


def test_used_trees_are_not_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that was handed out stays, whatever is written after it; what was used long ago goes."""
    monkeypatch.setattr(checkout, "_KEPT", 1)
    top, state = tmp_path / "r", tmp_path / "state"
    top.mkdir()
    _git(top, "init", "-q")
    repository = Repository(top, QUIET)
    revisions = [_app(top, f"export const a = {number};") for number in range(4)]
    folders = [checkout.tree(repository, revision, state) for revision in revisions[:3]]
    assert all((folder / "supabase").is_dir() for folder in folders)
    checkout._proven.clear()  # another process
    os.utime(folders[0].parent, (1.0, 1.0))
    checkout.tree(repository, revisions[3], state)
    assert [folder.is_dir() for folder in folders] == [False, True, True]
    shutil.rmtree(folders[1].parent)
    assert checkout.tree(repository, revisions[1], state).is_dir(), "evicted by another process, it is written again"
