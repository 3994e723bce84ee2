"""The revert commit of a rollback: made on top of the branch's tip, or found where someone else made it.

Kept to files, the range base..revision is first reduced to one commit that changes just those files, and git reverts
that: a three-way merge, with renames and with whatever came later on the branch. It is made in a temporary worktree;
nothing is pushed and no ref moves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migration.base.command import AGAIN, Step
from migration.base.errors import CutoverError, Refused, ServiceFailed, Unreachable
from migration.base.failpoint import failpoint
from migration.base.numbers import count
from migration.git.giterrors import Denied, TimedOut, translate
from migration.git.repository import AUTHOR, QUIET, WHOLE, Repository


class Gone(Refused):
    """git no longer has a commit: neither this clone nor any branch of its remote, which answered. It was force-pushed
    away, or its branch was deleted, and git collects such commits. `.data["commit"]` is its id."""


TRAILER = "Cutover-Rollback"
SEARCHED = 200  # the newest commits that touch the files; an older revert is not found
_LINE = ("--first-parent", "--diff-merges=first-parent")
_NO_GUESS = "-c", "user.useConfigOnly=true"


@dataclass(frozen=True)
class RevertRange:
    """What to take back: base..revision, kept to `files` (relative to the app), or, if `whole`, its `commits`.

    `names` are the functions it is about, `deployment` the rollback that does it.
    """

    base: str
    revision: str
    files: tuple[str, ...]
    commits: tuple[str, ...]
    whole: bool
    names: tuple[str, ...]
    deployment: str


@dataclass(frozen=True)
class RevertCommit:
    """A revert on `tip`. `commit` is None when the tip already has the former files, or when there are `conflicts`."""

    tip: str
    commit: str | None
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def bring(repository: Repository, remote: str | None, commits: Sequence[str], parents: bool = False) -> None:
    """Bring these commits into this clone, with their parents if wanted. Refused when the remote does not give them,
    Gone when it answers and no longer has one.

    The boundary commit of a shallow clone looks like a first commit: reverting it would delete every file.
    """
    if not _missing(repository, commits, parents):
        return
    try:
        if remote and repository.shallow():
            repository.deepen(remote)
        elif remote:
            repository.fetch_heads(remote)
    except ServiceFailed as error:
        text = f"The commits to revert are not in this clone. {error.message}"
        raise Refused(text, *how_to_fetch(repository)) from error
    if not repository.shallow() and (gone := [commit for commit in commits if not _by_id(repository, remote, commit)]):
        raise lost(gone[0])
    if missing := _missing(repository, commits, parents):
        text = f"Commit {missing[0][:9]}{' or its parent' * parents} is not in this clone. Nothing was reverted."
        raise Refused(text, *how_to_fetch(repository))


def lost(commit: str) -> Gone:
    """The error for a commit that git no longer has."""
    return Gone(f"Commit {commit[:9]} is no longer in git: no branch holds it (force-pushed away?).", commit=commit)


def _by_id(repository: Repository, remote: str | None, commit: str) -> bool:
    """Whether the commit is here, or its remote still gives it by its id, though no branch holds it (GitHub keeps such
    commits for months). Refused where the remote did not answer that question."""
    if repository.revision(commit) is None and remote and WHOLE.fullmatch(commit):
        try:
            repository.fetch(remote, commit)
        except (Unreachable, TimedOut, Denied) as error:
            text = f"Commit {commit[:9]} is not in this clone. {error.message}"
            raise Refused(text, *how_to_fetch(repository)) from error
        except CutoverError:
            pass  # "not our ref": the remote does not have it, or gives none that no branch holds
    return repository.revision(commit) is not None


def how_to_fetch(repository: Repository) -> tuple[Step, ...]:
    """What to type so that missing commits arrive; nothing where there is no remote to fetch from."""
    if not repository.remotes():
        return ()
    return repository.typed("fetch", "--unshallow" if repository.shallow() else "--all"), AGAIN


def _missing(repository: Repository, commits: Sequence[str], parents: bool) -> list[str]:
    boundary = repository.boundary() if parents else set()
    return [commit for commit in commits if commit in boundary or repository.revision(commit) is None]


def make(repository: Repository, wanted: RevertRange, tip: str, state: Path) -> RevertCommit:
    """Revert on top of `tip`. Refused for a revert that would delete files which the range did not add."""
    with repository.worktree(tip, state / "worktrees") as tree:
        failpoint("revert.tree")
        commits = list(wanted.commits) if wanted.whole else [_reduced(repository, wanted)]
        for commit in commits:
            conflicts = _revert(repository, commit, tree)
            if conflicts:
                return RevertCommit(tip, None, tuple(conflicts))
        result = repository.git("write-tree", at=tree).text
    if result == repository.tree(tip):
        return RevertCommit(tip, None)
    _refuse_deletions(repository, wanted, tip, result)
    commit, note = _commit(repository, message(repository, wanted), result, tip)
    return RevertCommit(tip, commit, notes=(note,) if note else ())


def message(repository: Repository, wanted: RevertRange) -> str:
    """git's usual words, and which files the revert was kept to."""
    commits = list(wanted.commits) or [wanted.revision]
    more = f" and {len(commits) - 1} more" if len(commits) > 1 else ""
    kept = "" if wanted.whole else f", kept to the files of {', '.join(wanted.names)}"
    lines = [f"This reverts commit {commit}{kept}." for commit in commits]
    head = f'Revert "{repository.subject(commits[0])}"{more}'
    return "\n".join([head, "", *lines, "", f"{TRAILER}: {wanted.deployment}", ""])


def touching(repository: Repository, base: str, revision: str, files: Sequence[str]) -> tuple[str, ...]:
    """The commits of base..revision that touch the files, on the line that was deployed; newest first."""
    try:
        return tuple(repository.commits(base, revision, files, *_LINE))
    except CutoverError:
        return (revision,)


def _reduced(repository: Repository, wanted: RevertRange) -> str:
    """A commit on base that changes the files to what they are at the revision, and nothing else."""
    before, after = (_entries(repository, commit, wanted.files) for commit in (wanted.base, wanted.revision))
    zero = "0" * len(repository.empty_tree)
    lines = [f"0 {zero}\t{path}\0" for path in before if path not in after]
    lines += [f"{entry}\t{path}\0" for path, entry in after.items()]
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.git("read-tree", wanted.base, env=index)
        script = "".join(lines).encode("utf-8", "surrogateescape")
        repository.git("update-index", "-z", "--index-info", stdin=script, env=index)
        tree = repository.git("write-tree", env=index).text
    return repository.commit(message(repository, wanted), tree=tree, parents=[wanted.base])


def _entries(repository: Repository, revision: str, files: Sequence[str]) -> dict[str, str]:
    """Path from the top of the repository to `mode sha` at a revision, of the files that exist there."""
    if not files:
        return {}
    paths = [repository.prefix + path for path in files]
    names = repository.git("ls-tree", "-r", "-z", "--full-tree", revision, "--", *paths).names
    split = [entry.split("\t", 1) for entry in names]
    return {path: " ".join(head.split(" ")[::2]) for head, path in split if path in paths}


def _revert(repository: Repository, commit: str, tree: Path) -> list[str]:
    """git revert in the worktree; conflicts that are only line endings are resolved. Returns the files in conflict."""
    parent = ["-m", "1"] if len(repository.parents(commit)) > 1 else []
    for option in ([], ["-X", "ignore-cr-at-eol"]):
        hooks = [*QUIET, "-c", "commit.gpgSign=false"]
        words = [*hooks, "revert", "--no-commit", *parent, *option, commit]
        done = repository.run(*words, at=tree, timeout=120, env=AUTHOR)
        if done.ok:
            return []
        conflicts = repository.git("diff", "--name-only", "--diff-filter=U", "-z", at=tree).names
        if not conflicts:
            raise translate("revert", done.err or done.text, repository.path)
        if not option:
            repository.git(*hooks, "reset", "--quiet", "--hard", at=tree)
    return conflicts


def _refuse_deletions(repository: Repository, wanted: RevertRange, tip: str, result: str) -> None:
    """A revert removes what the range added and no more, whatever git makes of it."""
    removed = set(_changed(repository, "D", tip, result))
    added = set(_changed(repository, "A", wanted.base, wanted.revision))
    extra = sorted(removed - added)
    if extra:
        raise Refused(
            f"The revert would delete {count(len(extra), 'file')} that the range did not add, {extra[0]} among them. "
            "Nothing was committed."
        )


def _changed(repository: Repository, kind: str, old: str, new: str) -> list[str]:
    """Paths from the top of the repository that differ in this way (a diff filter) between two trees."""
    return repository.git("diff", "--no-renames", "--name-only", f"--diff-filter={kind}", "-z", old, new).names


def _commit(repository: Repository, text: str, tree: str, tip: str) -> tuple[str, str]:
    """The commit, by the user if git knows one, else by Cutover; signed if the user signs and that works."""
    env = author(repository)
    signs = repository.run("config", "--type=bool", "commit.gpgsign").text == "true"
    if signs and not env:
        try:
            return repository.commit(text, tree, [tip], env={}, sign=True), ""
        except CutoverError:
            return repository.commit(text, tree, [tip], env={}), "The revert is not signed: git could not sign it."
    return repository.commit(text, tree, [tip], env=env), ""


def author(repository: Repository) -> Mapping[str, str]:
    """Nothing when git knows who the user is, else Cutover's own name."""
    idents = ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
    known = all(repository.run(*_NO_GUESS, "var", ident).ok for ident in idents)
    return {} if known else AUTHOR


# A revert that no record names: it was squash-merged, or someone reverted by hand.


def find_revert(repository: Repository, base: str, revision: str, tip: str, files: Sequence[str] = ()) -> str:
    """The oldest commit on the line of `tip`, after `revision`, at which the files (all without any) that
    base..revision changed are what they were at base; empty when there is none, or it cannot be determined."""
    changed = repository.changed(base, revision, files)
    if not changed or any("\n" in path for path in changed):
        return ""
    later = repository.commits(revision, tip, changed, *_LINE, f"--max-count={SEARCHED}")
    wanted, *rows = _contents(repository, [base, *later], changed)
    reverts = [commit for commit, row in zip(later, rows, strict=True) if row == wanted]
    return next((commit for commit in reversed(reverts) if repository.is_ancestor(revision, commit)), "")


def touched_since(repository: Repository, base: str, revision: str, tip: str) -> bool:
    """Whether a commit after `revision` touches any file that base..revision changed: else there is no revert."""
    changed = repository.changed(base, revision)
    return bool(changed and repository.commits(revision, tip, changed, *_LINE, "--max-count=1"))


def _contents(repository: Repository, commits: Sequence[str], paths: Sequence[str]) -> list[list[bytes]]:
    """For each commit the ids of the files' contents, empty for a missing file; one call of git for all."""
    names = "".join(f"{commit}:{repository.prefix}{path}\n" for commit in commits for path in paths)
    stdin = names.encode("utf-8", "surrogateescape")
    rows = repository.git("cat-file", "--batch-check=%(objectname)", stdin=stdin, timeout=120).out.split(b"\n")[:-1]
    ids = [b"" if row.endswith(b" missing") else row for row in rows]
    return [ids[start : start + len(paths)] for start in range(0, len(ids), len(paths))]
