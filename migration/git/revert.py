"""The git half of a rollback: make the branch agree with what is live again, and push it, or say how.

Whatever happens here, nobody's working copy, index or checked-out branch changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.failpoint import failpoint
from migration.base.secrets_type import mask
from migration.git import byhand, reversal, review, trace
from migration.git.giterrors import translate
from migration.git.repository import Repository
from migration.git.reversal import Made, Range
from migration.git.reverted import Reverted, Target, at

__all__ = ["Reverted", "Target", "run", "tip"]
TRIES = 5


class NoBranch(Refused):
    """There is no branch to revert on: the config names another one."""


def run(repository: Repository, found: Range, target: Target, state: Path) -> Reverted:
    """Revert and push, again on the new tip when somebody else pushed first. Raises nothing but signals."""
    try:
        return _run(repository, found, target, state)
    except NoBranch as error:
        return Reverted("impossible", error.message, commands=(f"{at(repository)} branch --all", target.again))
    except CutoverError as error:
        return byhand.manual(repository, found, target, "impossible", error.message)


def _run(repository: Repository, found: Range, target: Target, state: Path) -> Reverted:
    reversal.have(repository, target.remote, [found.base, found.revision])
    if found.whole:
        reversal.have(repository, target.remote, found.commits, parents=True)
    elif not repository.changed(found.base, found.revision, found.files):
        return Reverted("nothing", "Git needs no revert: the range changed none of these functions' files.")
    for _ in range(TRIES):
        start = tip(repository, target)
        reversal.have(repository, target.remote, [start, found.base, found.revision])
        failpoint("revert.make")
        made = reversal.make(repository, found, start, state)
        failpoint("revert.made")
        if made.conflicts:
            return byhand.conflict(repository, found, target, made)
        if made.commit is None:
            return _already(repository, found, target, start)
        if target.remote is None or not target.push:
            return _keep(repository, found, target, made, "")
        ended = _push(repository, found, target, made)
        if ended is not None:
            return _noted(ended, made)
    raise ServiceFailed(f"The revert lost {TRIES} races for {target.branch}: others push all the time.", target.again)


def tip(repository: Repository, target: Target) -> str:
    """The commit that the branch is at now, brought here. Refused when there is no such branch."""
    if target.remote is None:
        found = repository.revision(f"refs/heads/{target.branch}")
        where = f"There is no branch {target.branch} here"
    else:
        found = repository.tracked(target.remote, target.branch)
        where = f"The remote {target.remote} has no branch {target.branch}"
    if found is None:
        raise NoBranch(f"{where}: set app.branch in config.yaml. Nothing was reverted.", "git branch --all")
    return found


def _already(repository: Repository, found: Range, target: Target, start: str) -> Reverted:
    """The branch has the former files, from the commit on that can be found, or somehow."""
    text = f"Git needs no revert: {target.branch} already holds the former files."
    commit = trace.revert(repository, found.base, found.revision, start, () if found.whole else found.files)
    return Reverted("already", text, commit or start, target.branch, found.commits, revert=commit)


def _push(repository: Repository, found: Range, target: Target, made: Made) -> Reverted | None:
    """Push to the branch, or for review where that is protected; None when somebody else was first."""
    assert target.remote and made.commit
    failpoint("revert.push")
    error, words = _send(repository, target.remote, made.commit, f"refs/heads/{target.branch}")
    failpoint("revert.pushed")
    try:
        now = repository.tracked(target.remote, target.branch)
    except ServiceFailed:
        return _keep(repository, found, target, made, "Nobody knows whether the push arrived.")
    if now and (now == made.commit or repository.is_ancestor(made.commit, now)):
        text = f"Reverted by {made.commit[:9]}, pushed to {target.branch}."
        hint = (f"{at(repository)} pull --ff-only {target.remote} {target.branch}",)
        return Reverted("pushed", text, made.commit, target.branch, found.commits, commands=hint, revert=made.commit)
    if now != made.tip or error is None:
        return None
    if "[remote rejected]" in words:
        return _review(repository, found, target, made)
    return _keep(repository, found, target, made, error.message)


def _send(
    repository: Repository, remote: str, commit: str, ref: str, options: Sequence[str] = ()
) -> tuple[CutoverError | None, str]:
    try:
        done = repository.push(remote, f"{commit}:{ref}", options=options)
    except CutoverError as error:
        return error, ""
    words = mask(f"{done.text}\n{done.err}")
    return (None if done.ok else translate("push", done.err, repository.path, remote)), words if not done.ok else ""


def _review(repository: Repository, found: Range, target: Target, made: Made) -> Reverted:
    """The branch is protected: the revert goes to a branch of its own, or waits there since an earlier rollback."""
    assert target.remote and made.commit
    name = review.name(found)
    ref = f"refs/heads/{name}"
    there, fate = review.waiting(repository, found, target, made)
    if there and fate == "stays":
        return review.ended(repository, found, target, there)
    if fate == "replaced":
        lease = f"--force-with-lease={ref}:{there or ''}"
        error, _ = _send(repository, target.remote, made.commit, ref, [lease])
        if repository.ls_remote(target.remote, ref).get(ref) == made.commit:
            return review.ended(repository, found, target, made.commit)
        why, onto = error.message if error else f"{name} moved meanwhile.", name
    else:
        why, onto = f"its {name} is somebody else's.", f"{name}-again"
    told = f"{target.branch} is protected, and {target.remote} took the revert on no branch for review: {why}"
    return _keep(repository, found, target, made, told, onto)


def _keep(repository: Repository, found: Range, target: Target, made: Made, why: str, onto: str = "") -> Reverted:
    """The revert stays on a local branch of its own; `onto` is where to push it, if not to the branch itself."""
    assert made.commit
    name = review.name(found)
    repository.move(f"refs/heads/{name}", made.commit)
    text = f"{why} The revert {made.commit[:9]} is on the local branch {name}.".strip()
    way = f"push {target.remote} {made.commit}:refs/heads/{onto or target.branch}"
    again = f"when it is merged, type: {target.again}" if onto else target.again
    commands = (f"{at(repository)} {way if target.remote else f'merge --ff-only {name}'}", again)
    kept = Reverted("local", text, made.commit, name, found.commits, commands=commands, revert=made.commit)
    return _noted(kept, made)


def _noted(ended: Reverted, made: Made) -> Reverted:
    return replace(ended, message=" ".join([ended.message, *made.notes]))
