"""Carrying a plan out under the lock: snapshot, intent, release, gate, restore, outcome."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import CutoverError, Interrupted, Refused, Unfinished
from migration.base.failpoint import failpoint
from migration.deploy import hold, snapshot, waiting
from migration.deploy.ending import End, Ending
from migration.deploy.outcome import DeployResult
from migration.deploy.plan import Plan
from migration.deploy.recorder import Recording
from migration.deploy.recovery import Recovery
from migration.deploy.release import Released, Step, release
from migration.deploy.snapshot import Kept
from migration.deploy.staging import Answer, Pace, Wanted

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment
    from migration.verify.gate import Gated


@dataclass
class Carry:
    """One deployment on its way. Made under the lock, from a plan that was made under the lock, and from what the
    platform then told of each function to change."""

    context: Context
    made: Plan
    told: Sequence[Function]
    recording: Recording
    gated: bool
    pace: Pace
    steps: list[Step] = field(default_factory=list)
    already: dict[str, int] = field(default_factory=dict)  # versions of it that were live before we began

    def __post_init__(self) -> None:
        self.ending = Ending(self.context, self.made, self.recording, self.context.clock.now(), self.steps)

    def abandon(self, pending: Recovery) -> None:
        """Close an interrupted deployment that left nothing live; what it may have staged stays on record."""
        ledger, name = self.context.ledger, pending.deployment.id
        if pending.perhaps_stranded:
            ledger.append(
                {"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": pending.perhaps_stranded}
            )
        foreign = pending.verdict == "foreign"
        message = "somebody else's code took its place" if foreign else "nothing of it had gone live"
        failpoint("record.close")
        ledger.append({"record": "outcome", "deployment": name, "outcome": "abandoned", "message": message})
        failpoint("record.close.after")
        self.recording = replace(self.recording, history=ledger.history(fresh=False))
        self.ending.recording = self.recording

    def run(self) -> DeployResult:
        """From the snapshot on."""
        kept = self._snapshot()
        items = self.made.changes
        wanted = [item.wanted() for item in items]
        previous = self._previous(kept, [item.slug for item in items])
        with self._orderly():
            self.recording.intent(self._intent(kept))
        return self._guarded(wanted, previous, {}, [item.slug for item in items])

    def resume(self, pending: Recovery) -> DeployResult:
        """Go on where a process died: stage what is not staged, activate what is, prove all of it."""
        deployment = pending.deployment
        self.context.observer.note(f"{pending.message} Going on with it.")
        sources = {item.slug: item for item in self.made.functions}
        self.already = {one.slug: one.version for one in pending.functions if one.state == "live"}
        missing = [one.slug for one in pending.functions if one.state in ("before", "staged", "settled")]
        wanted = [sources[slug].wanted() for slug in missing]
        previous = _recorded(self.context, deployment)
        return self._guarded(wanted, previous, pending.answers, deployment.slugs)

    # The parts

    def _snapshot(self) -> dict[str, Kept]:
        """The download is there already; with the settings it is whole, and what git lacks is kept."""
        began = self.context.clock.monotonic()
        kept = {item.slug: item.kept for item in self.made.changes if item.kept}
        told = {function.slug: function for function in self.told}
        for slug, one in kept.items():
            found = told.get(slug)
            if found is None:
                raise Refused(f"{slug} is listed, and asked for alone it is 404: nothing was done.", "inv plan")
            if found.version != one.function.version:
                raise Refused(f"{slug} was changed by someone else just now: nothing was done.", "inv plan")
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
        self, wanted: list[Wanted], previous: Mapping[str, Wanted], answers: Mapping[str, Answer], slugs: Sequence[str]
    ) -> DeployResult:
        with self._orderly():
            try:
                return self._carry(wanted, previous, answers, slugs)
            except CutoverError as error:  # after the activation: what is live could not be asked
                return self.ending.unseen(error)

    @contextlib.contextmanager
    def _orderly(self) -> Iterator[None]:
        """A signal sends nothing more: it records what is known and leaves; the next command goes on from there."""
        try:
            yield
        except (Interrupted, OSError) as error:
            self.ending.interrupted(error)
            raise

    def _carry(
        self, wanted: list[Wanted], previous: Mapping[str, Wanted], answers: Mapping[str, Answer], slugs: Sequence[str]
    ) -> DeployResult:
        released = Released("live")
        if wanted:
            released = release(self.context, wanted, self.recording, previous=previous, answers=answers, pace=self.pace)
        self.steps += released.steps
        self.ending.waited += waiting.answered(released.settled, self.recording.left_by)
        if released.outcome != "live":
            return self.ending.failed(released, self.already)
        live = {function.slug: function for function in self.context.supabase.functions()}
        activated = {slug: (live[slug].id, live[slug].version) for slug in slugs if slug in live}
        versions = {slug: version for slug, (_, version) in activated.items()}
        if not self.gated:
            self.context.observer.warn("NOTHING WAS PROVEN: --no-gate skipped proof of life, smoke cases and criteria.")
            return self.ending.close(End("ungated", "Live, and nothing was proven (--no-gate).", 0, versions))
        found = self._judge(activated)
        if found.verdict == "pass":
            return self.ending.close(End("live", "Live and proven.", 0, versions, gate=found))
        if found.keep:
            env = self.context.environment.flag
            ways = f"Look again with inv checks{env}, or undo it with inv rollback{env}."
            text = f"Live, and not proven: {found.why}. {ways}"
            return self.ending.close(End("unproven", text, 4, versions, gate=found))
        return self._take_back(released.sent_at, previous, versions, found)

    def _judge(self, activated: Mapping[str, tuple[str, int]]) -> Gated:
        from migration.verify import gate

        env = self.context.environment.name
        interrupts.between("The new code is live and not proven.", inv("deploy", env=env), inv("rollback", env=env))
        began = self.context.clock.monotonic()
        failpoint("gate")
        found = gate.run(self.context, self.ending.record(), activated, list(self.made.live.values()))
        failpoint("gate.after")
        self._step("gate", began, found.verdict)
        return found

    def _take_back(
        self, sent_at: float | None, previous: Mapping[str, Wanted], versions: Mapping[str, int], found: Gated
    ) -> DeployResult:
        """The gate did not pass: what was live goes live again, and the change is held."""
        self.context.observer.failed("gate", detail=found.why)
        env = self.context.environment.name
        interrupts.between("The gate failed and a restore had begun.", inv("rollback", env=env))
        clock, began = self.context.clock, self.context.clock.monotonic()
        live = {function.slug: function for function in self.context.supabase.functions()}
        back = [replace(previous[slug], before=live.get(slug)) for slug in versions if slug in previous]
        outcome = release(self.context, back, self.recording.restoring(), pace=self.pace)
        self.steps += [replace(step, name=f"restore: {step.name}") for step in outcome.steps]
        answered, restored = clock.monotonic() - (sent_at or began), clock.monotonic() - began
        lacking = [slug for slug in versions if slug not in previous]
        now = {**{slug: versions[slug] for slug in lacking}, **outcome.over(versions)}
        error = outcome.error or (Unfinished(f"{', '.join(lacking)} could not be put back.") if lacking else None)
        end = End(
            "restored", f"The gate failed: {found.why}. What was live before is live again, after {answered:.1f} s of "
            "the new code.", 1, now, True, True, found, answered, restored,
            hold.make(self.ending.record()),
        )  # fmt: skip
        if error is not None:
            text = f"The gate failed ({found.why}), and putting back did not end well: {error.message}"
            end = replace(end, outcome="unfinished", message=text, code=5, back=False, seen=False, hint=error.hint)
        return self.ending.close(end)

    def _step(self, name: str, began: float, detail: str) -> None:
        seconds = self.context.clock.monotonic() - began
        self.steps.append(Step(name, seconds, detail))
        if detail != "fail":  # the gate that failed says why instead
            self.context.observer.done(name, detail=detail, seconds=seconds)


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
