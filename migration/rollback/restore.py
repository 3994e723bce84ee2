"""The service half of a rollback: the intent with its hold, the former sources live again, the outcome on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import Step, inv
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted
from migration.base.failpoint import failpoint
from migration.base.numbers import listed
from migration.deploy import hold
from migration.deploy.records import Record, Recording
from migration.deploy.recovery import close
from migration.deploy.release import Release, ReleaseResult, TimedStep, activate
from migration.deploy.result import FunctionResult, SettledVersions, settled_versions
from migration.deploy.staging import Pace
from migration.rollback.plan import RollbackPlan, keep_foreign

if TYPE_CHECKING:
    from migration.context import Context


@dataclass(frozen=True)
class RestoreFailure:
    """Why the service is not restored. `outcome`: abandoned (nothing moved) or unfinished (the next rollback goes on
    from there)."""

    outcome: str
    message: str
    exit_code: int
    steps: tuple[Step, ...] = ()


class Restore:
    """Makes the former sources live again. `versions` are those that were seen live since; `begun` once something may
    have been changed."""

    def __init__(self, context: Context, plan: RollbackPlan, recording: Recording, pace: Pace, again: Step) -> None:
        self.context, self.plan, self.recording, self.pace, self.again = context, plan, recording, pace, again
        self.target = plan.target
        self.begun = False
        self.steps: list[TimedStep] = []
        self.notes: list[str] = []
        self.versions: dict[str, int | None] = {}
        self.settled: float | None = None  # when what had been left staged went live
        self.waited: list[SettledVersions] = []

    def run(self, release_lock: bool) -> RestoreFailure | None:
        """None when the former sources are live; then the lock is given back if `release_lock`."""
        try:
            self._intend()
            released = self._attempt()
        except (Interrupted, OSError) as error:
            self._stopped(error)
            raise
        self.steps += released.steps
        self.versions.update(released.versions)
        if released.outcome == "live":
            self._ended(release_lock)
            return None
        return self._failed(released)

    @property
    def outcome(self) -> str:
        functions = self.plan.functions
        deleted = functions and all(one.action == "delete" for one in functions)  # none where git alone is left
        return "deleted" if deleted else "rolled_back"

    def message(self, seconds: float) -> str:
        """What was done, for a person."""
        if all(one.action == "same" for one in self.plan.functions):
            return "The previous code was already live."
        gone = [one.slug for one in self.plan.functions if one.action == "delete"]
        if gone and len(gone) == len(self.plan.functions):
            return f"Deleted {listed(gone)}, which did not exist before, after {show(seconds)}."
        also = f" Deleted {listed(gone)}, which did not exist before." if gone else ""
        return f"The previous code is live again, after {show(seconds)}.{also}"

    def results(self, untouched: bool = False) -> tuple[FunctionResult, ...]:
        """Each function before and after; `untouched`: what has not been seen since is as before."""
        return tuple(one.result(self.versions, untouched) for one in self.plan.functions)

    def _intend(self) -> None:
        """The hold is part of the intent, so that it stands before the restore."""
        if self.target.resumes is None:
            snapshots, self.notes = keep_foreign(self.context, self.plan.functions)
            self.recording.intent(self._intent(snapshots))
        self.begun = True

    def _intent(self, snapshots: Mapping[str, Any]) -> Record:
        digests: dict[str, Any] = {}
        for one in reversed(self.target.undone):
            digests.update(hold.make(one)["digests"])
        held = {"tip": self.target.revision, "base": self.target.base, "digests": digests}
        return {
            "kind": "rollback", "revision": self.target.base, "base_revision": self.target.revision, "plan_hash": "",
            "partial": False, "to": self.target.to.id if self.target.to else None, "hold": held,
            "functions": [one.record() for one in self.plan.functions], "secrets": {}, "snapshots": dict(snapshots),
        }  # fmt: skip

    def _attempt(self) -> ReleaseResult:
        try:
            released = self._release()
        except CutoverError as error:
            released = ReleaseResult("unfinished", error=error)
        self.waited = self._settled_on_the_way(released)
        self.notes += [one.note for one in self.waited]
        return released

    def _settled_on_the_way(self, released: ReleaseResult) -> list[SettledVersions]:
        """Versions that answered callers on the way, without ever having been proven."""
        settled, pending = settled_versions(released.settled, self.recording.left_by), self.target.pending
        if self.settled is None or pending is None:
            return settled
        seconds = self.context.clock.monotonic() - self.settled
        return [SettledVersions(pending.deployment.id, tuple(pending.answers), seconds), *settled]

    def _release(self) -> ReleaseResult:
        """Settle what an interrupted run left staged, then send the former sources."""
        pending, live = self.target.pending, self.plan.live
        resumed = self.target.resumes is not None
        answers = pending.answers if pending else {}
        if answers and not resumed:
            interrupts.between("Staged versions were being settled.", inv("rollback"))
            self.settled = self.context.clock.monotonic()
            activate(self.context, list(answers.values()), self.recording.confirm, self.pace)
            live = {function.slug: function for function in self.context.supabase.functions()}
        todo = [replace(one, live=live.get(one.slug)) for one in self.plan.functions if one.action != "same"]
        self.versions = {one.slug: one.live_version for one in self.plan.functions if one.action == "same"}
        if not todo:
            return ReleaseResult("live")
        wanted = [one.wanted() for one in todo]
        answered = answers if resumed else {}
        return Release(self.context, self.recording, wanted, answers=answered, pace=self.pace, restores=True).run()

    # The end

    def _ended(self, release_lock: bool) -> None:
        self._close(self.outcome, "The previous code is live again.", release=release_lock)
        pending = self.target.pending
        if pending is not None and self.target.resumes is None:
            close(self.context, pending, "restored", f"taken back by {self.recording.deployment}")

    def _failed(self, released: ReleaseResult) -> RestoreFailure:
        error = released.error
        why = error.message if error else "The restore failed."
        steps = error.steps if error else ()
        if released.outcome == "untouched" and not released.lost and not self.waited:
            self._close("abandoned", why, release=True)
            interrupts.settled()
            return RestoreFailure("abandoned", f"Nothing was rolled back: {why}", 3, _then(steps, self.again))
        self._close("unfinished", why, release=True)
        text = f"The rollback is not finished: {why}"
        return RestoreFailure("unfinished", text, 5, _then(steps, inv("rollback")))

    def _close(self, outcome: str, message: str, release: bool) -> None:
        functions = [{"slug": one.slug, "after": vars(one.after)} for one in self.results() if one.after]
        record = {
            "record": "outcome", "deployment": self.recording.deployment, "outcome": outcome, "functions": functions,
            "steps": [step.record() for step in self.steps], "gate": {}, "message": message,
            "new_code_seconds": round(max((one.seconds for one in self.waited), default=0.0), 3),
            "waited": [one.record() for one in self.waited],
        }  # fmt: skip
        failpoint("rollback.outcome")
        self.context.ledger.keep(record, release=release and self.context.ledger.fence is not None)
        failpoint("rollback.outcome.after")

    def _stopped(self, error: BaseException) -> None:
        """A signal sends nothing more: it records what is known; the next rollback goes on from there."""
        ledger, journal = self.context.ledger, self.recording.journal
        ledger.hurry()
        if not self.begun:  # the intent may have arrived all the same
            self._close("abandoned", f"interrupted by {error}", release=True)
            return
        answers, sent = journal.answers(), journal.sent()
        lost = sorted(sent - set(answers))
        staged = {"record": "staged", "deployment": self.recording.deployment, "answers": list(answers.values())}
        if sent:
            ledger.keep({**staged, "perhaps_stranded": lost}, failures=1)
        self._close("unfinished", f"interrupted by {error}", release=True)


def _then(steps: tuple[Step, ...], again: Step) -> tuple[Step, ...]:
    """The error's own steps, and the rollback once more."""
    return tuple(dict.fromkeys((*steps, again)))
