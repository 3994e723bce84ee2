"""Git after a restore: revert what was taken back, record it, and see that git then holds what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migration.base import interrupts
from migration.base.command import Do, Step, inv
from migration.base.errors import CutoverError
from migration.base.failpoint import failpoint
from migration.clients.supabase_types import Function
from migration.deploy import drift, forward
from migration.git import publish
from migration.git.publish import AGAIN, Publication, RevertBranch, RevertResult
from migration.git.revert import Gone, bring
from migration.ledger.deployments import Record
from migration.rollback.plan import RollbackOptions, RollbackPlan
from migration.source import reader, scope, snapshots
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context


class GitHalf:
    """The git half of one rollback. `carrier`: the deployment whose record the revert goes to, `former`: the revert
    that it has there already. `notes` and `seconds` are filled by `run`."""

    def __init__(self, context: Context, plan: RollbackPlan, options: RollbackOptions, carrier: str,
                 former: Record | None = None) -> None:  # fmt: skip
        self.context, self.plan, self.options, self.carrier, self.former = context, plan, options, carrier, former
        self.notes: list[str] = []
        self.seconds = 0.0

    def run(self) -> RevertResult:
        """Reverts, pushes and records it; gives the lock back with the record. Raises nothing but signals."""
        interrupts.between("The service is restored; git does not agree yet.", AGAIN)
        began = self.context.clock.monotonic()
        self.context.observer.step("git")
        ended = self._revert()
        record = {"record": "git", "deployment": self.carrier, "revert": self._record(ended)}
        failpoint("record.git")
        self.context.ledger.keep(record, release=self.context.ledger.fence is not None)
        failpoint("record.git.after")
        self.seconds = self.context.clock.monotonic() - began
        self.context.observer.done("git", detail=ended.message, seconds=self.seconds)
        return ended

    def differing(self, ended: RevertResult | None) -> list[str]:
        """The functions for which `plan` would not say same at the revert."""
        if ended is None or ended.commit is None or not self.plan.functions:
            return []
        return scope.differing(self.context, ended.commit, {one.slug: one.source for one in self.plan.functions})

    def outside(self, differing: Sequence[str]) -> list[str]:
        """What is live again that no revert brings to git, in words: it was deployed outside Cutover."""
        strangers = {slug: version for slug, version in self.plan.strangers.items() if slug in differing}
        if not strangers:
            return []
        text = f"The code of {drift.named(strangers)} was deployed outside Cutover"
        return [f"{text}, and {self.context.config.app.branch} does not hold it: it stays live until the next deploy."]

    def forward(self, ended: RevertResult | None) -> tuple[Step, ...]:
        """How the change goes live again one day."""
        if ended is None or not ended.revert:
            return ()
        if not ended.agrees:  # the branch still holds the change: there is nothing to revert on it
            return forward.without_revert(self.context, ended.state == "review")
        return forward.roll_forward(self.context, ended.revert)

    def _record(self, ended: RevertResult) -> Record:
        """What to record: an earlier revert that waits somewhere is not forgotten because this run made none."""
        if self.former and self.former.get("commit") and ended.commit is None and not ended.agrees:
            return self.former
        return ended.record()

    def _revert(self) -> RevertResult:
        plan, context = self.plan, self.context
        if context.ledger.offline:
            return self._offline()
        branch = RevertBranch(scope.remote(context), context.config.app.branch, self.options.push, AGAIN)
        try:
            base = plan.target.base if _recorded(plan) else self._base(branch)
            if isinstance(base, RevertResult):
                return base
            whole = self.options.whole(context.config.rollback.scope)
            slugs = scope.with_renamed(context, base, plan.revision, plan.target.slugs, plan.history, plan.live)
            wanted = scope.of(context, base, plan.revision, slugs, plan.live, self.carrier, whole)
            self.notes += [f"{path} stays: {slug} is live with its new text." for path, slug in wanted.shared.items()]
            return Publication(context.repository, wanted.range, branch).run(context.state)
        except Gone as error:
            return self._lost(branch, error)
        except CutoverError as error:
            return RevertResult("impossible", error.message, steps=(*error.steps, AGAIN))

    def _lost(self, branch: RevertBranch, gone: Gone) -> RevertResult:
        """git can never revert a commit that it no longer has. Where the branch does not hold what is live again, that
        is named once, and left to people."""
        context, slugs = self.context, self.plan.target.slugs
        try:
            tip = publish.tip(context.repository, branch)
            wrong = _wrong(context, tip, slugs, {one.slug: one for one in context.supabase.functions()})
        except CutoverError as error:
            return RevertResult("impossible", f"{gone.message} {error.message}", steps=(*error.steps, AGAIN))
        if not wrong:
            text = f"Git needs no revert: {branch.branch} already holds what is live again. {gone.message}"
            return RevertResult("already", text, tip, branch.branch)
        names = ", ".join(wrong)
        text = f"Git is not reverted, and cannot be. {gone.message} {branch.branch} differs from what is live again: "
        steps = (Do(f"to make git agree, commit the live code of {names}; it differs so:"), inv("plan", diff=True))
        return RevertResult("lost", f"{text}{names}.", steps=steps, lacks=str(gone.data["commit"]))

    def _offline(self) -> RevertResult:
        """The remote did not answer: the next rollback pushes the queued records, then does this half."""
        ledger = self.context.ledger
        queued = f" The records are queued in {ledger.emergency.folder}." * ledger.shared
        return RevertResult("impossible", f"Git is unchanged until its remote answers.{queued}", steps=(AGAIN,))

    # After a first deployment no record knows which revision was live before it.

    def _base(self, branch: RevertBranch) -> str | RevertResult:
        """The revision to go back to: app.base, if that holds what is live again; else how the git half ends."""
        context, slugs = self.context, self.plan.target.slugs
        live = {one.slug: one for one in context.supabase.functions()}
        named = context.config.app.base or self.plan.target.base
        base, why = _configured(context, named, branch)
        if base and not (wrong := _wrong(context, base, slugs, live)):
            return base
        tip = publish.tip(context.repository, branch)
        if not _wrong(context, tip, slugs, live):
            text = f"Git needs no revert: {branch.branch} already holds what is live again."
            return RevertResult("already", text, tip, branch.branch)
        if base:
            why = f"app.base in config.yaml ({named}) does not hold what is live again of {', '.join(wrong)}"
        look = context.repository.typed("log", "--oneline", tip[:12], "--", "supabase/functions")
        fix = Do("set app.base in config.yaml to the revision that was live before")
        steps: tuple[Step, ...] = (look, fix, AGAIN)
        if base:
            commit = Do(f"if no commit holds it, commit what this prints to {branch.branch}, and push:")
            steps = (*steps, commit, *(inv("history", source=slug) for slug in wrong), AGAIN)
        state, lacks = ("impossible", "") if named else ("lost", "app.base")
        return RevertResult(state, f"Git is unchanged: {why}.", steps=steps, lacks=lacks)


def _recorded(plan: RollbackPlan) -> bool:
    """Whether the ledger knows the base, so that it does not come from config.yaml."""
    return plan.target.to is not None or any(one.base_revision for one in plan.target.origins.values())


def _configured(context: Context, named: str, branch: RevertBranch) -> tuple[str, str]:
    """The commit that app.base names, and why there is none."""
    if not named:
        return "", "the revision that was live before is unknown (app.base in config.yaml is not set)"
    try:
        bring(context.repository, branch.remote, [named])
    except CutoverError:
        return "", f"app.base in config.yaml ({named}) is not a commit of {context.app}"
    return str(context.repository.revision(named)), ""


def _wrong(context: Context, revision: str, slugs: Sequence[str], live: Mapping[str, Function]) -> list[str]:
    """The functions for which git at this revision is not, file for file, what is live."""
    sources = reader.reader(context).at(revision, slugs)
    return [slug for slug in slugs if not _same(context, sources.get(slug), live.get(slug))]


def _same(context: Context, ours: Source | None, live: Function | None) -> bool:
    if ours is None or live is None:
        return ours is None and live is None
    return snapshots.same_files(ours, snapshots.from_body(snapshots.download(context, live), live))
