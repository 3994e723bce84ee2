"""The revert itself: one commit on top of the branch's tip, made in a worktree of its own.

Kept to files, the range base..revision is first boiled down to one commit that changes just those files, and git
reverts that: a three-way merge, with renames and with whatever came later on the branch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.failpoint import failpoint
from migration.git.giterrors import translate
from migration.git.repository import AUTHOR, QUIET, Repository

_NOBODY = "-c", "user.useConfigOnly=true"
TRAILER = "Cutover-Rollback"


@dataclass(frozen=True)
class Range:
    """What to take back: base..revision, kept to `files` (relative to the app), or, without, its `commits` whole.

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
class Made:
    """A revert on `tip`: its commit, None when the tip already has the former files; `conflicts` when git cannot."""

    tip: str
    commit: str | None
    conflicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def have(repository: Repository, remote: str | None, commits: Sequence[str], parents: bool = False) -> None:
    """Make sure that these commits are here, with their parents if asked. Refused when they cannot be had.

    The boundary commit of a shallow clone looks like a first commit: to revert it would delete every file.
    """
    if not _lacking(repository, commits, parents):
        return
    try:
        if remote and repository.shallow():
            repository.deepen(remote)
        elif remote:
            repository.fetch_heads(remote)
    except ServiceFailed as error:
        text = f"The commits to revert are not in this clone. {error.message}"
        raise Refused(text, "git fetch --unshallow") from error
    if missing := _lacking(repository, commits, parents):
        text = f"The commit {missing[0][:9]}{' or its parent' * parents} is not in this clone: nothing was reverted."
        raise Refused(text, "git fetch --all")


def _lacking(repository: Repository, commits: Sequence[str], parents: bool) -> list[str]:
    edge = repository.boundary() if parents else set()
    return [commit for commit in commits if commit in edge or repository.revision(commit) is None]


def make(repository: Repository, found: Range, tip: str, state: Path) -> Made:
    """Revert on top of `tip`. No ref moves; nothing is pushed. Refused for a revert that would delete too much."""
    with repository.worktree(tip, state / "worktrees") as tree:
        failpoint("revert.tree")
        targets = list(found.commits) if found.whole else [_single(repository, found)]
        for commit in targets:
            conflicts = _revert(repository, commit, tree)
            if conflicts:
                return Made(tip, None, tuple(conflicts))
        result = repository.git("write-tree", at=tree).text
    if result == repository.tree(tip):
        return Made(tip, None)
    _guard(repository, found, tip, result)
    commit, note = _commit(repository, message(repository, found), result, tip)
    return Made(tip, commit, notes=(note,) if note else ())


def message(repository: Repository, found: Range) -> str:
    """git's usual words, and what they were kept to."""
    commits = list(found.commits) or [found.revision]
    more = f" and {len(commits) - 1} more" if len(commits) > 1 else ""
    kept = "" if found.whole else f", kept to the files of {', '.join(found.names)}"
    lines = [f"This reverts commit {commit}{kept}." for commit in commits]
    head = f'Revert "{repository.subject(commits[0])}"{more}'
    return "\n".join([head, "", *lines, "", f"{TRAILER}: {found.deployment}", ""])


def listed(repository: Repository, base: str, revision: str, files: Sequence[str]) -> tuple[str, ...]:
    """The commits of the deployed line that touch the files, newest first."""
    try:
        return tuple(repository.commits(base, revision, files, "--first-parent", "--diff-merges=first-parent"))
    except CutoverError:
        return (revision,)


def _single(repository: Repository, found: Range) -> str:
    """A commit on base that changes the files to what they are at the revision, and nothing else."""
    before, after = (_entries(repository, commit, found.files) for commit in (found.base, found.revision))
    zero = "0" * len(repository.empty_tree)
    lines = [f"0 {zero}\t{path}\0" for path in before if path not in after]
    lines += [f"{entry}\t{path}\0" for path, entry in after.items()]
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.git("read-tree", found.base, env=index)
        script = "".join(lines).encode("utf-8", "surrogateescape")
        repository.git("update-index", "-z", "--index-info", stdin=script, env=index)
        tree = repository.git("write-tree", env=index).text
    return repository.commit(message(repository, found), tree=tree, parents=[found.base])


def _entries(repository: Repository, revision: str, files: Sequence[str]) -> dict[str, str]:
    """Path from the top to `mode sha` at a revision, of the files that are there."""
    if not files:
        return {}
    paths = [repository.prefix + path for path in files]
    names = repository.git("ls-tree", "-r", "-z", "--full-tree", revision, "--", *paths).names
    split = [entry.split("\t", 1) for entry in names]
    return {path: " ".join(head.split(" ")[::2]) for head, path in split if path in paths}


def _revert(repository: Repository, commit: str, tree: Path) -> list[str]:
    """git revert in the worktree; conflicts that are only line endings are settled. Returns the files in conflict."""
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


def _guard(repository: Repository, found: Range, tip: str, result: str) -> None:
    """A revert removes what the range added and no more, whatever git thinks it should do."""
    removed = set(_whole(repository, "D", tip, result))
    added = set(_whole(repository, "A", found.base, found.revision))
    extra = sorted(removed - added)
    if extra:
        raise Refused(
            f"The revert would delete {len(extra)} files that the range did not add, {extra[0]} among them: "
            "nothing was committed.",
            f"git revert {found.revision[:12]}",
        )


def _whole(repository: Repository, kind: str, old: str, new: str) -> list[str]:
    return repository.git("diff", "--no-renames", "--name-only", f"--diff-filter={kind}", "-z", old, new).names


def _commit(repository: Repository, text: str, tree: str, tip: str) -> tuple[str, str]:
    """The commit, by the user if git knows one, else by Cutover; signed if the user signs and that works."""
    env = author(repository)
    wants = repository.run("config", "--type=bool", "commit.gpgsign").text == "true"
    if wants and not env:
        try:
            return repository.commit(text, tree, [tip], env={}, sign=True), ""
        except CutoverError:
            return repository.commit(text, tree, [tip], env={}), "The revert is not signed: git could not sign it."
    return repository.commit(text, tree, [tip], env=env), ""


def author(repository: Repository) -> Mapping[str, str]:
    """Nothing when git knows who the user is, else Cutover's own name."""
    idents = ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
    known = all(repository.run(*_NOBODY, "var", ident).ok for ident in idents)
    return {} if known else AUTHOR
