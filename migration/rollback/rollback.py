"""Rollback: show what will be live and what stays undone, ask, lock, restore what was live, then make git agree."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import Step, inv
from migration.base.errors import CutoverError, Refused, ServiceFailed, Unreachable
from migration.base.numbers import few
from migration.deploy import forward, records
from migration.deploy.forward import LOCKLESS
from migration.deploy.records import LocklessRecording, Recording
from migration.deploy.recovery import close_abandoned
from migration.deploy.release import TimedStep
from migration.git.giterrors import SHUT
from migration.git.publish import RevertResult
from migration.rollback import plan as plans
from migration.rollback.git_half import GitHalf
from migration.rollback.plan import RollbackOptions, RollbackPlan
from migration.rollback.proof import Restored, RollbackProof, prove
from migration.rollback.restore import Restore, RestoreFailure
from migration.rollback.result import RollbackResult, RollbackSummary

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.lock import LockHold

__all__ = ["RollbackOptions", "RollbackPlan", "RollbackResult", "run"]
BRIEF = 5.0  # seconds for the git remote's one chance to answer before a service is restored without the lock


def run(context: Context, options: RollbackOptions | None = None) -> RollbackResult:
    """Takes back the newest deployment, or all after `options.to` (`base`: all). Service first, then git.

    Refused: nothing was changed. The result's `exit_code` says the rest.
    """
    options = options or RollbackOptions()
    options.whole(context.config.rollback.scope)
    _reach_ledger(context, options)
    plan = plans.make(context, options)
    if plan.work == "none":
        return _nothing_to_do(context, plan, options)
    _refuse_dirty(context, plan, options)
    if not (options.overwrites or options.to):
        plan.refuse_foreign()
    if not options.confirm(plan):
        raise Refused("Not confirmed: nothing was changed.", options.command)
    deployment = plan.target.resumes.id if plan.target.resumes else records.new_id(context.clock.now())
    if options.without_lock is not None:
        lockless = LocklessRecording(context, deployment, None, plan.history, reason=options.without_lock.strip())
        return _Rollback(context, plan, options, lockless).run()
    locks: list[LockHold] = []
    try:
        with context.lock.held("rollback", options.wait, deployment) as held:
            locks.append(held)
            again = plans.make(context, options)
            if again.key != plan.key:
                raise Refused("Not rolled back: what it would do has changed since it was shown.", options.command)
            recording = records.begin(context, deployment, held, again.history)
            return _Rollback(context, again, options, recording).run()
    except SHUT as error:
        if not locks:
            raise _no_lock(error, options) from error
        raise


def _reach_ledger(context: Context, options: RollbackOptions) -> None:
    """Without the lock the remote has one short chance; else a remote that refuses us is named before anything."""
    if options.without_lock is None:
        try:
            context.ledger.announce()
        except SHUT as error:
            raise _no_lock(error, options) from error
        return
    if not options.without_lock.strip():
        raise Refused("--without-lock needs a reason.", inv("rollback", to=options.to, without_lock=LOCKLESS))
    context.ledger.brief(BRIEF)


def _no_lock(error: CutoverError, options: RollbackOptions) -> CutoverError:
    """Why there is no lock, and how to restore the service without it. The exit code stays the error's own."""
    text = f"Could not acquire the lock: {error.message} The service can be restored without it."
    kind = type(error) if isinstance(error, Refused) else Unreachable
    return kind(text, *error.steps, inv("rollback", to=options.to, without_lock=LOCKLESS), **error.data)


def _nothing_to_do(context: Context, plan: RollbackPlan, options: RollbackOptions) -> RollbackResult:
    """An interrupted deployment of which nothing went live gets its end on record."""
    pending = plan.target.pending
    if pending is not None and pending.verdict == "abandoned" and pending.deployment.interrupted:
        close_abandoned(context, pending, options.wait)
    return RollbackResult(None, message=plan.message, next=plan.next)


def _refuse_dirty(context: Context, plan: RollbackPlan, options: RollbackOptions) -> None:
    """Unsaved work in the very files that go back would be mistaken for what is live; other files do not matter."""
    dirty = context.repository.dirty(plan.files) if plan.files else []
    if dirty:
        verb, them = ("differs", "it") if len(dirty) == 1 else ("differ", "them")
        text = f"Not rolled back: {few(dirty)} {verb} from the last commit. Commit {them}, or set {them} aside."
        stash = context.repository.typed("stash", "push", "--include-untracked", "--", *dirty)
        raise Refused(text, stash, options.command)


class _Rollback:
    """One rollback on its way: restore, revert, proof."""

    def __init__(self, context: Context, plan: RollbackPlan, options: RollbackOptions, recording: Recording) -> None:
        self.context, self.plan, self.options, self.recording = context, plan, options, recording
        self.began = context.clock.now()
        self.restore = Restore(context, plan, recording, options.pace, options.command)
        self.steps: list[TimedStep] = []

    def run(self) -> RollbackResult:
        """Restore (unless that is done), then git, then the proof."""
        started = self.context.clock.monotonic()
        seconds: float | None = None
        if self.plan.work == "service":
            failure = self.restore.run(release_lock=self.options.restore_only)
            if failure is not None:
                return self._failed(failure)
            seconds = self.context.clock.monotonic() - started
        self.context.ledger.patient()
        carrier = self.recording.history.find(self._carrier)
        git = GitHalf(self.context, self.plan, self.options, self._carrier, carrier.revert if carrier else None)
        revert = None if self.options.restore_only else git.run()
        if revert is not None:
            self.steps.append(TimedStep("git", git.seconds, revert.message))
        self._before_proof(revert, seconds)
        return self._result(git, revert, seconds)

    def _before_proof(self, revert: RevertResult | None, seconds: float | None) -> None:
        """Who interrupts the proof is shown what is done by then; where git waits, what it waits for."""
        done = self._done(revert, seconds)
        if self._waits(revert) and revert is not None:
            interrupts.between(done, *revert.steps)
        else:
            interrupts.between(f"{done} Only the proof is missing.", inv("status"), exit_code=4)

    def _done(self, revert: RevertResult | None, seconds: float | None) -> str:
        texts = (self.restore.message(seconds) if seconds is not None else "", revert.message if revert else "")
        return " ".join(filter(None, texts))

    def _waits(self, revert: RevertResult | None) -> bool:
        """Whether git does not agree yet, and that was not what the person wanted."""
        return revert is not None and not revert.agrees and (self.options.push or revert.state != "local")

    def _failed(self, failure: RestoreFailure) -> RollbackResult:
        return RollbackResult(
            self._summary(failure.outcome), phases=self._phases(), message=failure.message,
            notes=tuple(self.restore.notes), next=failure.steps, exit_code=failure.exit_code,
        )  # fmt: skip

    def _result(self, git: GitHalf, revert: RevertResult | None, seconds: float | None) -> RollbackResult:
        strangers, differing = self.plan.strangers, git.differing(revert)
        outside = git.outside(differing)
        unlike = [slug for slug in differing if slug not in strangers]
        proof = self._proof(strangers)
        interrupts.settled()
        code = 5 if self._waits(revert) or unlike else {"pass": 0, "fail": 1}.get(proof.verdict, 4)
        differs = [f"{slug} in git differs from what is live again." for slug in unlike]
        steps: list[Step] = [*(revert.steps if revert else ()), *proof.steps]
        steps += [*forward.keep(slug for slug in differing if slug in strangers), *git.forward(revert)]
        if unlike:
            steps.insert(0, inv("plan", diff=True))
        return RollbackResult(
            self._summary(self.restore.outcome), seconds, revert, proof.details, self._phases(),
            " ".join(filter(None, (self._done(revert, seconds), proof.why))),
            (*self.restore.notes, *git.notes, *outside, *differs, *proof.notes), tuple(steps), code,
        )  # fmt: skip

    def _proof(self, strangers: Collection[str]) -> RollbackProof:
        """Code that was deployed outside Cutover need not log the base's route."""
        try:
            restored = self._restored() if self.restore.versions else {}
            return prove(self.context, restored, self.began, self.plan.to is None, strangers)
        except ServiceFailed as error:
            return RollbackProof("inconclusive", {}, f"Not proven: {error.message}", steps=(inv("status"),))

    def _restored(self) -> Restored:
        live = {function.slug: function for function in self.context.supabase.functions()}
        present = [slug for slug, version in self.restore.versions.items() if version and slug in live]
        return {slug: (live[slug].id, live[slug].version) for slug in present}

    @property
    def _carrier(self) -> str:
        """The deployment whose record the revert goes to: the rollback, or what its gate had restored already."""
        newest = self.recording.history.newest
        return newest.id if self.plan.work == "git" and newest else self.recording.deployment

    def _summary(self, outcome: str) -> RollbackSummary:
        plan = self.plan
        functions = self.restore.results(untouched=outcome == "abandoned")
        return RollbackSummary(
            self._carrier, outcome, plan.base, plan.revision, functions, self.began, self.context.clock.now(), plan.to,
            plan.undone,
        )  # fmt: skip

    def _phases(self) -> tuple[dict[str, Any], ...]:
        return tuple({**step.record(), "ok": True} for step in (*self.restore.steps, *self.steps))
