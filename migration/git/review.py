"""A protected branch: the revert waits on a branch of its own until people have merged it."""

from __future__ import annotations

import shlex

from migration.git.repository import Repository
from migration.git.reversal import TRAILER, Made, Range
from migration.git.reverted import Reverted, Target


def name(found: Range) -> str:
    """The branch that a rollback's revert waits on."""
    return f"cutover/rollback-{found.deployment}"


def waiting(repository: Repository, found: Range, target: Target, made: Made) -> tuple[str | None, str]:
    """What the remote's branch for review holds now, and whether it `stays`, may be `replaced` or is `foreign`.

    It stays where merging it gives what the new revert gives, and where people have worked on it. Replaced is a revert
    of ours on a tip that has moved since.
    """
    assert target.remote and made.commit
    there = repository.tracked(target.remote, name(found))
    if there is None:
        return None, "replaced"
    merged = repository.run("merge-tree", "--write-tree", made.tip, there)
    if merged.ok and merged.text == repository.tree(made.commit):
        return there, "stays"
    ours = [_ours(repository, commit, found) for commit in repository.commits(made.tip, there)]
    return there, "replaced" if all(ours) else "stays" if any(ours) else "foreign"


def ended(repository: Repository, found: Range, target: Target, commit: str) -> Reverted:
    """The revert waits; once it is merged, the record has still to be closed."""
    text = f"{target.branch} is protected: the revert {commit[:9]} waits on {name(found)} for a pull request."
    commands = (_request(repository, found, target, commit), f"when it is merged, type: {target.again}")
    return Reverted("review", text, commit, name(found), found.commits, commands=commands, revert=commit)


def _ours(repository: Repository, commit: str, found: Range) -> bool:
    return f"{TRAILER}: {found.deployment}" in repository.git("log", "-1", "--format=%B", commit).text.splitlines()


def _request(repository: Repository, found: Range, target: Target, commit: str) -> str:
    """How to open the pull request, in the words of the host where it is known. `--fill` would want a local branch."""
    address = repository.run("remote", "get-url", target.remote or "").text
    title, text = (shlex.quote(words) for words in (repository.subject(commit), f"{TRAILER}: {found.deployment}"))
    app, branch = shlex.quote(str(repository.path)), name(found)
    if "github" in address:
        return f"(cd {app} && gh pr create --base {target.branch} --head {branch} --title {title} --body {text})"
    if "gitlab" in address:
        words = f"--target-branch {target.branch} --source-branch {branch} --title {title} --description {text} --yes"
        return f"(cd {app} && glab mr create {words})"
    return f"open a pull request from {branch} to {target.branch}"
