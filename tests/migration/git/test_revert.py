"""A revert is found where nobody recorded it, and never where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.git import revert
from migration.git.repository import Repository
from tests.support.repos import QUIET, alone, commit, git

FILES = ("a.ts", "b c.ts")


class Line:
    """A line of commits: base, and the migration of two files and of a page."""

    def __init__(self, folder: Path) -> None:
        self.app = alone(folder)
        self.base = commit(self.app, {"a.ts": "old\n", "b c.ts": "old\n", "page": "old\n"}, "Before")
        self.revision = commit(
            self.app, {"a.ts": "new\n", "b c.ts": "new\n", "page": "new\n", "new.ts": "new\n"}, "Move"
        )

    def found(self, *files: str) -> str:
        head = git(self.app, "rev-parse", "HEAD")
        return revert.find_revert(
            Repository(self.app, QUIET), self.base, self.revision, head, files or (*FILES, "new.ts")
        )


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_the_oldest_commit_that_has_the_files_back_is_found_under_later_work(line: Line) -> None:
    commit(line.app, {"a.ts": "old\n"}, "Half of it")
    back = commit(line.app, {"b c.ts": "old\n", "new.ts": None}, "The rest")
    commit(line.app, {"page": "newer\n"}, "Unrelated")
    commit(line.app, {"a.ts": "hot fix\n"}, "Hot fix")
    assert line.found() == back


def test_half_a_revert_is_none(line: Line) -> None:
    commit(line.app, {"a.ts": "old\n", "b c.ts": "old\n"}, "But not new.ts")
    assert line.found() == "" and line.found(*FILES) != ""


def test_files_that_nobody_touched_since_have_no_revert(line: Line) -> None:
    commit(line.app, {"other": "x\n"}, "Other")
    repository, head = Repository(line.app, QUIET), git(line.app, "rev-parse", "HEAD")
    assert line.found() == "" and not revert.touched_since(repository, line.base, line.revision, head)


def test_the_branch_s_own_commits_from_before_the_migration_was_merged_are_no_revert(line: Line) -> None:
    """There the files are as they were at base because the migration had not come yet."""
    git(line.app, "switch", "--quiet", "--create", "main-line", line.base)
    commit(line.app, {"a.ts": "try\n"}, "Try")
    commit(line.app, {"a.ts": "old\n"}, "Take that back")
    git(line.app, "merge", "--quiet", "--no-ff", "--message", "Merge", "main")
    assert line.found() == ""


def test_a_revert_merged_from_a_branch_is_found_at_its_merge(line: Line) -> None:
    git(line.app, "switch", "--quiet", "--create", "back")
    git(line.app, "revert", "--no-edit", "HEAD")
    git(line.app, "switch", "--quiet", "main")
    commit(line.app, {"other": "x\n"}, "Meanwhile")
    git(line.app, "merge", "--quiet", "--no-ff", "--message", "Merge", "back")
    assert line.found() == git(line.app, "rev-parse", "HEAD")


def test_a_range_that_changed_none_of_the_files_has_no_revert(line: Line) -> None:
    assert line.found("nothing.ts") == ""
