"""Getting a revert onto the branch: pushed, waiting for review, or kept on a local branch with what to type.

Whatever happens here, the user's working copy, index and checked-out branch do not change.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from migration.base.command import Chain, Command, Do, Shell, Step, inv
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.failpoint import failpoint
from migration.base.numbers import few
from migration.base.secrets_type import mask
from migration.git import revert
from migration.git.giterrors import translate
from migration.git.repository import Repository
from migration.git.revert import TRAILER, Gone, RevertCommit, RevertRange

TRIES = 5
AGREES = ("pushed", "already", "nothing")  # states in which the branch holds the former files
AGAIN = inv("rollback")


class NoBranch(Refused):
    """The branch that the config names does not exist."""


@dataclass(frozen=True)
class RevertBranch:
    """Where the revert goes: `remote` None stays local; `push` False commits to a local branch only. `again` is the
    command that closes the record once people have done the rest by hand."""

    remote: str | None
    branch: str
    push: bool = True
    again: Command = AGAIN

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


@dataclass(frozen=True)
class RevertResult:
    """How the git half ended, in `message`, and what to type next, in `steps`.

    `state`: `pushed` to the branch · `review`: pushed to `branch` for a pull request · `local`: committed and kept on
    the local `branch` · `already`: the branch has the former files · `nothing`: the range changed none of the files ·
    `conflict`, `impossible`: nothing was committed · `lost`: nothing was, and nothing can be as long as `lacks` is
    missing: a commit that is no longer in git, or `app.base`, where no record knows what was live before. `commit` is
    where the former files are; None when nowhere. `revert` is the commit to revert in order to roll forward, empty when
    it is not known.
    """

    state: str
    message: str
    commit: str | None = None
    branch: str = ""
    reverts: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    revert: str = ""
    lacks: str = ""

    @property
    def pushed(self) -> bool:
        return self.state == "pushed"

    @property
    def agrees(self) -> bool:
        """Whether the branch now holds the former files."""
        return self.state in AGREES

    def record(self) -> dict[str, object]:
        """As the ledger keeps it."""
        facts = {"commit": self.commit, "pushed": self.pushed, "branch": self.branch, "reverts": list(self.reverts)}
        lacks = {"lacks": self.lacks} if self.lacks else {}
        return {**facts, "state": self.state, "revert": self.revert, **lacks}

    def as_json(self) -> dict[str, object]:
        words = {"message": self.message, "conflicts": list(self.conflicts), "commands": list(self.steps)}
        return {**self.record(), **words}


def tip(repository: Repository, branch: RevertBranch) -> str:
    """The commit that the branch is at now, brought here. Refused when there is no such branch."""
    if branch.remote is None:
        revision = repository.revision(branch.ref)
        text = f"There is no local branch {branch.branch}. Nothing was reverted."
    else:
        revision = repository.tracked(branch.remote, branch.branch)
        text = f"The remote {branch.remote} has no branch {branch.branch}. Nothing was reverted."
    if revision is None:
        look = repository.typed("ls-remote", "--heads", branch.remote) if branch.remote else None
        fix = Do("set app.branch in config.yaml to the branch that is deployed")
        raise NoBranch(text, look or repository.typed("branch", "--all"), fix)
    return revision


@dataclass(frozen=True)
class Publication:
    """One revert on its way to its branch."""

    repository: Repository
    wanted: RevertRange
    branch: RevertBranch

    def run(self, state: Path) -> RevertResult:
        """Revert and push, again on the new tip when the branch moved meanwhile. Raises nothing but Gone and signals.

        `state` is the folder for the temporary worktree.
        """
        try:
            if not self._changed_anything():
                return RevertResult("nothing", "Git needs no revert: the range changed none of these functions' files.")
            for _ in range(TRIES):
                start = tip(self.repository, self.branch)
                revert.bring(self.repository, self.branch.remote, [start, self.wanted.base, self.wanted.revision])
                failpoint("revert.make")
                commit = revert.make(self.repository, self.wanted, start, state)
                failpoint("revert.made")
                if ended := self._ended(commit):
                    return ended
        except Gone:
            raise
        except NoBranch as error:
            return RevertResult("impossible", error.message, steps=(*error.steps, self.branch.again))
        except CutoverError as error:
            return self.by_hand("impossible", error.message)
        text = f"Could not push the revert: {self.branch.branch} moved during each of {TRIES} attempts."
        return self.by_hand("impossible", text)

    def _changed_anything(self) -> bool:
        repository, wanted = self.repository, self.wanted
        revert.bring(repository, self.branch.remote, [wanted.base, wanted.revision])
        if wanted.whole:
            revert.bring(repository, self.branch.remote, wanted.commits, parents=True)
            return True
        return bool(repository.changed(wanted.base, wanted.revision, wanted.files))

    def _ended(self, reverted: RevertCommit) -> RevertResult | None:
        """None when the branch has moved meanwhile."""
        if reverted.conflicts:
            return self._conflict(reverted)
        if reverted.commit is None:
            return self._already(reverted.tip)
        if self.branch.remote is None or not self.branch.push:
            return self._kept(reverted, "")
        ended = self._pushed(reverted, self.branch.remote)
        return _noted(ended, reverted) if ended is not None else None

    def _already(self, start: str) -> RevertResult:
        """The branch has the former files, by a commit that can be found or otherwise."""
        wanted = self.wanted
        text = f"Git needs no revert: {self.branch.branch} already holds the previous files."
        files = () if wanted.whole else wanted.files
        commit = revert.find_revert(self.repository, wanted.base, wanted.revision, start, files)
        pull = [self.repository.typed("pull", "--ff-only", self.branch.remote, self.branch.branch)
                ] if self.branch.remote and not self.repository.is_ancestor(start, "HEAD") else []  # fmt: skip
        return RevertResult(
            "already", text, commit or start, self.branch.branch, wanted.commits, steps=tuple(pull), revert=commit
        )

    # Pushing

    def _pushed(self, reverted: RevertCommit, remote: str) -> RevertResult | None:
        """Push to the branch, or for review where that is protected; None when the branch moved first."""
        assert reverted.commit
        branch = self.branch.branch
        failpoint("revert.push")
        error, words = self._send(remote, reverted.commit, self.branch.ref)
        failpoint("revert.pushed")
        try:
            now = self.repository.tracked(remote, branch)
        except ServiceFailed as unread:
            return self._kept(reverted, f"Whether the push arrived is unknown. {unread.message}")
        if now and (now == reverted.commit or self.repository.is_ancestor(reverted.commit, now)):
            text = f"Reverted by {reverted.commit[:9]}, pushed to {branch}."
            pull = self.repository.typed("pull", "--ff-only", remote, branch)
            commits = self.wanted.commits
            return RevertResult("pushed", text, reverted.commit, branch, commits, steps=(pull,), revert=reverted.commit)
        if now != reverted.tip or error is None:
            return None
        if "[remote rejected]" in words:
            return self._for_review(reverted, remote)
        return self._kept(reverted, error.message)

    def _send(self, remote: str, commit: str, ref: str, options: Sequence[str] = ()) -> tuple[CutoverError | None, str]:
        """The error of a push, if it had one, and git's words."""
        try:
            done = self.repository.push(remote, f"{commit}:{ref}", options=options)
        except CutoverError as error:
            return error, ""
        if done.ok:
            return None, ""
        return translate("push", done.err, self.repository.path, remote), mask(f"{done.text}\n{done.err}")

    def _kept(self, reverted: RevertCommit, why: str, onto: str = "") -> RevertResult:
        """The revert stays on a local branch of its own; `onto` is where to push it, if not to the branch itself."""
        assert reverted.commit
        name, remote = review_branch(self.wanted), self.branch.remote
        self.repository.move(f"refs/heads/{name}", reverted.commit)
        text = f"{why} The revert {reverted.commit[:9]} is on the local branch {name}.".strip()
        if remote:
            finish = self.repository.typed("push", remote, f"{reverted.commit}:refs/heads/{onto or self.branch.branch}")
        else:
            finish = self.repository.typed("merge", "--ff-only", name)
        merged = (Do("when it is merged:"),) if onto else ()
        steps = (finish, *merged, self.branch.again)
        commits = self.wanted.commits
        return _noted(
            RevertResult("local", text, reverted.commit, name, commits, steps=steps, revert=reverted.commit), reverted
        )

    # A protected branch: the revert waits on a branch of its own until people have merged it.

    def _for_review(self, reverted: RevertCommit, remote: str) -> RevertResult:
        """The revert goes to a branch of its own, unless one of an earlier rollback is still good there."""
        assert reverted.commit
        name = review_branch(self.wanted)
        ref = f"refs/heads/{name}"
        present, fate = self._waiting(reverted, remote)
        if present and fate == "stays":
            return self.in_review(present)
        if fate == "replaced":
            lease = f"--force-with-lease={ref}:{present or ''}"
            error, _ = self._send(remote, reverted.commit, ref, [lease])
            if self.repository.ls_remote(remote, ref).get(ref) == reverted.commit:
                return self.in_review(reverted.commit)
            why, onto = error.message if error else f"{name} moved meanwhile.", name
        else:
            why, onto = f"{name} exists there and was not made by Cutover.", f"{name}-again"
        text = f"{self.branch.branch} is protected, and the revert could not go to {remote} for review: {why}"
        return self._kept(reverted, text, onto)

    def _waiting(self, reverted: RevertCommit, remote: str) -> tuple[str | None, str]:
        """What the review branch holds now, and whether it `stays`, may be `replaced` or is `foreign`.

        It stays where merging it gives what the new revert gives, and where people have worked on it. Replaced is a
        revert of ours on a tip that has moved since.
        """
        assert reverted.commit
        repository = self.repository
        present = repository.tracked(remote, review_branch(self.wanted))
        if present is None:
            return None, "replaced"
        merged = repository.run("merge-tree", "--write-tree", reverted.tip, present)
        if merged.ok and merged.text == repository.tree(reverted.commit):
            return present, "stays"
        ours = [self._ours(commit) for commit in repository.commits(reverted.tip, present)]
        return present, "replaced" if all(ours) else "stays" if any(ours) else "foreign"

    def _ours(self, commit: str) -> bool:
        """Whether this rollback made the commit."""
        body = self.repository.git("log", "-1", "--format=%B", commit).text
        return f"{TRAILER}: {self.wanted.deployment}" in body.splitlines()

    def in_review(self, commit: str) -> RevertResult:
        """The revert waits; once it is merged, the record has still to be closed."""
        name = review_branch(self.wanted)
        text = f"{self.branch.branch} is protected: the revert {commit[:9]} waits on {name} for a pull request."
        steps = (self._request(commit), Do("when it is merged:"), self.branch.again)
        return RevertResult("review", text, commit, name, self.wanted.commits, steps=steps, revert=commit)

    def _request(self, commit: str) -> Step:
        """How to open the pull request, with the host's own tool where it is known."""
        repository, base, branch = self.repository, self.branch.branch, review_branch(self.wanted)
        address = repository.run("remote", "get-url", self.branch.remote or "").text
        title, body = repository.subject(commit), f"{TRAILER}: {self.wanted.deployment}"
        if "github" in address:  # `--fill` would need a local branch
            words = ["gh", "pr", "create", "--base", base, "--head", branch, "--title", title, "--body", body]
        elif "gitlab" in address:
            words = ["glab", "mr", "create", "--target-branch", base, "--source-branch", branch, "--title", title,
                     "--description", body, "--yes"]  # fmt: skip
        else:
            return Do(f"open a pull request from {branch} to {base}")
        return Shell(f"(cd {shlex.quote(str(repository.path))} && {shlex.join(words)})")

    # By hand, where git cannot revert by itself

    def _conflict(self, reverted: RevertCommit) -> RevertResult:
        """Later commits changed the same lines."""
        names = few(reverted.conflicts)
        text = f"Could not revert: later commits changed the same lines of {names}. Git is exactly as it was."
        return replace(self.by_hand("conflict", text, reverted.tip), conflicts=reverted.conflicts)

    def by_hand(self, state: str, text: str, tip: str | None = None) -> RevertResult:
        """Nothing was committed; the commands that do it by hand. `tip` is the branch's tip, where it is known."""
        repository, wanted, branch = self.repository, self.wanted, self.branch
        if not all(map(repository.revision, (wanted.base, wanted.revision))):
            known = [step for step in revert.how_to_fetch(repository) if not isinstance(step, Do)]
            return RevertResult(state, text, steps=(*known, branch.again))
        fetch = (repository.typed("fetch", branch.remote, branch.branch),) if branch.remote else ()
        switch = repository.typed(
            "switch",
            "--force-create",
            f"rollback-{wanted.deployment}",
            "FETCH_HEAD" if branch.remote else branch.branch,
        )
        reverts = [repository.typed("revert", *wanted.commits)] if wanted.whole else self._checkouts()
        lost = "" if wanted.whole else self._lost(tip or self._last_known())
        steps = (*fetch, switch, *reverts, self._publish_by_hand(), branch.again)
        return RevertResult(state, f"{text}{lost}", steps=steps)

    def _checkouts(self) -> list[Shell]:
        """The files as they were at base; those that did not exist there go away."""
        repository, wanted = self.repository, self.wanted
        existed = set(repository.blobs(wanted.base, wanted.files))
        back, away = ([path for path in wanted.files if (path in existed) is kept] for kept in (True, False))
        steps = [repository.typed("checkout", wanted.base, "--", *back)] if back else []
        steps += [repository.typed("rm", "--ignore-unmatch", "--", *away)] if away else []
        return [*steps, repository.typed("commit", "--message", f"Roll back {', '.join(wanted.names)}")]

    def _publish_by_hand(self) -> Shell | Chain:
        repository, branch = self.repository, self.branch
        if branch.remote:
            return repository.typed("push", branch.remote, f"HEAD:{branch.branch}")
        merge = repository.typed("merge", "--ff-only", f"rollback-{self.wanted.deployment}")
        return Chain((repository.typed("switch", branch.branch), merge))

    def _last_known(self) -> str:
        """The branch as this clone last saw it; empty where it never did."""
        remote, branch = self.branch.remote, self.branch.branch
        return self.repository.revision(f"refs/remotes/{remote}/{branch}" if remote else self.branch.ref) or ""

    def _lost(self, start: str) -> str:
        """A sentence that names the later commits whose changes to these files the commands take away as well."""
        try:
            later = self.repository.commits(self.wanted.revision, start, self.wanted.files) if start else []
        except CutoverError:
            later = []
        if not later:
            return ""
        names = few([commit[:9] for commit in later])
        return f" The commands below also take away what {names} changed in these files: make those changes again."


def review_branch(wanted: RevertRange) -> str:
    """The branch that a rollback's revert waits on."""
    return f"cutover/rollback-{wanted.deployment}"


def _noted(ended: RevertResult, reverted: RevertCommit) -> RevertResult:
    return replace(ended, message=" ".join([ended.message, *reverted.notes]))
