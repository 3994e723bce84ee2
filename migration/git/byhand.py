"""What a person types where git cannot revert by itself, and what that would take away."""

from __future__ import annotations

import shlex
from dataclasses import replace

from migration.base.errors import CutoverError
from migration.git.repository import Repository
from migration.git.reversal import Made, Range
from migration.git.reverted import Reverted, Target, at


def conflict(repository: Repository, found: Range, target: Target, made: Made) -> Reverted:
    """Later commits stand in the way."""
    names = ", ".join(made.conflicts[:3]) + (" and others" if len(made.conflicts) > 3 else "")
    text = f"Git cannot revert by itself: later commits changed the same lines of {names}. Git is exactly as it was."
    return replace(manual(repository, found, target, "conflict", text, made.tip), conflicts=made.conflicts)


def manual(
    repository: Repository, found: Range, target: Target, state: str, text: str, tip: str | None = None
) -> Reverted:
    """Nothing was committed; the commands that do it by hand. `tip` is the branch's, where it is known."""
    git = at(repository)
    if not all(map(repository.revision, (found.base, found.revision))):
        return Reverted(state, text, commands=(*_brought(repository, target, git), target.again))
    start = "FETCH_HEAD" if target.remote else target.branch
    commands = [f"{git} fetch {target.remote} {target.branch}"] if target.remote else []
    commands += [f"{git} switch --create rollback-{found.deployment} {start}"]
    commands += [f"{git} revert {' '.join(found.commits)}"] if found.whole else _files(repository, found, git)
    commands += [_landed(found, target, git), target.again]
    lost = "" if found.whole else _lost(repository, found, tip or _known(repository, target))
    return Reverted(state, f"{text}{lost}", commands=tuple(commands))


def _brought(repository: Repository, target: Target, git: str) -> list[str]:
    """How to have the commits here that are missing."""
    if not target.remote:
        return []
    return [f"{git} fetch {'--unshallow ' if repository.shallow() else ''}{target.remote}"]


def _files(repository: Repository, found: Range, git: str) -> list[str]:
    """The files as they were at base; those that were not there go away."""
    there = set(repository.blobs(found.base, found.files))
    back, away = ([path for path in found.files if (path in there) is kept] for kept in (True, False))
    commands = [f"{git} checkout {found.base} -- {shlex.join(back)}"] if back else []
    commands += [f"{git} rm --ignore-unmatch -- {shlex.join(away)}"] if away else []
    return [*commands, f"{git} commit --message 'Roll back {', '.join(found.names)}'"]


def _landed(found: Range, target: Target, git: str) -> str:
    if target.remote:
        return f"{git} push {target.remote} HEAD:{target.branch}"
    return f"{git} switch {target.branch} && {git} merge --ff-only rollback-{found.deployment}"


def _known(repository: Repository, target: Target) -> str:
    """The branch as this clone last saw it; empty where it never did."""
    ref = f"refs/remotes/{target.remote}/{target.branch}" if target.remote else f"refs/heads/{target.branch}"
    return repository.revision(ref) or ""


def _lost(repository: Repository, found: Range, tip: str) -> str:
    """A sentence that names the later commits whose changes to these files the commands take away as well."""
    try:
        later = repository.commits(found.revision, tip, found.files) if tip else []
    except CutoverError:
        later = []
    if not later:
        return ""
    names = ", ".join(commit[:9] for commit in later[:3]) + (" and others" if len(later) > 3 else "")
    return f" The commands below also take away what {names} changed in these files: make those changes again."
