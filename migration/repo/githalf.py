"""Git after a restore: revert what was taken back, record it, and see that git then says what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migration.common import interrupts
from migration.common.failpoint import failpoint
from migration.errors import CutoverError
from migration.repo import revert, scope
from migration.repo.revert import Reverted
from migration.undoing.aim import Aim
from migration.undoing.target import Target

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context

UNKNOWN = "Git stays as it is: nobody knows which revision was live before (set app.base in config.yaml)."


class GitHalf:
    """`carrier`: the deployment whose record the revert goes to. `notes` and `seconds` are filled by `run`."""

    def __init__(
        self, context: Context, target: Target, aims: Sequence[Aim], carrier: str, whole: bool, push: bool
    ) -> None:
        self.context, self.target, self.aims, self.carrier = context, target, aims, carrier
        self.whole, self.push = whole, push
        self.notes: list[str] = []
        self.seconds = 0.0

    def run(self, live: Mapping[str, Function]) -> Reverted:
        """Reverts, pushes and records it; gives the lock back with the record. Raises nothing but signals."""
        interrupts.between(f"The service is put back; git is not. Type: inv rollback{self.context.environment.flag}")
        began = self.context.clock.monotonic()
        self.context.observer.step("git")
        ended = self._revert(live) if self.target.base and self.target.revision else Reverted("impossible", UNKNOWN)
        record = {"record": "git", "deployment": self.carrier, "revert": ended.record()}
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
        if reverted is None or reverted.commit is None or reverted.state not in ("pushed", "review", "local"):
            return []
        lift = f"inv deploy{self.context.environment.flag} --lift-hold 'why it is good now'"
        push = "git push, " if scope.remote(self.context) else ""
        return [f"to roll forward: git revert {reverted.commit[:12]}, {push}{lift}"]

    def _revert(self, live: Mapping[str, Function]) -> Reverted:
        target, context = self.target, self.context
        if context.ledger.offline:
            return self._later()
        try:
            found = scope.of(context, target.base, target.revision, target.slugs, live, self.carrier, self.whole)
        except CutoverError as error:
            return Reverted("impossible", error.message)
        self.notes += [f"{path} stays: {slug} is live with its new text." for path, slug in found.kept.items()]
        where = revert.Target(scope.remote(context), context.config.app.branch, self.push)
        return revert.run(context.repository, found.found, where, context.state)

    def _later(self) -> Reverted:
        """The remote was not heard: whoever comes when it answers pushes the records that wait, then does this half."""
        waiting = f" The records wait in {self.context.ledger.emergency.folder}." * self.context.ledger.shared
        text = f"Git stays as it is until its remote answers.{waiting}"
        return Reverted("impossible", text, commands=(f"inv rollback{self.context.environment.flag}",))
