"""Deploy: look, ask, lock, look again, snapshot, record, stage, activate, prove, and put back what does not prove."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from migration.base.errors import Refused, Unfinished
from migration.base.finding import named
from migration.base.parallel import begin, every
from migration.deploy import ends, hold, plan, preflight, recorder, snapshot, typecheck
from migration.deploy.carry import Carry
from migration.deploy.outcome import Deployed, DeployResult
from migration.deploy.plan import Plan
from migration.deploy.recovery import Recovery
from migration.deploy.staging import Pace
from migration.git.giterrors import Denied

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment

__all__ = ["DeployResult", "run"]
_SHORTEST = 8


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
    if made.hash.startswith(plan_hash.lower()) and len(plan_hash) >= _SHORTEST:
        return
    hint = f"inv plan{made.only}\n{made.command}"
    if not re.fullmatch(rf"[0-9a-fA-F]{{{_SHORTEST},64}}", plan_hash):
        text = f"--plan takes the hash that inv plan shows, at least {_SHORTEST} digits of it, and not {plan_hash}."
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
    name = resumed.deployment.id if resumed else recorder.name(context.clock.now())
    context.observer.step("lock")
    with context.lock.held("deploy", wait, name) as held:
        shown()
        context.observer.done("lock")
        again, told = _again(context, made, only, settings=resumed is None)
        pending = again.pending
        recording = recorder.begin(context, name, held, again.history)
        carry = Carry(context, again, told, recording, gate, pace or Pace())
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
    ended = Deployed(left.id if left else "", "same", made.revision, made.base_revision, (), now, now, made.hash)
    text = "Nothing to deploy: what is live has this very source." if made.functions else "Nothing to deploy."
    text = " ".join([text, *(note for note in made.notes if "is not deployed" in note)])
    if pending is None:
        return DeployResult(ended, message=text)
    ends.abandon(context, pending, wait)
    kind, name = pending.deployment.kind, pending.deployment.id
    again = pending.next if kind == "rollback" else ()
    waits = named(pending.waits, context.environment.name)
    text = f"{text} The {kind} {name}, of which nothing had gone live, is closed. {waits}".rstrip()
    return DeployResult(ended, message=text, next=again)
