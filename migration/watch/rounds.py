"""One round: what is live, what the logs hold that is new, the providers and the spend, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.command import Do, inv
from migration.base.durations import show
from migration.base.errors import ServiceFailed
from migration.logs.reader import LogReader
from migration.watch import facts, judge, probes, progress, rows, subject
from migration.watch.model import Alarm, RoundResult, WatchState
from migration.watch.subject import WatchSubject

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History

SANDBOX_RIPE = timedelta(seconds=5)  # its log rows are there at once
WRONG = 300.0  # seconds; with a clock that is further off a round would take looks that are not over, for all machines
_GAP = 2.5  # of `every`: a longer pause between two rounds is reported


@dataclass(frozen=True)
class Standing:
    """Whether the watched deployment is still the live one. `over`: why it is not, which ends the watch.

    `busy`: another change is under way; `stuck`: it was interrupted, and a person must act.
    """

    over: str = ""
    busy: str = ""
    stuck: str = ""


def standing(context: Context, history: History, state: WatchState) -> Standing:
    """What the ledger says of the watched deployment."""
    open_ = history.interrupted
    if open_ is not None and open_.id != state.deployment:
        holder = context.lock.holder(fresh=False)
        if holder is not None and not holder.stale:
            return Standing(busy=f"{open_.kind} {open_.id} is under way")
        return Standing(stuck=f"{open_.kind} {open_.id} by {open_.who or 'unknown'} was interrupted")
    if history.live is not None and history.live.id == state.deployment:
        return Standing()
    undone = history.undone(state.deployment)
    if undone is not None:
        return Standing(over=f"{state.deployment} was rolled back by {undone.id}")
    newer = history.live
    return Standing(over=f"{newer.id} is live now" if newer else f"{state.deployment} is not live any more")


def run(context: Context, state: WatchState, history: History, deployment: Deployment, ready: Standing) -> RoundResult:
    """The state after this round and every alarm that stands. ServiceFailed where the platform does not answer."""
    now = context.clock.now()
    own = subject.of(context, history, deployment)
    notes = list(_gap(state, now))
    if notes:
        state = progress.event(state, now, notes[0])
    state = _read(context, state, own, now)
    state = _learn(context, state, own, now, notes)
    _in_time(context)
    if not ready.busy:  # last: a round that fails is not stored, so that nothing would know what its probes cost
        state = probes.send(context, state)
    state = replace(progress.settle(state), rounds=state.rounds + 1, round_at=now, versions=dict(own.expected))
    alarms = tuple(_alarms(context, state, ready, now))
    if silent := judge.quiet(state):
        notes.append(silent)
    return RoundResult(stand(state, alarms, now), alarms, tuple(notes))


def _in_time(context: Context) -> None:
    """ServiceFailed where this machine's clock is too far off: looks would be taken that are not over."""
    if abs(ahead := context.ahead) > WRONG:
        way = "ahead of" if ahead > 0 else "behind"
        text = f"This machine's clock is {show(abs(ahead))} {way} the Management API's: this round does not count."
        raise ServiceFailed(text, Do("set the clock"), inv("watch", resume=True))


def due(state: WatchState, now: datetime, ripe: timedelta) -> bool:
    """Whether a round has anything to do: a look is ripe that was not taken, or the last round is long enough ago."""
    if state.round_at is None or now - state.round_at >= timedelta(seconds=state.every / 2):
        return True
    return state.cursor + timedelta(seconds=state.every) <= min(now - progress.ripe_after(state, ripe), state.until)


def least_ripe(context: Context) -> timedelta:
    """How long rows are waited for at least."""
    return SANDBOX_RIPE if context.environment.embedded else progress.LEAST_RIPE


def stand(state: WatchState, alarms: Sequence[Alarm], now: datetime) -> WatchState:
    """Remember which alarms stand, and put what began and ended among the events."""
    before, after = state.standing, {one.key: one.since for one in alarms}
    for one in alarms:
        if one.key not in before:
            state = progress.event(state, now, f"alarm: {one.summary}", "bad")
    for key in before:
        if key not in after:
            words = " ".join(filter(None, key.split(":")[1:]))
            state = progress.event(state, now, f"resolved: {words}", "good")
    critical = {one.key: one.summary for one in alarms if one.severity == "critical"}
    return replace(state, standing=after, alarmed={**state.alarmed, **critical})


def _gap(state: WatchState, now: datetime) -> Iterator[str]:
    if state.round_at is not None and (away := (now - state.round_at).total_seconds()) > _GAP * state.every:
        yield f"no rounds for {show(away)} since {state.round_at:%H:%M:%SZ}: the rows of that time are read now"


def _read(context: Context, state: WatchState, own: WatchSubject, now: datetime) -> WatchState:
    """Take every look whose rows must have come by now."""
    wanted = subject.wanted(context.config, own, state)
    least = least_ripe(context)
    until = progress.ripe_until(state, wanted, now, least)
    since = progress.read_from(state, wanted, now)
    end = min(max(now, until), state.until + timedelta(seconds=state.every))
    reading = rows.read(LogReader.of(context), wanted, since, end)
    looks = range(wanted.number(state.cursor), wanted.number(until))
    state = progress.advance(state, reading, wanted, (since, end), until, now, own.migrated)
    readings = facts.Facts(tuple(facts.versions(reading, wanted, own.migrated, looks)), ("provider:",))
    return facts.remember(state, readings, now)


def _learn(context: Context, state: WatchState, own: WatchSubject, now: datetime, notes: list[str]) -> WatchState:
    """The facts beside the logs, and whether money was spent of which the logs know nothing."""
    learned = facts.gather(context, state)
    notes += learned.notes
    learned = replace(learned, readings=(*learned.readings, *facts.listed(own.listed, own.expected)))
    state = facts.remember(state, learned, now)
    if learned.month is not None:
        state = replace(state, spend=learned.month.spent, projected=learned.month.projected)
    return _unseen(state, learned.usage, now)


def _unseen(state: WatchState, usage: float | None, now: datetime) -> WatchState:
    """The provider books requests while no answer is in the logs, for two rounds: rows are late or lost."""
    if usage is None:
        return state
    grew = state.usage is not None and usage > state.usage + 1e-9
    unseen = state.unseen_spend + 1 if grew and not _recent(state, now) else 0
    state = replace(state, usage=usage, unseen_spend=unseen)
    if unseen < facts.RUNNING:
        return state
    last = state.answered_at or state.started
    why = f"the provider booked requests on the key, and the logs hold none since {last:%H:%M:%SZ}"
    return progress.no_data(state, why, now)


def _recent(state: WatchState, now: datetime) -> bool:
    """Whether any look of the last twenty minutes holds an answer."""
    first = (now - timedelta(minutes=20) - state.started) // timedelta(seconds=state.every)
    return any(many for number, many in state.seen.items() if int(number) >= first)


def _alarms(context: Context, state: WatchState, ready: Standing, now: datetime) -> Iterator[Alarm]:
    """Everything that stands now, each with the time since when it does."""
    labels = {name: one.label for name, one in context.config.criteria.named.items()}
    alarms = [
        *judge.alarms(state, labels), *facts.alarms(state), *facts.spend_alarms(state, context.config.budget, now)
    ]  # fmt: skip
    if state.no_data:
        since, why = state.no_data.since, state.no_data.why
        alarms.append(Alarm("logs", "warning", since, f"log rows are late or lost: {why}", "", "no_data", "logs"))
    if ready.stuck:
        alarms.append(Alarm("deployment", "critical", now, ready.stuck, "", "fact", "version"))
    for one in alarms:
        yield replace(one, since=state.standing.get(one.key, one.since))
