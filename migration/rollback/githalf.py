"""Git after a restore: revert what was taken back, record it, and see that git then says what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import CutoverError
from migration.base.failpoint import failpoint
from migration.deploy import hold
from migration.git import revert
from migration.git.reverted import Reverted
from migration.ledger.deployments import Record
from migration.rollback import first
from migration.rollback.aim import Aim
from migration.rollback.target import Target
from migration.source import scope

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context


class GitHalf:
    """`carrier`: the deployment whose record the revert goes to, `former`: the revert that it has there already.
    `notes` and `seconds` are filled by `run`."""

    def __init__(
        self, context: Context, target: Target, aims: Sequence[Aim], carrier: str, whole: bool, push: bool,
        former: Record | None = None,
    ) -> None:  # fmt: skip
        self.context, self.target, self.aims, self.carrier = context, target, aims, carrier
        self.whole, self.push, self.former = whole, push, former
        self.again = f"inv rollback{context.environment.flag}"
        self.notes: list[str] = []
        self.seconds = 0.0

    def run(self, live: Mapping[str, Function]) -> Reverted:
        """Reverts, pushes and records it; gives the lock back with the record. Raises nothing but signals."""
        interrupts.between("The service is put back; git is not.", inv("rollback", env=self.context.environment.name))
        began = self.context.clock.monotonic()
        self.context.observer.step("git")
        ended = self._revert(live)
        record = {"record": "git", "deployment": self.carrier, "revert": self._kept(ended)}
        failpoint("record.git")
        self.context.ledger.keep(record, release=self.context.ledger.fence is not None)
        failpoint("record.git.after")
        self.seconds = self.context.clock.monotonic() - began
        self.context.observer.done("git", detail=ended.message, seconds=self.seconds)
        return ended

    def differing(self, reverted: Reverted | None) -> list[str]:
        """At the revert, `plan` must say same for every function that was put back; what does not, in words."""
        if reverted is None or reverted.commit is None or not self.aims:
            return []
        restored = {one.slug: one.source for one in self.aims}
        slugs = scope.differing(self.context, reverted.commit, restored)
        return [f"{slug} in git at {reverted.commit[:9]} is not what is live again: inv plan --diff" for slug in slugs]

    def forward(self, reverted: Reverted | None) -> list[str]:
        """How the change goes live again one day."""
        if reverted is None or not reverted.revert:
            return []
        return [f"to roll forward: {hold.roll_forward(self.context, reverted.revert)}"]

    def _kept(self, ended: Reverted) -> Record:
        """What to record: an earlier revert that waits somewhere is not forgotten because this run made none."""
        if self.former and self.former.get("commit") and ended.commit is None and not ended.agrees:
            return self.former
        return ended.record()

    def _revert(self, live: Mapping[str, Function]) -> Reverted:
        target, context = self.target, self.context
        if context.ledger.offline:
            return self._later()
        where = revert.Target(scope.remote(context), context.config.app.branch, self.push, self.again)
        try:
            base = target.base if first.recorded(target) else first.base(context, target, where)
            if isinstance(base, Reverted):
                return base
            found = scope.of(context, base, target.revision, target.slugs, live, self.carrier, self.whole)
        except CutoverError as error:
            return Reverted("impossible", error.message, commands=(self.again,))
        self.notes += [f"{path} stays: {slug} is live with its new text." for path, slug in found.kept.items()]
        return revert.run(context.repository, found.found, where, context.state)

    def _later(self) -> Reverted:
        """The remote was not heard: whoever comes when it answers pushes the records that wait, then does this half."""
        waiting = f" The records wait in {self.context.ledger.emergency.folder}." * self.context.ledger.shared
        text = f"Git stays as it is until its remote answers.{waiting}"
        return Reverted("impossible", text, commands=(self.again,))
