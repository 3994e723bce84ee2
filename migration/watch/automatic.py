"""A rollback without anyone typing it: the evidence for and against, and the ordinary rollback, with lock and record.

`guards` decides from the evidence. What speaks against it becomes an alarm of its own, so that a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from checks import stats
from migration.base.command import Do, Step, inv
from migration.base.errors import CutoverError, Refused
from migration.deploy import drift
from migration.rollback import rollback
from migration.rollback.plan import RollbackOptions, RollbackPlan
from migration.verify import baseline
from migration.watch import facts, guards, progress
from migration.watch.model import Alarm, AlarmSeverity, RollbackEvidence, WatchState

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History

_SOON = frozenset({"key_expires", "model_expires", "price_drift", "low_credit", "key_limit_low", "management_key"})


def question(context: Context, history: History) -> str:
    """What a person agrees to at the start."""
    live = history.live
    name = live.id if live else "what is live"
    return f"Roll {name} in {context.environment.name} back without asking, if it fails and the guards allow it"


def act(
    context: Context, state: WatchState, alarms: tuple[Alarm, ...], history: History, deployment: Deployment
) -> tuple[WatchState, tuple[Alarm, ...]]:
    """Roll back where an alarm stands and every guard holds; else say once why not. At most one rollback a watch."""
    since = [one.since for one in alarms if one.kind in ("test", "blackout") and _about(one, context, deployment)]
    if not since or state.acted:
        return state, alarms
    proof = evidence(context, state, alarms, history, deployment)
    decision = guards.decide(proof)
    now, why = context.clock.now(), decision.reason
    if decision.acts:
        return _roll_back(context, replace(state, refused=""), alarms, deployment, why)
    if decision.verdict == "wait":
        return replace(state, refused=""), alarms
    if state.refused != why:
        state = progress.event(replace(state, refused=why), now, f"not rolled back: {why}", "bad")
    return state, (*alarms, _action(state, now, f"not rolled back automatically: {why}", (), "warning"))


def evidence(
    context: Context, state: WatchState, alarms: Sequence[Alarm], history: History, deployment: Deployment
) -> RollbackEvidence:
    """Everything that the decision rests on."""
    changed = tuple(slug for slug in deployment.slugs if slug in context.config.migration.functions)
    own = [one for one in alarms if one.kind in ("test", "blackout") and _about(one, context, deployment)]
    began = min(one.since for one in own)
    counts = progress.since(state, began)
    failed, answers = (sum(counts.get(slug, (0, 0))[n] for slug in changed) for n in (0, 1))
    return RollbackEvidence(
        stood=int((state.cursor - began).total_seconds() // state.every),
        wanted=context.config.watch.auto_rollback.rounds,
        failed=failed,
        answers=answers,
        past=_past(context, history, deployment, changed),
        elsewhere=tuple(_elsewhere(context, alarms, counts)),
        obstacles=tuple(_obstacles(context, history)),
        old_provider=tuple(_old_provider(context, history, deployment)),
        inconclusive=state.no_data is not None,
        acted=bool(state.acted),
        changed=changed,
        failing=tuple(_failing(context, counts, changed)),
    )


def _about(one: Alarm, context: Context, deployment: Deployment) -> bool:
    """Whether an alarm is about what this deployment changed."""
    unchanged = one.function in context.config.migration.unchanged
    return not unchanged and (not one.function or one.function in deployment.slugs)


def _failing(context: Context, counts: Mapping[str, tuple[int, int]], changed: Sequence[str]) -> Iterator[str]:
    """The migrated functions that fail: changed ones above the limit; of others one failure proves nothing."""
    limit = context.config.watch.limit("success_rate")
    for slug in context.config.migration.functions:
        bad, answers = counts.get(slug, (0, 0))
        if bad and (bad > limit * answers if slug in changed else stats.exact(bad, answers).low > limit):
            yield slug


def _past(context: Context, history: History, deployment: Deployment, changed: Sequence[str]) -> tuple[int, int] | None:
    """(failed, answers) of the code that would be live again: of its own watches, else of the baseline."""
    before = history.live_before(deployment.id)
    if before is not None:
        counts = [one for record in before.watches if (one := _counts(record, changed))]
        return (sum(bad for bad, _ in counts), sum(all_ for _, all_ in counts)) if counts else None
    known = baseline.known(history, context.config.app.base or deployment.base_revision)
    if known is None:
        return None
    own = [part for part in known.traffic if part.function in changed]
    return sum(part.trials - part.successes for part in own), sum(part.trials for part in own)


def _counts(record: Mapping[str, object], changed: Sequence[str]) -> tuple[int, int] | None:
    """What one watch of a deployment counted of these functions."""
    counts = record.get("counts")
    own = [counts[slug] for slug in changed if slug in counts] if isinstance(counts, dict) else []
    return (sum(int(one[0]) for one in own), sum(int(one[1]) for one in own)) if own else None


def _elsewhere(context: Context, alarms: Sequence[Alarm], counts: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Unchanged functions that are not healthy in the same rounds."""
    for slug in context.config.migration.unchanged:
        bad, answers = counts.get(slug, (0, 0))
        alarmed = any(one.function == slug and one.kind in ("test", "blackout") for one in alarms)
        surely = answers > 0 and stats.exact(bad, answers).low > context.config.watch.limit("unchanged")
        if alarmed or surely:
            yield f"{slug}, which was not changed, fails too: {bad} of {answers}"


def _obstacles(context: Context, history: History) -> Iterator[str]:
    """What a rollback would meet."""
    holder = context.lock.holder(fresh=False)
    if holder is not None and not holder.stale:
        yield f"the lock is held by {holder}"
    if history.interrupted is not None:
        yield f"{history.interrupted.kind} {history.interrupted.id} was interrupted"
    if history.holds:
        yield f"{len(history.holds)} earlier changes are on hold" if len(history.holds) > 1 else "a change is on hold"
    live = {one.slug: one for one in context.supabase.functions()}
    if foreign := drift.versions(history, live, context.config.migration.functions):
        yield f"{drift.named(foreign)} was deployed outside Cutover"


def _old_provider(context: Context, history: History, deployment: Deployment) -> Iterator[str]:
    """What stands in the way of the provider that the code before needs, or is not known of it."""
    base = history.live_before(deployment.id) is None
    if context.config.migration.from_ is None and base:
        return
    try:
        findings = context.check_provider()
    except CutoverError as error:
        yield error.message
        return
    for one in findings:
        ours = one.for_rollback == base and one.kind not in _SOON
        if ours and (base or one.severity == "error" or one.kind in facts.UNREAD):
            yield f"{one.problem}: {one.evidence}"


def _roll_back(
    context: Context, state: WatchState, alarms: tuple[Alarm, ...], deployment: Deployment, why: str
) -> tuple[WatchState, tuple[Alarm, ...]]:
    """The ordinary rollback of the watched deployment. What it could not do is an alarm with the command to type."""
    now = context.clock.now()

    def only_this(plan: RollbackPlan) -> bool:
        """A rollback takes back the newest deployment, which may be another one since the round began."""
        if plan.undone != (deployment.id,):
            raise Refused(f"{deployment.id} is not the newest deployment any more", inv("status"))
        return True

    try:
        result = rollback.run(context, RollbackOptions(confirm=only_this))
    except CutoverError as error:
        words = f"not rolled back automatically: {error.message}"
        if state.refused != words:
            state = progress.event(replace(state, refused=words), now, words, "bad")
        if error.exit_code == 5:
            state = replace(state, acted=words, needs_person=words)
        return state, (*alarms, _action(state, now, words, _typed(error.steps), "critical"))
    name = result.deployment.id if result.deployment else "nothing was left to do"
    words = f"rolled back automatically ({name}): {result.message}".rstrip(": ")
    state = progress.event(replace(state, acted=words), now, f"{words} Why: {why}.", "bad")
    if result.exit_code == 5:
        state = replace(state, needs_person=result.message)
    alarm = _action(state, now, words, _typed(result.next), "critical")
    return state, (*alarms, replace(alarm, evidence=(why,)))


def _action(state: WatchState, now: datetime, words: str, commands: tuple[str, ...], severity: AlarmSeverity) -> Alarm:
    """What a watch did, or why it did nothing; it stands since it was first so."""
    alarm = Alarm("rollback", severity, now, words, "", "action", "rollback", commands=commands)
    return replace(alarm, since=state.standing.get(alarm.key, now))


def _typed(steps: Sequence[Step | str]) -> tuple[str, ...]:
    """The steps as they are pasted into a shell; what is to be done elsewhere is a comment there."""
    return tuple(f"# {step}" if isinstance(step, Do) else str(step) for step in steps)
