"""Deploy: plan, confirm, lock, plan again, snapshot, record, stage, activate, gate; restore what fails the gate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import Command, Do, either, inv
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted, Refused, Unfinished
from migration.base.failpoint import failpoint
from migration.base.numbers import count, listed
from migration.base.parallel import begin, every
from migration.deploy import drift, hold, plan, preflight, records, recovery, snapshot, typecheck
from migration.deploy.budget import RequestBudget
from migration.deploy.plan import Plan
from migration.deploy.records import Recording
from migration.deploy.recovery import Recovery
from migration.deploy.release import NEW_CODE_IS_LIVE, Release, ReleaseResult, TimedStep
from migration.deploy.result import (
    DeployResult,
    Outcome,
    OutcomeWriter,
    nothing_to_deploy,
    settled_versions,
    would_deploy,
)
from migration.deploy.snapshot import Snapshot
from migration.deploy.staging import FunctionSpec, Pace
from migration.git.giterrors import Denied

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.lock import LockHold
    from migration.verify.gate import ExtraChecks, GateResult

TYPE_CHECK_PATIENCE = 3.0  # seconds that a person waits for `deno check` before the question


@dataclass(frozen=True)
class DeployOptions:
    """How one deploy goes.

    yes: do not ask. plan_hash: confirms the plan with this hash, at least 8 hex digits of it. only: these functions.
    gate: prove the new code. wait: for the lock, in seconds. lift_hold: why a rolled-back change may go live again.
    confirm: shows the plan and returns whether the person agrees; no lock is held meanwhile. extra: further checks
    of the gate. dry_run: check and show all that can be before the lock, and change nothing.
    """

    yes: bool = False
    plan_hash: str | None = None
    only: Sequence[str] = ()
    gate: bool = True
    wait: float = 0.0
    lift_hold: str | None = None
    confirm: Callable[[Plan], bool] = lambda _: True
    pace: Pace = field(default_factory=Pace)
    extra: ExtraChecks = field(default_factory=dict)
    dry_run: bool = False


def run(context: Context, options: DeployOptions | None = None) -> DeployResult:
    """Carries out what `plan` shows, all of it or nothing; the result's `exit_code` says how it ended.

    Refused: nothing was changed. Unfinished: an earlier deployment stands between two states and must be finished or
    undone first.
    """
    options = options or DeployOptions()
    asks = options.dry_run or (context.environment.confirm and not options.yes and not options.plan_hash)
    first = _plan(context, options, asks)
    resumed = _resumable(first, options)
    if first.pending is None or _closable(first.pending, options):
        if options.plan_hash:
            plan.expect(first, options.plan_hash)
        if not first.changes:
            return _nothing(context, first, options)
    _refuse_blocked(context, first, resumed, options)
    if not options.dry_run and (announcement := context.ledger.announce(fresh=False)):
        context.observer.note(announcement)
    check = typecheck.TypeCheck(context, first.changes, asks)
    shown: Callable[[], object] = _done
    try:
        if asks:
            context.observer.step("type check")
            check.wait(TYPE_CHECK_PATIENCE)
            check.report()
        if options.dry_run:
            options.confirm(first)
            return would_deploy(first, resumed, _same_again(first, options), context.clock.now())
        shown = _confirmed(first, resumed, options, asks)
        context.observer.step("lock")
        name = resumed.deployment.id if resumed else records.new_id(context.clock.now())
        with context.lock.held("deploy", options.wait, name) as lock:
            shown()
            context.observer.done("lock")
            return _locked(context, first, resumed, lock, options).carry_out()
    finally:
        with contextlib.suppress(OSError):  # the reader has gone; the verb reports that elsewhere
            shown()
        check.report()


def _done() -> None:
    """Nothing is being shown."""


# Before the lock


def _plan(context: Context, options: DeployOptions, asks: bool) -> Plan:
    """The plan. Before a person is asked, git is asked beside it whether we may push; else taking the lock shows it."""
    if options.plan_hash:
        plan.check_hash(options.plan_hash)
    context.project()  # refused before anything is begun
    write_access = begin([context.ledger.refs.check if asks else lambda: context.repository.empty_tree])  # for the lock
    first = plan.make(context, options.only, gated=options.gate)
    write_access()
    if isinstance(context.ledger.outage, Denied):  # a plan may rest on an older copy of the ledger, a deploy not
        raise context.ledger.outage
    return first


def _resumable(first: Plan, options: DeployOptions) -> Recovery | None:
    """The interrupted deployment that this deploy goes on with: the same revision and sources, and the same plan
    where one is named by its hash."""
    pending = first.pending
    if pending is None or pending.verdict not in recovery.RESUMABLE or not _same_change(pending, first):
        return None
    if options.plan_hash and not plan.matches(pending.deployment.plan_hash, options.plan_hash):
        return None
    return pending


def _same_change(pending: Recovery, first: Plan) -> bool:
    deployment = pending.deployment
    if deployment.kind != "deploy" or deployment.revision != first.revision:
        return False
    digests = {item.slug: item.source.digest for item in first.functions}
    return all(digests.get(one.slug) == one.wanted.get("source_digest") for one in deployment.functions)


def _closable(pending: Recovery, options: DeployOptions) -> bool:
    """Whether an interrupted deployment can be closed as it is: nothing of it went live, or other code took its place
    and the person, who gives the plan's hash, has seen that as drift."""
    return pending.verdict == "abandoned" or (pending.verdict == "foreign" and bool(options.plan_hash))


def _refuse_blocked(context: Context, first: Plan, resumed: Recovery | None, options: DeployOptions) -> None:
    """Everything that can be refused before a person is asked."""
    pending = first.pending
    if pending and not resumed and not _closable(pending, options):
        _refuse_if_locked(context, options)
        raise pending.unfinished()
    if first.hold and not options.lift_hold:
        stands = hold.Hold(**first.hold)
        if pending and pending.deployment.id == stands.id:
            _refuse_if_locked(context, options)
            raise _held_by_rollback(pending, first.only)
        raise hold.refuse(stands, first.next)
    if options.gate:
        from migration.verify import checks_run

        checks_run.criteria(context.config)  # refused here, not after going live
    preflight.check(context, first)


def _refuse_if_locked(context: Context, options: DeployOptions) -> None:
    """A deployment without an outcome may simply be running: then the lock is held, and the refusal names its owner."""
    if not options.dry_run:
        with context.lock.held("looking at an interrupted deployment"):
            pass


def _held_by_rollback(pending: Recovery, only: str) -> Unfinished:
    """A rollback that was interrupted before it moved anything holds the change all the same."""
    text = f"Not deployed: {pending.message} What it takes back is on hold. Finish it, or deploy anyway."
    return Unfinished(text, Do("to finish it:"), pending.next[0], Do("to deploy anyway:"), hold.lift_command(only))


def _confirmed(first: Plan, resumed: Recovery | None, options: DeployOptions, asks: bool) -> Callable[[], object]:
    """Whether the person agrees; Refused if not. `--yes` does not cover drift, code that a rollback restored and git
    does not hold, or a function that cannot be restored: those take the plan's hash, or the project ref typed.

    Returns what waits until the plan is shown: where there is no question, the lock is taken meanwhile.
    """
    if options.plan_hash:
        return _done
    known = set(resumed.deployment.slugs) if resumed else set()
    doubts = [f"{slug} has drifted" for slug in first.drifted if slug not in known]
    # The push of a revert starts CI, which must not replace what was restored.
    if first.replaced and not options.lift_hold:
        doubts.append(f"{drift.named(first.replaced)}, deployed outside Cutover and restored, would be replaced")
    doubts += [f"{item.slug} cannot be restored ({item.lost})" for item in first.irreversible if item.slug not in known]
    if doubts and not asks:
        raise Refused(f"Not deployed: {', '.join(doubts)}.", inv("plan", diff=True, only=first.only), first.command)
    if not asks:
        return begin([lambda: options.confirm(first)])
    if not options.confirm(first):
        raise Refused("Not confirmed: nothing was changed.", first.command)
    return _done


def _same_again(first: Plan, options: DeployOptions) -> Command:
    """The command of a dry run without `--dry-run`; the plan's hash confirms what was shown."""
    flags = {"only": first.only, "no_gate": not options.gate, "lift_hold": options.lift_hold}
    return inv("deploy", env=first.environment, plan=first.hash[:12], **flags)


def _nothing(context: Context, first: Plan, options: DeployOptions) -> DeployResult:
    """Nothing to change; an interrupted deployment of which nothing went live gets its outcome recorded."""
    pending = first.pending
    if options.dry_run:
        return nothing_to_deploy(first, None, context.clock.now())
    if pending:
        recovery.close_abandoned(context, pending, options.wait)
    return nothing_to_deploy(first, pending, context.clock.now())


# Under the lock


def _locked(
    context: Context, first: Plan, resumed: Recovery | None, lock: LockHold, options: DeployOptions
) -> DeployRun:
    """The work, from the plan as it is under the lock. Refused or Unfinished where something moved meanwhile."""
    again, details = _plan_again(context, first, resumed, options)
    pending = again.pending
    recording = records.begin(context, lock.deployment, lock, again.history)
    work = DeployRun(context, again, recording, options, details)
    if resumed:
        same = pending is not None and pending.deployment.id == recording.deployment and _same_change(pending, again)
        if not same:
            raise Refused("Not deployed: someone else resumed it meanwhile.", inv("status"))
        return replace(work, resumed=pending)
    if pending and not _closable(pending, options):
        raise pending.unfinished()
    if again.hash != first.hash:
        raise Refused(f"Not deployed: the plan has changed to {again.hash[:12]}.", inv("plan", only=again.only))
    if again.hold and not options.lift_hold:
        raise hold.refuse(hold.Hold(**again.hold), again.next)
    if pending:
        recovery.supersede(context, pending)
        work = replace(work, recording=replace(recording, history=context.ledger.history(fresh=False)))
    if options.lift_hold:
        lifted = hold.lift(context.ledger, again.history, options.lift_hold, again.only)
        context.observer.note(f"Lifted all holds: those of {listed(lifted)}." if lifted else "Nothing was on hold.")
    return work


def _plan_again(
    context: Context, first: Plan, resumed: Recovery | None, options: DeployOptions
) -> tuple[Plan, list[Function]]:
    """The plan under the lock, and beside it the settings of each function to change: the list may lack some."""
    changing = [] if resumed else [item.snapshot.function for item in first.changes if item.snapshot]
    tasks: list[Callable[[], Any]] = [
        lambda: plan.make(context, options.only, locked=True, gated=options.gate),
        lambda: snapshot.details(context, changing),
    ]
    again, details = every(tasks, lambda task: task())
    return again, details


@dataclass
class DeployRun:
    """One deployment under the lock: its plan, made under the lock, and `details`, each function to change as the
    platform describes it alone. `resumed`: the interrupted deployment that it goes on with."""

    context: Context
    plan: Plan
    recording: Recording
    options: DeployOptions
    details: Sequence[Function]
    resumed: Recovery | None = None
    steps: list[TimedStep] = field(default_factory=list)
    passing: dict[str, bool] = field(default_factory=dict)  # smoke cases of the untouched functions, before the change

    def __post_init__(self) -> None:
        self.budget = RequestBudget(self.context)
        began, unshown = self.context.clock.now(), self.options.plan_hash is not None
        self.writer = OutcomeWriter(self.context, self.plan, self.recording, began, self.steps, unshown=unshown)

    def carry_out(self) -> DeployResult:
        """Releases, proves, and restores what fails its gate."""
        release, slugs = self._resumed(self.resumed) if self.resumed else self._begun()
        with self._orderly():
            try:
                return self._released(release.run(), release.previous or {}, slugs)
            except CutoverError as error:  # after the activation: what is live could not be read
                return self.writer.unseen(error)

    def _begun(self) -> tuple[Release, Sequence[str]]:
        """Snapshot and intent; then there is something to release."""
        snapshots = self._snapshots()
        if self.options.gate:
            from migration.verify import gate, measure

            measure.keep_baseline(self.context, self.recording.history, self.plan.live, self.plan.base_revision)
            self.passing = gate.untouched(self.context, [item.slug for item in self.plan.changes])
        slugs = [item.slug for item in self.plan.changes]
        previous = {slug: one.spec(None) for slug, one in snapshots.items() if one.source is not None}
        previous |= {slug: FunctionSpec(slug, None, None) for slug in slugs if slug not in snapshots}
        release = self._release([item.spec() for item in self.plan.changes], previous, {})
        release.reserve()  # where a kill leaves nothing at all
        with self._orderly():
            self.recording.intent(self._intent(snapshots))
        return release, slugs

    def _resumed(self, pending: Recovery) -> tuple[Release, Sequence[str]]:
        """Go on where a process died: stage what is not staged, activate what is, prove all of it."""
        self.context.observer.note(f"{pending.message} Resuming it.")
        items = {item.slug: item for item in self.plan.functions}
        missing = [one.slug for one in pending.functions if one.state in ("before", "staged", "settled")]
        previous = recovery.previous(self.context, pending.deployment)
        return self._release([items[slug].spec() for slug in missing], previous, pending.answers), (
            pending.deployment.slugs
        )

    def _release(
        self, wanted: list[FunctionSpec], previous: Mapping[str, FunctionSpec], answers: Mapping[str, dict[str, Any]]
    ) -> Release:
        return Release(self.context, self.recording, wanted, previous, answers, self.options.pace, self.budget)

    def _snapshots(self) -> dict[str, Snapshot]:
        """The download was part of the plan; with the settings it is whole, and what git lacks is kept."""
        began = self._now()
        snapshots = {item.slug: item.snapshot for item in self.plan.changes if item.snapshot}
        details = {function.slug: function for function in self.details}
        for slug, one in snapshots.items():
            current = details.get(slug)
            if current is None:
                text = f"The platform lists {slug} but returns 404 for it. Nothing was changed."
                raise Refused(text, inv("plan", only=self.plan.only))
            if current.version != one.function.version:
                text = f"{slug} was deployed outside Cutover just now. Nothing was changed."
                raise Refused(text, inv("plan", only=self.plan.only))
            snapshots[slug] = replace(one, function=current)
        failpoint("snapshot.keep")
        snapshot.keep(self.context, snapshots.values())
        failpoint("snapshot.kept")
        self._step("snapshot", began, count(len(snapshots), "function"))
        return snapshots

    def _intent(self, snapshots: Mapping[str, Snapshot]) -> dict[str, Any]:
        return {
            "kind": "deploy",
            "revision": self.plan.revision,
            "base_revision": self.plan.base_revision,
            "plan_hash": self.plan.hash,
            "partial": self.plan.partial,
            "to": None,
            "hold": None,
            "functions": [
                {
                    "slug": item.slug,
                    "action": item.action,
                    "before": snapshots[item.slug].before() if item.slug in snapshots else None,
                    "wanted": {"source_digest": item.source.digest, "verify_jwt": item.verify_jwt},
                }
                for item in self.plan.changes
            ],
            "secrets": dict(self.plan.digests),
            "snapshots": {
                slug: {"digest": one.digest, "restorable": one.restorable} for slug, one in snapshots.items()
            },
        }

    @contextlib.contextmanager
    def _orderly(self) -> Iterator[None]:
        """A signal sends nothing more: it records what is known and leaves; the next command goes on from there."""
        try:
            yield
        except (Interrupted, OSError) as error:
            self.writer.interrupted(error)
            raise

    def _released(
        self, released: ReleaseResult, previous: Mapping[str, FunctionSpec], slugs: Sequence[str]
    ) -> DeployResult:
        """What follows the release: the gate and its verdict, or the record of what failed."""
        self.steps += released.steps
        self.writer.settled += settled_versions(released.settled, self.recording.left_by)
        if released.outcome != "live":
            pending = self.resumed.functions if self.resumed else ()
            return self.writer.failed(released, {one.slug: one.version for one in pending if one.state == "live"})
        live = {function.slug: function for function in self.context.supabase.functions()}
        activated = {slug: (live[slug].id, live[slug].version) for slug in slugs if slug in live}
        versions = {slug: version for slug, (_, version) in activated.items()}
        if not self.options.gate:
            why = "--no-gate skipped proof of life, smoke cases and criteria"
            return self.writer.close(Outcome("ungated", f"Live, NOT PROVEN: {why}.", 0, versions))
        judged = self._gate(activated)
        if judged.verdict == "pass":
            return self.writer.close(Outcome("live", "Live and proven.", 0, versions, gate=judged))
        if judged.keep:
            return self.writer.close(Outcome("unproven", f"Live, not proven: {judged.why}.", 4, versions, gate=judged))
        return self._restore(released, previous, versions, judged)

    def _gate(self, activated: Mapping[str, tuple[str, int]]) -> GateResult:
        from migration.verify import gate

        env = self.context.environment.name
        ways = either(inv("deploy", env=env), inv("rollback", env=env))
        interrupts.between("The new code is live and not proven.", *ways)
        began = self._now()
        failpoint("gate")
        judged = gate.run(
            self.context,
            self.writer.deployment(),
            activated,
            list(self.plan.live.values()),
            self.passing,
            self.options.extra,
        )
        failpoint("gate.after")
        self._step("gate", began, judged.verdict)
        return judged

    def _restore(
        self,
        released: ReleaseResult,
        previous: Mapping[str, FunctionSpec],
        versions: Mapping[str, int],
        judged: GateResult,
    ) -> DeployResult:
        """The gate failed: what was live before goes live again, and the change is put on hold."""
        self.context.observer.failed("gate", detail="restoring what was live before")
        interrupts.between(
            "The gate failed and a restore had begun.", inv("rollback", env=self.context.environment.name)
        )
        clock, began = self.context.clock, self.context.clock.monotonic()
        live = {function.slug: function for function in self.context.supabase.functions()}
        wanted = [replace(previous[slug], before=live.get(slug)) for slug in versions if slug in previous]
        restored = Release(
            self.context,
            self.recording.restoring(),
            wanted,
            pace=self.options.pace,
            budget=self.budget,
            meanwhile=NEW_CODE_IS_LIVE,
            restores=True,
        ).run()
        self.steps += restored.steps
        exposed = clock.monotonic() - (released.sent_at or began)
        lacking = [slug for slug in versions if slug not in previous]
        outcome = Outcome(
            "restored",
            f"The gate failed: {judged.why}. What was live before is live again; the new code was live for "
            f"{show(exposed)}.",
            1,
            {**{slug: versions[slug] for slug in lacking}, **restored.over(versions)},
            back=True,
            gate=judged,
            exposed=exposed,
            restored=clock.monotonic() - began,
            hold=hold.make(self.writer.deployment()),
        )
        error = restored.error or (Unfinished(f"{', '.join(lacking)} cannot be restored.") if lacking else None)
        if error is not None:
            text = f"The gate failed ({judged.why}), and the restore failed too: {error.message}"
            outcome = replace(
                outcome, outcome="unfinished", message=text, code=5, back=False, seen=False, steps=error.steps
            )
        return self.writer.close(outcome)

    def _now(self) -> tuple[float, float]:
        """What a step begins with: the time, and how much of it was waiting so far."""
        return self.context.clock.monotonic(), self.context.clock.slept

    def _step(self, name: str, began: tuple[float, float], detail: str) -> None:
        seconds, waited = (now - then for now, then in zip(self._now(), began, strict=True))
        self.steps.append(TimedStep(name, seconds, detail, waited))
        if detail != "fail":  # a gate that failed says what follows instead
            verdict = detail if detail == "inconclusive" else "pass"
            self.context.observer.settled(verdict, name, detail, seconds)
