"""The git half of a rollback: make the branch agree with what is live again, and push it, or say how.

Whatever happens here, nobody's working copy, index or checked-out branch changes.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from migration.common.failpoint import failpoint
from migration.common.secrets_type import mask
from migration.errors import CutoverError, Refused, ServiceFailed
from migration.git import Repository
from migration.repo import reversal
from migration.repo.giterrors import translate
from migration.repo.reversal import Made, Range

TRIES = 5


@dataclass(frozen=True)
class Reverted:
    """How the git half ended, and in `message` what to do about it.

    `state`: `pushed` to the branch · `review`: pushed to `branch` for a pull request · `local`: committed and left on
    the local `branch` · `already`: the branch has the former files · `nothing`: the range changed none of the files ·
    `conflict`, `impossible`: nothing was committed. `commit` is where the former files are; None when nowhere.
    """

    state: str
    message: str
    commit: str | None = None
    branch: str = ""
    reverts: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def pushed(self) -> bool:
        return self.state == "pushed"

    @property
    def agrees(self) -> bool:
        """Whether the branch now holds the former files."""
        return self.state in ("pushed", "already", "nothing")

    def record(self) -> dict[str, object]:
        """As the ledger keeps it."""
        facts = {"commit": self.commit, "pushed": self.pushed, "branch": self.branch, "reverts": list(self.reverts)}
        return {**facts, "state": self.state}

    def as_json(self) -> dict[str, object]:
        words = {"message": self.message, "conflicts": list(self.conflicts), "commands": list(self.commands)}
        return {**self.record(), **words}


@dataclass(frozen=True)
class Target:
    """Where the revert goes: `remote` None stays local; `push` False commits to a local branch only."""

    remote: str | None
    branch: str
    push: bool = True


def run(repository: Repository, found: Range, target: Target, state: Path) -> Reverted:
    """Revert and push, again on the new tip when somebody else pushed first. Raises nothing but signals."""
    try:
        return _run(repository, found, target, state)
    except CutoverError as error:
        return _manual(repository, found, target, "impossible", error.message)


def _run(repository: Repository, found: Range, target: Target, state: Path) -> Reverted:
    reversal.have(repository, target.remote, [found.base, found.revision])
    if found.whole:
        reversal.have(repository, target.remote, found.commits, parents=True)
    elif not repository.changed(found.base, found.revision, found.files):
        return Reverted("nothing", "Git needs no revert: the range changed none of these functions' files.")
    for _ in range(TRIES):
        tip = _tip(repository, target)
        reversal.have(repository, target.remote, [tip, found.base, found.revision])
        failpoint("revert.make")
        made = reversal.make(repository, found, tip, state)
        failpoint("revert.made")
        if made.conflicts:
            return _conflict(repository, found, target, made)
        if made.commit is None:
            text = f"Git needs no revert: {target.branch} already holds the former files."
            return Reverted("already", text, tip, target.branch, found.commits)
        if target.remote is None or not target.push:
            return _keep(repository, found, target, made, "")
        ended = _push(repository, found, target, made)
        if ended is not None:
            return _noted(ended, made)
    raise ServiceFailed(f"The revert lost {TRIES} races for {target.branch}: others push all the time.", "inv rollback")


def _tip(repository: Repository, target: Target) -> str:
    if target.remote is None:
        found = repository.revision(f"refs/heads/{target.branch}")
        where = f"There is no branch {target.branch} here"
    else:
        found = repository.tracked(target.remote, target.branch)
        where = f"The remote {target.remote} has no branch {target.branch}"
    if found is None:
        raise Refused(f"{where}: set app.branch in config.yaml. Nothing was reverted.", "git branch --all")
    return found


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
        hint = (f"git -C {shlex.quote(str(repository.path))} pull --ff-only {target.remote} {target.branch}",)
        return Reverted("pushed", text, made.commit, target.branch, found.commits, commands=hint)
    if now != made.tip or error is None:
        return None
    if "[remote rejected]" in words:
        return _review(repository, found, target, made)
    return _keep(repository, found, target, made, error.message)


def _send(repository: Repository, remote: str, commit: str, ref: str) -> tuple[CutoverError | None, str]:
    try:
        done = repository.push(remote, f"{commit}:{ref}")
    except CutoverError as error:
        return error, ""
    words = mask(f"{done.text}\n{done.err}")
    return (None if done.ok else translate("push", done.err, repository.path, remote)), words if not done.ok else ""


def _review(repository: Repository, found: Range, target: Target, made: Made) -> Reverted:
    """The branch is protected: the revert goes to a branch of its own, for a pull request."""
    assert target.remote and made.commit
    name = f"cutover/rollback-{found.deployment}"
    _send(repository, target.remote, made.commit, f"refs/heads/{name}")
    if repository.ls_remote(target.remote, f"refs/heads/{name}").get(f"refs/heads/{name}") != made.commit:
        return _keep(repository, found, target, made, f"{target.remote} took the revert on no branch.")
    text = f"{target.branch} is protected: the revert {made.commit[:9]} waits on {name} for a pull request."
    commands = (_request(repository, target, name),)
    return Reverted("review", text, made.commit, name, found.commits, commands=commands)


def _keep(repository: Repository, found: Range, target: Target, made: Made, why: str) -> Reverted:
    """The revert stays on a local branch of its own."""
    assert made.commit
    name = f"cutover/rollback-{found.deployment}"
    repository.move(f"refs/heads/{name}", made.commit)
    text = f"{why} The revert {made.commit[:9]} is on the local branch {name}.".strip()
    commands = (
        (f"git -C {shlex.quote(str(repository.path))} push {target.remote} {made.commit}:refs/heads/{target.branch}",)
        if target.remote
        else (f"git -C {shlex.quote(str(repository.path))} merge --ff-only {name}",)
    )
    return _noted(Reverted("local", text, made.commit, name, found.commits, commands=commands), made)


def _noted(ended: Reverted, made: Made) -> Reverted:
    return replace(ended, message=" ".join([ended.message, *made.notes]))


def _conflict(repository: Repository, found: Range, target: Target, made: Made) -> Reverted:
    names = ", ".join(made.conflicts[:3]) + (" and others" if len(made.conflicts) > 3 else "")
    text = f"Git cannot revert by itself: later commits changed the same lines of {names}. Git is exactly as it was."
    return replace(_manual(repository, found, target, "conflict", text), conflicts=made.conflicts)


def _manual(repository: Repository, found: Range, target: Target, state: str, text: str) -> Reverted:
    """Nothing was committed; the commands that do it by hand."""
    at = f"git -C {shlex.quote(str(repository.path))}"
    start = f"{target.remote}/{target.branch}" if target.remote else target.branch
    commands = [f"{at} switch --create rollback-{found.deployment} {start}"]
    commands += [f"{at} revert {' '.join(found.commits)}"] if found.whole else _by_hand(repository, found, at)
    if target.remote:
        commands.insert(0, f"{at} fetch {target.remote}")
        commands.append(f"{at} push {target.remote} HEAD:{target.branch}")
    return Reverted(state, text, commands=tuple(commands))


def _by_hand(repository: Repository, found: Range, at: str) -> list[str]:
    """The files as they were at base; those that were not there go away."""
    there = set(repository.blobs(found.base, found.files)) if repository.revision(found.base) else set(found.files)
    back, away = ([path for path in found.files if (path in there) is kept] for kept in (True, False))
    commands = [f"{at} checkout {found.base} -- {shlex.join(back)}"] if back else []
    commands += [f"{at} rm --ignore-unmatch -- {shlex.join(away)}"] if away else []
    return [*commands, f"{at} commit --message 'Roll back {', '.join(found.names)}'"]


def _request(repository: Repository, target: Target, branch: str) -> str:
    """How to open the pull request, in the words of the host where it is known."""
    address = repository.run("remote", "get-url", target.remote or "").text
    if "github" in address:
        return f"gh pr create --base {target.branch} --head {branch} --fill"
    if "gitlab" in address:
        return f"glab mr create --target-branch {target.branch} --source-branch {branch} --fill"
    return f"open a pull request from {branch} to {target.branch}"
