"""What is deployed has git's line ends, whatever the clone's settings made of the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.git import checkout, endings
from migration.git.repository import Repository
from migration.source import reader
from tests.support.repos import QUIET, clone, commit, git, pair

INDEX, MAP, PICTURE = (f"supabase/functions/hello/{name}" for name in ("index.ts", "deno.json", "a.png"))
FILES: dict[str, str | bytes | None] = {INDEX: "export const a = 1;\n", MAP: "{}\n", PICTURE: b"\x89PNG\r\n\x1a\n\0"}


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    remote, first = pair(tmp_path)
    commit(first, FILES, "Begin")
    git(first, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return remote


def _clone(remote: Path, *settings: str) -> Repository:
    options = [word for setting in settings for word in ("--config", setting)]
    return Repository(clone(remote, remote.parent / "windows", *options), QUIET)


def _files(repository: Repository) -> dict[str, bytes]:
    return {path: (repository.path / path).read_bytes() for path in FILES}


@pytest.mark.parametrize("settings", [("core.autocrlf=true",), ("core.eol=crlf",)])
def test_a_clone_with_other_line_ends_reads_as_git_does(settings: tuple[str, ...], remote: Path) -> None:
    first = Repository(remote.parent / "one", QUIET)
    commit(first.path, {".gitattributes": "* text=auto\n"}, "Attributes")
    git(first.path, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    repository, state = _clone(remote, *settings), remote.parent / "state"
    assert b"\r\n" in _files(repository)[INDEX]
    now = reader.Reader(repository, state).working(["hello"])["hello"]
    past = reader.Reader(repository, state).at("HEAD", ["hello"])["hello"]
    assert now.files[INDEX] == past.files[INDEX] == b"export const a = 1;\n" and now.digest == past.digest


def test_attributes_count_for_everybody(remote: Path) -> None:
    first = Repository(remote.parent / "one", QUIET)
    commit(first.path, {".gitattributes": "*.ts text eol=crlf\n"}, "Windows files")
    git(first.path, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    repository = _clone(remote, "core.autocrlf=true")
    folder = checkout.tree(repository, "HEAD", remote.parent / "state")
    found = endings.committed(repository, _files(repository))
    assert (folder / INDEX).read_bytes() == found[INDEX] == b"export const a = 1;\r\n"
    assert found[MAP] == b"{}\n" and found[PICTURE] == FILES[PICTURE]


def test_unsaved_work_and_line_ends_that_git_sees_stay_as_they_are(remote: Path) -> None:
    repository = _clone(remote)
    (repository.path / INDEX).write_bytes(b"export const a = 2;\r\n")
    (repository.path / MAP).write_bytes(b"{}\r\n")
    (repository.path / "new.ts").write_bytes(b"new\r\n")
    files = {**_files(repository), "new.ts": b"new\r\n"}
    assert endings.committed(repository, files) == files


def test_a_repository_without_a_commit_and_files_without_such_ends_cost_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert endings.committed(Repository(tmp_path, QUIET), {"a": b"a\r\n"}) == {"a": b"a\r\n"}
    assert endings.committed(Repository(tmp_path / "nowhere", QUIET), {"a": b"a\n"}) == {"a": b"a\n"}
