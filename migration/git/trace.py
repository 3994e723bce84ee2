"""Finding a revert that no record names: it was squash-merged, or somebody reverted by hand."""

from __future__ import annotations

from collections.abc import Sequence

from migration.git.repository import Repository

MANY = 200  # the newest commits that touch the files; a revert before them is not found
_LINE = ("--first-parent", "--diff-merges=first-parent")


def revert(repository: Repository, base: str, revision: str, tip: str, files: Sequence[str] = ()) -> str:
    """The oldest commit on the line of `tip`, after `revision`, at which the files (all without any) that
    base..revision changed are what they were at base; empty when there is none, or it cannot be told."""
    changed = repository.changed(base, revision, files)
    if not changed or any("\n" in path for path in changed):
        return ""
    later = repository.commits(revision, tip, changed, *_LINE, f"--max-count={MANY}")
    wanted, *rows = _contents(repository, [base, *later], changed)
    found = [commit for commit, row in zip(later, rows, strict=True) if row == wanted]
    return next((commit for commit in reversed(found) if repository.is_ancestor(revision, commit)), "")


def touched(repository: Repository, base: str, revision: str, tip: str) -> bool:
    """Whether a commit after `revision` touches any file that base..revision changed: else there is no revert."""
    changed = repository.changed(base, revision)
    return bool(changed and repository.commits(revision, tip, changed, *_LINE, "--max-count=1"))


def _contents(repository: Repository, commits: Sequence[str], paths: Sequence[str]) -> list[list[bytes]]:
    """For each commit the ids of what the files hold there, empty for one that is not there; one question to git."""
    asked = "".join(f"{commit}:{repository.prefix}{path}\n" for commit in commits for path in paths)
    stdin = asked.encode("utf-8", "surrogateescape")
    told = repository.git("cat-file", "--batch-check=%(objectname)", stdin=stdin, timeout=120).out.split(b"\n")[:-1]
    ids = [b"" if line.endswith(b" missing") else line for line in told]
    return [ids[start : start + len(paths)] for start in range(0, len(ids), len(paths))]
