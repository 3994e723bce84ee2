"""Carrying a plan out under the lock: snapshot, intent, release, gate, restore, outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration import hold, interrupts, snapshot
from migration.errors import CutoverError, Interrupted, Unfinished
from migration.failpoint import failpoint
from migration.gate import Gated
from migration.outcome import EXIT, Deployed, DeployResult, Moved, Side
from migration.plan import Plan
from migration.recorder import Recording
from migration.recovery import Recovery
from migration.release import Released, Step, release
from migration.snapshot import Kept
from migration.staging import Answer, Pace, Wanted

if TYPE_CHECKING:
    from migration.context import Context
    from migration.deployments import Deployment


@dataclass
class Carry:
    """One deployment on its way. Made under the lock, from a plan that was made under the lock."""

    context: Context
    made: Plan
    recording: Recording
    gated: bool
    pace: Pace
    began: datetime = field(init=False)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.context.clock.now()

    def abandon(self, pending: Recovery) -> None:
        """Close an interrupted deployment of which nothing went live; what it may have staged stays on record."""
        ledger, name = self.context.ledger, pending.deployment.id
        if pending.perhaps_stranded:
            ledger.append(
                {"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": pending.perhaps_stranded}
            )
        message = "nothing of it had gone live"
        ledger.append({"record": "outcome", "deployment": name, "outcome": "abandoned", "message": message})
        self.recording = replace(self.recording, history=ledger.history(fresh=False))

    def run(self) -> DeployResult:
        """From the snapshot on."""
        kept = self._snapshot()
        items = self.made.changes
        wanted = [item.wanted() for item in items]
        previous = self._previous(kept, [item.slug for item in items])
        self.recording.intent(self._intent(kept))
        return self._guarded(wanted, previous, {}, {item.slug: item.action for item in items})

    def resume(self, pending: Recovery) -> DeployResult:
        """Go on where a process died: stage what is not staged, activate what is, prove all of it."""
        deployment = pending.deployment
        self.context.observer.note(f"{pending.message} Going on with it.")
        sources = {item.slug: item for item in self.made.functions}
        missing = [one.slug for one in pending.functions if one.state in ("before", "staged")]
        wanted = [sources[slug].wanted() for slug in missing]
        previous = _recorded(self.context, deployment)
        actions = {change.slug: change.action for change in deployment.functions}
        return self._guarded(wanted, previous, pending.answers, actions)

    # The parts

    def _snapshot(self) -> dict[str, Kept]:
        """The download is there already; the settings are asked for one by one, and what git lacks is kept in it."""
        began = self.context.clock.monotonic()
        kept = {item.slug: item.kept for item in self.made.changes if item.kept}
        told = {
            function.slug: function
            for function in snapshot.details(self.context, [one.function for one in kept.values()])
        }
        for slug, one in kept.items():
            found = told.get(slug)
            if found is None or found.version != one.function.version:
                raise Unfinished(f"{slug} was changed by someone else just now: nothing was done.", "inv plan")
            kept[slug] = replace(one, function=found)
        failpoint("snapshot.keep")
        snapshot.keep(self.context, kept.values())
        failpoint("snapshot.kept")
        self._step("snapshot", began, f"{len(kept)} functions")
        return kept

    def _previous(self, kept: Mapping[str, Kept], slugs: Sequence[str]) -> dict[str, Wanted]:
        """What a restore makes of each: its former source, or nothing for one that did not exist."""
        restorable = {slug: one.wanted(None) for slug, one in kept.items() if one.source is not None}
        return restorable | {slug: Wanted(slug, None, None) for slug in slugs if slug not in kept}

    def _intent(self, kept: Mapping[str, Kept]) -> dict[str, Any]:
        functions = [
            {
                "slug": item.slug,
                "action": item.action,
                "before": kept[item.slug].before() if item.slug in kept else None,
                "wanted": {"source_digest": item.source.digest, "verify_jwt": item.verify_jwt},
            }
            for item in self.made.changes
        ]
        head = {"kind": "deploy", "revision": self.made.revision, "base_revision": self.made.base_revision}
        rest = {"plan_hash": self.made.hash, "partial": self.made.partial, "to": None, "hold": None}
        snapshots = {slug: {"digest": one.digest, "restorable": one.restorable} for slug, one in kept.items()}
        return {**head, **rest, "functions": functions, "secrets": dict(self.made.digests), "snapshots": snapshots}

    def _guarded(
        self,
        wanted: list[Wanted],
        previous: Mapping[str, Wanted],
        answers: Mapping[str, Answer],
        actions: Mapping[str, str],
    ) -> DeployResult:
        """A signal sends nothing more: it records what is known and leaves; the next command goes on from there."""
        try:
            return self._carry(wanted, previous, answers, actions)
        except (Interrupted, OSError) as error:
            self._interrupted(error)
            raise

    def _carry(
        self,
        wanted: list[Wanted],
        previous: Mapping[str, Wanted],
        answers: Mapping[str, Answer],
        actions: Mapping[str, str],
    ) -> DeployResult:
        released = Released("live")
        if wanted:
            released = release(self.context, wanted, self.recording, previous=previous, answers=answers, pace=self.pace)
        self.steps += released.steps
        if released.outcome != "live":
            return self._failed(released, actions)
        live = {function.slug: function for function in self.context.supabase.functions()}
        activated = {slug: (live[slug].id, live[slug].version) for slug in actions if slug in live}
        if not self.gated:
            self.context.observer.warn("NOTHING WAS PROVEN: --no-gate skipped proof of life, smoke cases and criteria.")
            return self._end("ungated", activated, actions, "Live, and nothing was proven (--no-gate).")
        interrupts.between(
            f"The new code is live and not proven. Type: inv deploy{self._env} (or inv rollback{self._env})"
        )
        found = self._judge(activated)
        if found.verdict == "pass":
            return self._end("live", activated, actions, "Live and proven.", gate=found)
        if found.keep:
            next_ = f"inv checks{self._env}, or undo it with inv rollback{self._env}"
            text = f"Live, and not proven: {found.why}. Look again with {next_}."
            return self._end("unproven", activated, actions, text, gate=found)
        return self._take_back(released, previous, activated, actions, found)

    def _judge(self, activated: Mapping[str, tuple[str, int]]) -> Gated:
        from migration import gate

        began = self.context.clock.monotonic()
        before = list(self.made.live.values())
        found = gate.run(self.context, self._record(), activated, before)
        self._step("gate", began, found.verdict)
        return found

    def _record(self) -> Deployment:
        found = self.context.ledger.history(fresh=False).find(self.recording.deployment)
        if found is None:
            raise Unfinished("The ledger lost the record of this deployment.", "inv status")
        return found

    def _take_back(
        self,
        released: Released,
        previous: Mapping[str, Wanted],
        activated: Mapping[str, tuple[str, int]],
        actions: Mapping[str, str],
        found: Gated,
    ) -> DeployResult:
        """The gate did not pass: what was live goes live again, and the change is held."""
        self.context.observer.failed("gate", detail=found.why)
        interrupts.between(f"The gate failed and a restore had begun. Type: inv rollback{self._env}")
        clock = self.context.clock
        began = clock.monotonic()
        lacking = [slug for slug in activated if slug not in previous]
        live = {function.slug: function for function in self.context.supabase.functions()}
        back = [replace(previous[slug], before=live.get(slug)) for slug in activated if slug in previous]
        outcome = release(self.context, back, self.recording.restoring(), pace=self.pace)
        restored = clock.monotonic() - began
        self.steps += [replace(step, name=f"restore: {step.name}") for step in outcome.steps]
        answered = clock.monotonic() - (released.sent_at or began)
        held = hold.make(self._record())
        versions = {slug: version for slug, (_, version) in activated.items()} | outcome.versions
        error = outcome.error or (Unfinished(f"{', '.join(lacking)} could not be put back") if lacking else None)
        if error is not None:
            text = f"The gate failed ({found.why}), and putting back did not end well: {error.message}"
            return self._close("unfinished", versions, previous, actions, text, found, answered, restored, held, 5)
        text = (
            f"The gate failed: {found.why}. What was live before is live again, after {answered:.1f} s of the new code."
        )
        return self._close("restored", versions, previous, actions, text, found, answered, restored, held, 1)

    def _failed(self, released: Released, actions: Mapping[str, str]) -> DeployResult:
        """Not everything went live, and `release` has put right what it could."""
        message = released.error.message if released.error else "The release failed."
        if released.lost:
            self._quietly_staged(released.lost)
        outcome = {"untouched": "abandoned", "restored": "restored"}.get(released.outcome, "unfinished")
        seconds = released.new_code_seconds
        if outcome == "abandoned":
            message = f"{message} Nothing went live."
        if outcome == "restored":
            message = f"{message} What was live before is live again; the new code answered for {seconds:.1f} s."
        code = 5 if outcome == "unfinished" else 3
        previous = {item.slug: item.kept.wanted(None) for item in self.made.changes if item.kept and item.kept.source}
        hint = released.error.hint if released.error else ""
        return self._close(
            outcome, released.versions, previous, actions, message, None, seconds, None, None, code, hint
        )

    def _quietly_staged(self, lost: Sequence[str]) -> None:
        record = {
            "record": "staged",
            "deployment": self.recording.deployment,
            "answers": list(self.recording.journal.answers().values()),
        }
        self.context.ledger.keep({**record, "perhaps_stranded": list(lost)})

    def _end(
        self,
        outcome: str,
        activated: Mapping[str, tuple[str, int]],
        actions: Mapping[str, str],
        text: str,
        gate: Gated | None = None,
    ) -> DeployResult:
        versions = {slug: version for slug, (_, version) in activated.items()}
        return self._close(outcome, versions, {}, actions, text, gate, 0.0, None, None, EXIT[outcome])

    def _close(
        self,
        outcome: str,
        versions: Mapping[str, int | None],
        previous: Mapping[str, Wanted],
        actions: Mapping[str, str],
        message: str,
        gate: Gated | None,
        answered: float,
        restored: float | None,
        held: dict[str, Any] | None,
        code: int,
        hint: str = "",
    ) -> DeployResult:
        digests = {item.slug: item.source.digest for item in self.made.functions}
        back = (
            {slug: one.source.digest for slug, one in previous.items() if one.source} if outcome == "restored" else None
        )
        after = {
            slug: Side(version, (digests if back is None else back).get(slug)) for slug, version in versions.items()
        }
        after = {slug: side if side.version else Side(None, None) for slug, side in after.items()}
        record = {
            "outcome": outcome,
            "functions": [{"slug": slug, "after": vars(side)} for slug, side in after.items()]
            if outcome != "abandoned"
            else [],
            "steps": [step.record() for step in self.steps],
            "gate": {"verdict": gate.verdict, "why": gate.why} if gate else {},
            "new_code_seconds": round(answered, 3),
            "message": message,
            **({"hold": held} if held else {}),
        }
        self.recording.outcome(record)
        interrupts.settled()
        ended = self._deployed(outcome, after, actions, answered, restored, held)
        following = (hint,) if hint else _following(outcome, self._env)
        details = dict(gate.details) | {"verdict": gate.verdict, "why": gate.why} if gate else {}
        phases = tuple({**step.record(), "ok": True} for step in self.steps)
        return DeployResult(ended, phases, details, message, following, code)

    def _deployed(
        self,
        outcome: str,
        after: Mapping[str, Side],
        actions: Mapping[str, str],
        answered: float,
        restored: float | None,
        held: dict[str, Any] | None,
    ) -> Deployed:
        deployment = self._record()
        befores = {change.slug: change.before or {} for change in deployment.functions}
        sides = {slug: Side(one.get("version"), one.get("source_digest")) for slug, one in befores.items()}
        moved = tuple(
            Moved(slug, action, sides[slug], after.get(slug, sides[slug])) for slug, action in actions.items()
        )
        now = self.context.clock.now()
        return Deployed(
            deployment.id, outcome, deployment.revision, deployment.base_revision, moved, self.began, now,
            deployment.plan_hash, deployment.partial, answered, restored, held,
        )  # fmt: skip

    def _interrupted(self, error: BaseException) -> None:
        """Within seconds: what was answered, what may be stranded, and that this is not the end."""
        ledger, journal = self.context.ledger, self.recording.journal
        ledger.hurry()
        answers, sent = journal.answers(), journal.sent()
        outcome = "unfinished" if sent else "abandoned"
        if not sent:
            interrupts.settled()
        else:
            lost = sorted(sent - set(answers))
            name = self.recording.deployment
            record = {"record": "staged", "deployment": name, "answers": list(answers.values())}
            ledger.keep({**record, "perhaps_stranded": lost}, failures=1)
        message = f"interrupted by {error}" if isinstance(error, Interrupted) else f"this machine failed: {error}"
        self.recording.outcome({"outcome": outcome, "functions": [], "steps": [], "message": message})

    def _step(self, name: str, began: float, detail: str) -> None:
        seconds = self.context.clock.monotonic() - began
        self.steps.append(Step(name, seconds, detail))
        self.context.observer.done(name, detail=detail, seconds=seconds)

    @property
    def _env(self) -> str:
        name = self.context.environment.name
        return "" if name == "prod" else f" --env {name}"


def _recorded(context: Context, deployment: Deployment) -> dict[str, Wanted]:
    """What an interrupted deployment would have put back, from its record."""
    slugs = [change.slug for change in deployment.functions if change.before]
    previous = {change.slug: Wanted(change.slug, None, None) for change in deployment.functions if not change.before}
    for slug in slugs:
        change = deployment.change(slug)
        try:
            found = snapshot.restorer(context, deployment, [slug])
        except CutoverError as error:
            context.observer.warn(f"{slug} could not be put back if this fails: {error.message}")
            continue
        jwt = change.before.get("verify_jwt") if change and change.before else None
        previous[slug] = Wanted(slug, found[slug], None, jwt)
    return previous


def _following(outcome: str, env: str) -> tuple[str, ...]:
    if outcome == "unfinished":
        return (f"inv status{env}", f"inv rollback{env}")
    if outcome == "restored":
        return (f"inv rollback{env} (git still holds the change)",)
    if outcome == "unproven":
        return (f"inv checks{env}", f"inv rollback{env}")
    return ()

