"""Carrying a rollback out: intent with its hold, restore, outcome, revert, and the two proofs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import CutoverError, Interrupted, ServiceFailed
from migration.base.failpoint import failpoint
from migration.deploy import hold
from migration.deploy.records import Record, Recording
from migration.deploy.recovery import close
from migration.deploy.release import ReleaseResult, TimedStep, activate, release
from migration.deploy.result import SettledVersions, settled_versions
from migration.deploy.staging import Pace
from migration.git.reverted import Reverted
from migration.rollback import aim, undone
from migration.rollback.aim import Aim
from migration.rollback.githalf import GitHalf
from migration.rollback.rolled import RollbackResult, RolledBack, moves
from migration.rollback.target import Target

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context


class Undo:
    """One rollback on its way. `begun` once something may have been changed."""

    def __init__(
        self, context: Context, target: Target, whole: bool, restore_only: bool, push: bool, pace: Pace
    ) -> None:
        self.context, self.target, self.pace = context, target, pace
        self.whole, self.restore_only, self.push = whole, restore_only, push
        self.begun = False
        self.steps: list[TimedStep] = []
        self.notes: list[str] = []
        self.versions: dict[str, int | None] = {}
        self.settled: float | None = None  # when what had been left waiting went live
        self.waited: list[SettledVersions] = []

    def run(self, recording: Recording, aims: Sequence[Aim], live: Mapping[str, Function]) -> RollbackResult:
        """Restore (unless that is done), then git, then the proof."""
        self.recording, self.aims, self.began = recording, list(aims), self.context.clock.now()
        started = self.context.clock.monotonic()
        seconds: float | None = None
        if self.target.work == "service":
            failed = self._service(live)
            if failed is not None:
                return failed
            seconds = self.context.clock.monotonic() - started
        self.context.ledger.patient()
        carrier = self._carrier()
        known = self.recording.history.find(carrier)
        former = known.revert if known else None
        half = GitHalf(self.context, self.target, self.aims, carrier, self.whole, self.push, former)
        reverted = None if self.restore_only else half.run(live)
        if reverted is not None:
            self.steps.append(TimedStep("git", half.seconds, reverted.message))
        interrupts.settled()
        return self._result(half, reverted, seconds)

    # The service

    def _service(self, live: Mapping[str, Function]) -> RollbackResult | None:
        try:
            self._intend()
            released = self._attempt(live)
        except (Interrupted, OSError) as error:
            self._stopped(error)
            raise
        if released.outcome == "live":
            self._ended(released)
            return None
        return self._failed(released)

    def _intend(self) -> None:
        """The hold is part of the intent, so that it stands before the restore."""
        if self.target.resumes is None:
            kept, self.notes = aim.keep(self.context, self.aims)
            self.recording.intent(self._intent(kept))
        self.begun = True

    def _intent(self, kept: Mapping[str, Any]) -> Record:
        digests: dict[str, Any] = {}
        for one in reversed(self.target.undone):
            digests.update(hold.make(one)["digests"])
        held = {"tip": self.target.revision, "base": self.target.base, "digests": digests}
        return {
            "kind": "rollback", "revision": self.target.base, "base_revision": self.target.revision, "plan_hash": "",
            "partial": False, "to": self.target.to.id if self.target.to else None, "hold": held,
            "functions": [one.record() for one in self.aims], "secrets": {}, "snapshots": dict(kept),
        }  # fmt: skip

    def _attempt(self, live: Mapping[str, Function]) -> ReleaseResult:
        try:
            released = self._restore(live)
        except CutoverError as error:
            released = ReleaseResult("unfinished", error=error)
        self.waited = self._waited(released)
        self.notes += [one.note for one in self.waited]
        return released

    def _waited(self, released: ReleaseResult) -> list[SettledVersions]:
        """What answered callers on the way, without ever having been proven."""
        found, pending = settled_versions(released.settled, self.recording.left_by), self.target.pending
        if self.settled is None or pending is None:
            return found
        seconds = self.context.clock.monotonic() - self.settled
        return [SettledVersions(pending.deployment.id, tuple(pending.answers), seconds), *found]

    def _restore(self, live: Mapping[str, Function]) -> ReleaseResult:
        """Settle what an interrupted run left waiting, then send the former sources."""
        pending = self.target.pending
        resumed = self.target.resumes is not None
        answers = pending.answers if pending else {}
        if answers and not resumed:
            again = inv("rollback", env=self.context.environment.name)
            interrupts.between("Staged versions were being settled.", again)
            self.settled = self.context.clock.monotonic()
            activate(self.context, list(answers.values()), self.recording.confirm, self.pace)
            live = {function.slug: function for function in self.context.supabase.functions()}
        todo = [replace(one, live=live.get(one.slug)) for one in self.aims if one.action != "same"]
        self.versions = {one.slug: one.live.version if one.live else None for one in self.aims if one.action == "same"}
        if not todo:
            return ReleaseResult("live")
        return release(
            self.context, [one.wanted() for one in todo], self.recording, answers=answers if resumed else None,
            pace=self.pace,
        )  # fmt: skip

    def _ended(self, released: ReleaseResult) -> None:
        self.steps += released.steps
        self.versions.update(released.versions)
        self._close(self._outcome(), "What was live before is live again.", release=self.restore_only)
        pending = self.target.pending
        if pending is not None and self.target.resumes is None:
            close(self.context, pending, "restored", f"taken back by {self.recording.deployment}")

    def _failed(self, released: ReleaseResult) -> RollbackResult:
        """Nothing moved: everything is as before. Something moved: the next rollback goes on from there."""
        self.steps += released.steps
        self.versions.update(released.versions)
        error = released.error
        said = error.message if error else "The restore failed."
        if released.outcome == "untouched" and not released.lost and not self.waited:
            self._close("abandoned", said, release=True)
            interrupts.settled()
            text, code = f"Nothing was rolled back: {said}", 3
        else:
            self._close("unfinished", said, release=True)
            text, code = f"The rollback is half done: {said}", 5
        outcome, again = "abandoned" if code == 3 else "unfinished", f"inv rollback{self.context.environment.flag}"
        hints = tuple(hint for hint in (error.hint if error else "", again) if hint)
        ended = self._deployment(outcome)
        notes = tuple(self.notes)
        return RollbackResult(ended, phases=self._phases(), message=text, notes=notes, next=hints, exit_code=code)

    def _close(self, outcome: str, message: str, release: bool) -> None:
        functions = [
            {"slug": one.slug, "after": vars(one.after)} for one in moves(self.aims, self.versions) if one.after
        ]
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

    # The end

    def _result(self, half: GitHalf, reverted: Reverted | None, seconds: float | None) -> RollbackResult:
        differing = half.differing(reverted)
        shown = self._shown()
        waiting = reverted is not None and not reverted.agrees and (self.push or reverted.state != "local")
        code = 5 if waiting or differing else {"pass": 0, "fail": 1}.get(shown.verdict, 4)
        said = (self._said(seconds), reverted.message if reverted else "", shown.why)
        return RollbackResult(
            self._deployment(self._outcome()),
            seconds,
            reverted,
            shown.details,
            self._phases(),
            " ".join(text for text in said if text),
            (*self.notes, *half.notes, *differing, *shown.notes),
            (*(reverted.commands if reverted else ()), *half.forward(reverted)),
            code,
        )

    def _shown(self) -> undone.Shown:
        try:
            return undone.prove(self.context, self._restored() if self.versions else {}, self.began)
        except ServiceFailed as error:
            return undone.Shown("inconclusive", {}, f"Whether the restored code answers was not seen: {error.message}")

    def _restored(self) -> dict[str, tuple[str, int]]:
        live = {function.slug: function for function in self.context.supabase.functions()}
        there = [slug for slug, version in self.versions.items() if version and slug in live]
        return {slug: (live[slug].id, live[slug].version) for slug in there}

    def _said(self, seconds: float | None) -> str:
        if seconds is not None and all(one.action == "same" for one in self.aims):
            return "What was live before was live again already."
        return f"What was live before is live again, after {seconds:.1f} s." if seconds is not None else ""

    def _carrier(self) -> str:
        """The deployment whose record the revert goes to: the rollback, or what its gate had already put back."""
        newest = self.recording.history.newest
        return newest.id if self.target.work == "git" and newest else self.recording.deployment

    def _outcome(self) -> str:
        deleted = self.aims and all(one.action == "delete" for one in self.aims)  # none where git alone is left
        return "deleted" if deleted else "rolled_back"

    def _deployment(self, outcome: str) -> RolledBack:
        target = self.target
        return RolledBack(
            self._carrier(),
            outcome,
            target.base,
            target.revision,
            moves(self.aims, self.versions, untouched=outcome == "abandoned"),
            self.began,
            self.context.clock.now(),
            target.to.id if target.to else None,
            tuple(one.id for one in target.undone),
        )

    def _phases(self) -> tuple[dict[str, Any], ...]:
        return tuple({**step.record(), "ok": True} for step in self.steps)
