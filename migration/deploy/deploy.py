"""Deploy: look, ask, lock, look again, snapshot, record, stage, activate, prove, and put back what does not prove."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import CutoverError, Interrupted, Refused, Unfinished
from migration.base.failpoint import failpoint
from migration.base.finding import named
from migration.base.parallel import begin, every
from migration.deploy import hold, plan, preflight, records, recovery, snapshot, typecheck
from migration.deploy.plan import Plan
from migration.deploy.records import Recording
from migration.deploy.recovery import Recovery
from migration.deploy.release import ReleaseResult, TimedStep, release
from migration.deploy.result import DeploymentSummary, DeployResult, Outcome, OutcomeWriter, settled_versions
from migration.deploy.snapshot import Snapshot
from migration.deploy.staging import Answer, FunctionSpec, Pace
from migration.git.giterrors import Denied

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment
    from migration.verify.gate import GateResult


SHORTEST_HASH = 8  # hex digits of a plan's hash that confirm it


def run(
    context: Context,
    *,
    yes: bool = False,
    plan_hash: str | None = None,
    only: Sequence[str] = (),
    gate: bool = True,
    wait: float = 0.0,
    lift_hold: str | None = None,
    confirm: Callable[[Plan], bool] = lambda _: True,
    pace: Pace | None = None,
) -> DeployResult:
    """Carries out what `plan` shows, all of it or none; `wait` is for the lock, in seconds.

    `confirm` shows the plan and says whether the person agrees; nobody holds the lock meanwhile. Refused: nothing was
    changed. Unfinished: an earlier deployment stands between two states and must be finished or undone first.
    Everything else ends in the result, whose `exit_code` says how.
    """
    asked = context.environment.confirm and not yes and not plan_hash
    made = _planned(context, only, asked)
    pending = made.pending
    resumed = pending if pending and _same(pending.deployment, made, plan_hash) else None
    if pending is None or _over(pending, plan_hash):
        if plan_hash:
            _expect(made, plan_hash)
        if not made.changes:
            return _nothing(context, made, pending, wait)
    if pending and pending.verdict not in ("abandoned", "staged", "live", "mixed", "settled"):
        resumed = None
    _ready(context, made, pending, resumed, plan_hash, lift_hold)
    if announced := context.ledger.announce(fresh=False):
        context.observer.note(announced)
    checked = typecheck.TypeCheck(context, made.changes, asked)
    shown: Callable[[], object] = lambda: None  # noqa: E731
    try:
        if asked:
            context.observer.step("type check")
            checked.wait(3.0)
            checked.tell()
        shown = _ask(context, made, yes, asked, plan_hash, confirm, resumed)
        return _locked(context, made, resumed, only, gate, wait, plan_hash, lift_hold, pace, shown)
    finally:
        with contextlib.suppress(OSError):  # whoever reads it has gone, and heard so already
            shown()
        checked.tell()


def _planned(context: Context, only: Sequence[str], asked: bool) -> Plan:
    """The plan. Beside it, before a person is asked, whether git lets us write at all; else taking the lock tells."""
    context.project()  # refused before anything is begun
    context.ledger  # noqa: B018 - made once, before threads ask for it
    probe = context.ledger.refs.check if asked else lambda: context.repository.empty_tree  # the lock is made of it
    made: Plan = begin([probe, lambda: plan.make(context, only)])()[-1]
    if isinstance(context.ledger.outage, Denied):  # a plan may be made of what was last known, and not carried out
        raise context.ledger.outage
    return made


def _ready(
    context: Context,
    made: Plan,
    pending: Recovery | None,
    resumed: Recovery | None,
    plan_hash: str | None,
    lift_hold: str | None,
) -> None:
    """Everything that can be refused before a person is asked."""
    if pending and not resumed and not _over(pending, plan_hash):
        _nobody_at_work(context)
        raise pending.unfinished()
    if made.hold and not lift_hold:
        found = hold.Hold(**made.hold)
        if pending and pending.deployment.id == found.id:
            raise _half(context, pending)
        raise hold.refuse(found, context)
    preflight.check(context, made)


def _over(pending: Recovery, plan_hash: str | None) -> bool:
    """Whether what was interrupted can be closed as it is: nothing of it went live, or somebody else's code took its
    place, and whoever gives the hash of the plan has seen that there as drift."""
    return pending.verdict == "abandoned" or (pending.verdict == "foreign" and bool(plan_hash))


def _nobody_at_work(context: Context) -> None:
    """A deployment without an end may simply be under way: then the lock is held, and says by whom."""
    with context.lock.held("looking at an interrupted deployment"):
        pass


def _same(deployment: Deployment, made: Plan, plan_hash: str | None) -> bool:
    """Whether going on with an interrupted deployment is what is asked for now."""
    if deployment.kind != "deploy" or deployment.revision != made.revision:
        return False
    if plan_hash and not deployment.plan_hash.startswith(plan_hash):
        return False
    wanted = {change.slug: change.wanted.get("source_digest") for change in deployment.functions}
    here = {item.slug: item.source.digest for item in made.functions}
    return all(here.get(slug) == digest for slug, digest in wanted.items())


def _expect(made: Plan, plan_hash: str) -> None:
    if made.hash.startswith(plan_hash.lower()) and len(plan_hash) >= SHORTEST_HASH:
        return
    hint = f"inv plan{made.only}\n{made.command}"
    if not re.fullmatch(rf"[0-9a-fA-F]{{{SHORTEST_HASH},64}}", plan_hash):
        text = f"--plan takes the hash that inv plan shows, at least {SHORTEST_HASH} digits of it, and not {plan_hash}."
        raise Refused(f"Not deployed: {text}", hint)
    text = f"the plan is {made.hash[:12]} now, and not {plan_hash}: something has moved since."
    raise Refused(f"Not deployed: {text}", hint)


def _ask(
    context: Context,
    made: Plan,
    yes: bool,
    asked: bool,
    plan_hash: str | None,
    confirm: Callable[[Plan], bool],
    resumed: Recovery | None,
) -> Callable[[], object]:
    """`--plan HASH` has agreed already. What is odd needs that or the ref typed: `--yes` is too easy.

    What it returns waits until the plan is shown: where nobody is asked, the lock is taken meanwhile.
    """
    if plan_hash:
        return lambda: None
    ours = set(resumed.deployment.slugs) if resumed else set()
    odd = [f"{slug} has drifted" for slug in made.drifted if slug not in ours]
    odd += [f"{item.slug} could not be put back ({item.lost})" for item in made.irreversible if item.slug not in ours]
    if odd and (yes or not context.environment.confirm):
        raise Refused(f"Not deployed: {', '.join(odd)}.", f"inv plan --diff{made.only}\n{made.command}")
    if not asked:
        return begin([lambda: confirm(made)])
    if not confirm(made):
        raise Refused("Not confirmed: nothing was changed.", made.command)
    return lambda: None


def _locked(
    context: Context,
    made: Plan,
    resumed: Recovery | None,
    only: Sequence[str],
    gate: bool,
    wait: float,
    plan_hash: str | None,
    lift_hold: str | None,
    pace: Pace | None,
    shown: Callable[[], object],
) -> DeployResult:
    name = resumed.deployment.id if resumed else records.name(context.clock.now())
    context.observer.step("lock")
    with context.lock.held("deploy", wait, name) as held:
        shown()
        context.observer.done("lock")
        again, told = _again(context, made, only, settings=resumed is None)
        pending = again.pending
        recording = records.begin(context, name, held, again.history)
        carry = DeployRun(context, again, told, recording, gate, pace or Pace())
        if resumed:
            if pending is None or pending.deployment.id != name or not _same(pending.deployment, again, None):
                raise Refused("Not deployed: someone else went on with it meanwhile.", "inv status")
            return carry.resume(pending)
        if pending and not _over(pending, plan_hash):
            raise pending.unfinished()
        if again.hash != made.hash:
            raise Refused(f"Not deployed: the plan has moved to {again.hash[:12]}.", "inv plan")
        if again.hold and not lift_hold:
            raise hold.refuse(hold.Hold(**again.hold), context)
        if pending:
            carry.abandon(pending)
        if lift_hold:
            hold.lift(context.ledger, again.history, lift_hold)
        return carry.run()


def _again(context: Context, made: Plan, only: Sequence[str], settings: bool) -> tuple[Plan, list[Function]]:
    """The plan as it is under the lock, and beside it the settings of each function that will be changed."""
    changing = [item.kept.function for item in made.changes if item.kept] if settings else []
    tasks: list[Callable[[], Any]] = [
        lambda: plan.make(context, only, locked=True),
        lambda: snapshot.details(context, changing),
    ]
    again, told = every(tasks, lambda task: task())
    return again, told


def _half(context: Context, pending: Recovery) -> Unfinished:
    """A rollback that never moved anything holds the change all the same: somebody wanted it gone."""
    _nobody_at_work(context)
    text = f"Not deployed: {pending.message} What it was to take back is held."
    ways = f"{pending.next[0]}\ninv deploy{context.environment.flag} --lift-hold 'why it is good now'"
    return Unfinished(f"{text} Finish it, or deploy all the same.", ways)


def _nothing(context: Context, made: Plan, pending: Recovery | None, wait: float) -> DeployResult:
    """Nothing to change; an interrupted deployment of which nothing went live gets its end on record."""
    now = context.clock.now()
    left = made.history.live
    ended = DeploymentSummary(
        left.id if left else "", "same", made.revision, made.base_revision, (), now, now, made.hash
    )
    text = "Nothing to deploy: what is live has this very source." if made.functions else "Nothing to deploy."
    text = " ".join([text, *(note for note in made.notes if "is not deployed" in note)])
    if pending is None:
        return DeployResult(ended, message=text)
    recovery.close_abandoned(context, pending, wait)
    kind, name = pending.deployment.kind, pending.deployment.id
    again = pending.next if kind == "rollback" else ()
    waits = named(pending.waits, context.environment.name)
    text = f"{text} The {kind} {name}, of which nothing had gone live, is closed. {waits}".rstrip()
    return DeployResult(ended, message=text, next=again)


@dataclass
class DeployRun:
    """One deployment on its way. Made under the lock, from a plan that was made under the lock, and from what the
    platform then told of each function to change."""

    context: Context
    made: Plan
    told: Sequence[Function]
    recording: Recording
    gated: bool
    pace: Pace
    steps: list[TimedStep] = field(default_factory=list)
    already: dict[str, int] = field(default_factory=dict)  # versions of it that were live before we began

    def __post_init__(self) -> None:
        self.ending = OutcomeWriter(self.context, self.made, self.recording, self.context.clock.now(), self.steps)

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

    def _snapshot(self) -> dict[str, Snapshot]:
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

    def _previous(self, kept: Mapping[str, Snapshot], slugs: Sequence[str]) -> dict[str, FunctionSpec]:
        """What a restore makes of each: its former source, or nothing for one that did not exist."""
        restorable = {slug: one.wanted(None) for slug, one in kept.items() if one.source is not None}
        return restorable | {slug: FunctionSpec(slug, None, None) for slug in slugs if slug not in kept}

    def _intent(self, kept: Mapping[str, Snapshot]) -> dict[str, Any]:
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
        wanted: list[FunctionSpec],
        previous: Mapping[str, FunctionSpec],
        answers: Mapping[str, Answer],
        slugs: Sequence[str],
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
        self,
        wanted: list[FunctionSpec],
        previous: Mapping[str, FunctionSpec],
        answers: Mapping[str, Answer],
        slugs: Sequence[str],
    ) -> DeployResult:
        released = ReleaseResult("live")
        if wanted:
            released = release(self.context, wanted, self.recording, previous=previous, answers=answers, pace=self.pace)
        self.steps += released.steps
        self.ending.waited += settled_versions(released.settled, self.recording.left_by)
        if released.outcome != "live":
            return self.ending.failed(released, self.already)
        live = {function.slug: function for function in self.context.supabase.functions()}
        activated = {slug: (live[slug].id, live[slug].version) for slug in slugs if slug in live}
        versions = {slug: version for slug, (_, version) in activated.items()}
        if not self.gated:
            self.context.observer.warn("NOTHING WAS PROVEN: --no-gate skipped proof of life, smoke cases and criteria.")
            return self.ending.close(Outcome("ungated", "Live, and nothing was proven (--no-gate).", 0, versions))
        found = self._judge(activated)
        if found.verdict == "pass":
            return self.ending.close(Outcome("live", "Live and proven.", 0, versions, gate=found))
        if found.keep:
            env = self.context.environment.flag
            ways = f"Look again with inv checks{env}, or undo it with inv rollback{env}."
            text = f"Live, and not proven: {found.why}. {ways}"
            return self.ending.close(Outcome("unproven", text, 4, versions, gate=found))
        return self._take_back(released.sent_at, previous, versions, found)

    def _judge(self, activated: Mapping[str, tuple[str, int]]) -> GateResult:
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
        self,
        sent_at: float | None,
        previous: Mapping[str, FunctionSpec],
        versions: Mapping[str, int],
        found: GateResult,
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
        end = Outcome(
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
        self.steps.append(TimedStep(name, seconds, detail))
        if detail != "fail":  # the gate that failed says why instead
            self.context.observer.done(name, detail=detail, seconds=seconds)


def _recorded(context: Context, deployment: Deployment) -> dict[str, FunctionSpec]:
    """What an interrupted deployment would have put back, from its record."""
    slugs = [change.slug for change in deployment.functions if change.before]
    previous = {
        change.slug: FunctionSpec(change.slug, None, None) for change in deployment.functions if not change.before
    }
    for slug in slugs:
        change = deployment.change(slug)
        try:
            found = snapshot.restorer(context, deployment, [slug])
        except CutoverError as error:
            context.observer.warn(f"{slug} could not be put back if this fails: {error.message}")
            continue
        jwt = change.before.get("verify_jwt") if change and change.before else None
        previous[slug] = FunctionSpec(slug, found[slug], None, jwt)
    return previous
