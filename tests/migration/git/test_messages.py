"""What lies in a shared ref is measured before it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.git import messages
from migration.git.giterrors import GitFailed
from migration.git.refs import Remote
from migration.git.repository import Repository
from tests.support.repos import git, pair


def made(folder: Path, size: int) -> str:
    """A commit whose message has so many bytes."""
    tree = git(folder, "hash-object", "-t", "tree", "-w", "--stdin")
    text = folder / "message"
    text.write_text("x" * size)
    return git(folder, "commit-tree", tree, "-F", str(text))


def test_large_ones_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in portions, each with its size; one that is too large without its text, and anything else empty."""
    monkeypatch.setattr(messages, "_AT_ONCE", 2_000)
    _, first = pair(tmp_path)
    own = Repository(first)
    commits = [made(first, size) for size in (10, 1_000, 5_000, 900, 900)]
    blob = git(first, "hash-object", "-w", "--stdin")
    found = list(messages.read(own, [*commits, blob], largest=2_000))
    assert [one.commit for one in found] == [*commits, blob]
    assert [None if one.text is None else len(one.text) for one in found] == [10, 1_000, None, 900, 900, 0]
    assert found[2].size > 5_000
    assert messages.missing(own, [commits[0], "a" * 40]) == {"a" * 40}
    with pytest.raises(GitFailed, match="not in this clone"):
        messages.one(own, "a" * 40)


def test_huge_object_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git ends instead of taking the memory, and the error names what lies there."""
    monkeypatch.setattr("migration.git.refs.LARGEST", 1)
    remote, first = pair(tmp_path)
    commit = made(remote, 3_000_000)
    git(remote, "update-ref", "refs/cutover/ledger/prod", commit)
    with pytest.raises(GitFailed, match="larger than any of ours"):
        Remote(Repository(first), "origin", "refs/cutover").bring("refs/cutover/ledger/prod", commit)
