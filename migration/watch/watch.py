"""`inv watch`: rounds until the planned time is over, one run leading, any run able to carry on where another stopped.

A round is: read the state, judge what is new, store the state with every message that is due, send the messages, store
that they were sent. Of two runs that do this at once the first write counts, and the other one begins again from it.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from os import getpid
from typing import TYPE_CHECKING

from migration.base import interrupts
from migration.base.command import Step, inv
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted, Refused, ServiceFailed, Unfinished
from migration.git.giterrors import Denied
from migration.ledger import actor
from migration.watch import alerts, automatic, notify, probes, progress, report, rounds, subject
from migration.watch.model import Alarm, AlertBook, Leader, Surroundings, WatchState
from migration.watch.report import COMPLETE, WatchRound
from migration.watch.store import StoredWatch, WatchRef

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import History

RACES = 6  # rounds begun again after another run was first
FRESH = timedelta(minutes=2)  # a message that another run opened so lately is still being sent by it
RARELY = timedelta(hours=1)  # between two writes on a branch, unless something happened
GLANCE = 60.0  # seconds between two looks of a run that waits for the leader
_UNREACHED = (ServiceFailed, Denied)


@dataclass(frozen=True)
class WatchOptions:
    """`span` and `every` in seconds, None as configured. `resume`: only carry on. `automatic`: may roll back by itself,
    once `confirm` agreed."""

    span: float | None = None
    every: float | None = None
    once: bool = False
    resume: bool = False
    automatic: bool = False
    confirm: Callable[[str], bool] = field(default=lambda _: True)


def run(context: Context, options: WatchOptions | None = None) -> Iterator[WatchRound]:
    """Each round as it ends; the last one's `exit_code` is the watch's. Refused where there is nothing to watch."""
    watch = _Watch(context, options or WatchOptions())
    watch.check()
    if watch.options.resume and (over := watch.over()):
        return iter([over])
    return iter([watch.once()]) if watch.options.once else watch.rounds()


def close(context: Context) -> WatchRound | None:
    """End the watch of a deployment that was just rolled back, with its record and its last message, as its next round
    would. None where there is none, or it cannot be done now: then that round does it."""
    watch = _Watch(context, WatchOptions(once=True))
    try:
        history = context.ledger.history()
        if context.ledger.outage is not None or watch.ref.ref not in (context.ledger.remote_refs or {}):
            return None
        state = watch.ref.read(fresh=False).state
        if state is None or state.ended or not rounds.standing(context, history, state).over:
            return None
        return watch.once()
    except CutoverError:
        return None


class _Watch:
    """One run of the verb."""

    def __init__(self, context: Context, options: WatchOptions) -> None:
        self.context, self.options = context, options
        self.clock = context.clock
        self.id = secrets.token_hex(4)
        self.ref = WatchRef(context.ledger)
        self.memory = StoredWatch()  # the newest state that this run made; on a branch not every one is written
        self.written = StoredWatch()  # the last one that it wrote
        self.seen: tuple[str | None, float] = (None, 0.0)  # the commit that another leader wrote last, and when
        self.unsent: AlertBook | None = None
        self.part = ""  # the watch in which this run took part last

    @cached_property
    def notifiers(self) -> notify.Notifiers:
        return notify.of(self.context.config.watch, self.context.environment.embedded)

    def check(self) -> None:
        """Before anything is read: the project, the notifiers, the right to write, and who agrees to a rollback."""
        self.context.project()
        span, every = self._times()
        if span < every:
            raise Refused(f"A watch of {show(span)} is shorter than one round of {show(every)}.", inv("watch"))
        for note in self.notifiers.notes:
            self.context.observer.warn(note)
        history = self.context.ledger.history()
        self.context.ledger.refs.check()
        stored = self.ref.read(fresh=False)
        if self.options.resume and stored.state is None:
            raise Refused("There is no watch to resume: none was ever begun here.", inv("watch"))
        over = stored.state is not None and stored.state.ended and self.options.once
        if not self.options.resume and not over and (stored.state is None or stored.state.ended):
            subject.live_deployment(self.context, history)
        self._say_length(stored.state)
        if words := probes.announced(self.context.config):
            self.context.observer.note(words)
        if self.options.automatic and not self.options.confirm(automatic.question(self.context, history)):
            raise Refused("Not confirmed: nothing was changed.", inv("watch", auto_rollback=True))

    def _say_length(self, state: WatchState | None) -> None:
        """That --for only ever extends a watch which is under way."""
        if state is None or state.ended or self.options.span is None:
            return
        if state.started + timedelta(seconds=self.options.span) < state.until:
            until = f"{state.until:%Y-%m-%d %H:%M:%SZ}"
            self.context.observer.note(f"--for does not shorten the watch that is under way: it ends at {until}.")

    def over(self) -> WatchRound | None:
        """The watch that there is to resume, where it has ended and is on record: in a chain of jobs the last one ends
        as the watch did."""
        state = self.ref.read(fresh=False).state
        if state is None or not state.ended or not state.recorded:
            return None
        return self._shown(state, notes=(f"there is nothing to resume, the watch has ended: {state.ended}",))

    def _times(self) -> tuple[float, float]:
        """How long, and from round to round, in seconds."""
        settings = self.context.config.watch
        return self.options.span or settings.for_, self.options.every or settings.every

    # One round

    def once(self) -> WatchRound:
        """One round, for schedulers: where nothing is due, or the watch is over, nothing is written."""
        history = self._history()
        state = self.ref.read(fresh=False).state
        if state is not None and state.ended and state.recorded and not _newer(history, state):
            return self._shown(state, notes=(f"the watch has ended: {state.ended}",))
        if state is not None and not state.ended and not self._due(state, history):
            return self._shown(state, notes=("nothing is due yet",))
        if state is not None and not state.ended:
            self.part = state.id
        return self._round(lead=False)

    def _due(self, state: WatchState, history: History) -> bool:
        """Whether a round has anything to do; the end of the watch is due at once."""
        over = rounds.standing(self.context, history, state).over
        return bool(over) or rounds.due(state, self.clock.now(), self._least)

    def _round(self, lead: bool) -> WatchRound:
        """A round from the newest state, begun again where another run wrote first."""
        for attempt in range(RACES):
            history = self._history(fresh=attempt > 0 or not lead)
            if shown := ((self._follow() if attempt and lead else None) or self._finished()):
                return shown
            stored = self._stored()
            state = self._current(stored, history)
            self.part = state.id
            if (attempt or not lead) and not state.ended and not self._still_due(state, history, lead):
                return self._shown(state, notes=("another run took this round",))
            shown = self._judge(state, history)
            state = replace(shown.state, leader=self._leader() if lead else shown.state.leader)
            state = self._notified(state, shown.alarms, history)
            written = self._write(state, stored)
            if written is None:
                continue
            state = self._deliver(state, written)
            self._recorded(state, written)
            return replace(shown, state=self.memory.state or state, messages=_titles(state))
        raise Unfinished("Other runs of the watch were first in every try.", inv("watch", resume=True))

    def _still_due(self, state: WatchState, history: History, lead: bool) -> bool:
        """Whether a round that was begun again has anything left to do; a leader stores at least that it leads."""
        leads = not lead or (state.leader is not None and state.leader.id == self.id)
        return not leads or self._due(state, history)

    def _judge(self, state: WatchState, history: History) -> WatchRound:
        """The state after a round, the end of the watch included."""
        if state.ended:
            return self._shown(state)
        standing = rounds.standing(self.context, history, state)
        if standing.over:
            ended = replace(state, ended=standing.over, ended_at=self.clock.now())
            return self._shown(progress.event(ended, self.clock.now(), f"ended: {standing.over}"))
        deployment = history.find(state.deployment)
        assert deployment is not None
        notes = (standing.busy,) if standing.busy else ()
        judged = rounds.run(self.context, state, history, deployment, standing)
        state, alarms = judged.state, judged.alarms
        state = replace(state, needs_person=standing.stuck)
        if self.options.automatic and not standing.busy and not standing.stuck:
            state, alarms = automatic.act(self.context, state, alarms, history, deployment)
        if self._complete(state):
            state = replace(state, ended=COMPLETE, ended_at=self.clock.now())
            state = progress.event(state, self.clock.now(), f"ended: {COMPLETE}")
        return self._shown(state, alarms, notes=(*notes, *judged.notes))

    def _complete(self, state: WatchState) -> bool:
        """Whether every look of the planned time was taken, or its rows have had their time."""
        last = state.until - timedelta(seconds=state.every)
        return state.cursor > last or self.clock.now() >= state.until + progress.MOST_RIPE

    def _current(self, stored: StoredWatch, history: History) -> WatchState:
        """The state to go on from: the stored one; a new one for a first watch, or after one that is over."""
        state = stored.state
        if state is None or (state.ended and state.recorded):
            deployment = subject.live_deployment(self.context, history)
            span, every = self._times()
            return subject.begin(self.context, subject.of(self.context, history, deployment), span, every)
        if self.options.span is not None and not state.ended:
            return replace(state, until=max(state.until, state.started + timedelta(seconds=self.options.span)))
        return state

    # Alerts

    def _notified(self, state: WatchState, alarms: tuple[Alarm, ...], history: History) -> WatchState:
        """The state with every message that is due, opened by this run."""
        now, around = self.clock.now(), self._around(state, history)
        book = state.alerts
        if state.ended in ("", COMPLETE):  # else nothing was judged in this round, so that nothing is resolved
            book = alerts.observe(book, alarms, around, now, repeat=self.context.config.watch.repeat)
        if state.ended:
            words, severity = report.closing(state)
            book = alerts.end(book, around, now, words, report.lines(state), severity)
        elsewhere = any(one.opened not in ("", self.id) for one in book.outbox)
        if elsewhere and state.stored_at is not None and now - state.stored_at < FRESH:
            return replace(state, alerts=book)
        return replace(state, alerts=alerts.claim(book, self.id))

    def _around(self, state: WatchState, history: History) -> Surroundings:
        live = ", ".join(f"{slug} v{version}" for slug, version in state.versions.items())
        name = history.live.id if history.live else "the code from before Cutover"
        return Surroundings(
            self.context.environment.name, state.deployment, f"{name} is live ({live})" if live else f"{name} is live",
            (), self.context.ledger.who,
        )  # fmt: skip

    def _deliver(self, state: WatchState, written: StoredWatch) -> WatchState:
        """Send what this run opened, and store that it was sent; a failure of that store means a possible repeat."""
        if not any(one.opened == self.id for one in state.alerts.outbox):
            return state
        state = replace(state, alerts=self.notifiers.deliver(state.alerts, self.clock.now()))
        try:
            again = self._write(state, written)
            if again is None:
                self._tell_winner(state)
        except _UNREACHED as error:
            self.memory = StoredWatch(state, written.commit)
            self.context.observer.warn(f"Could not store that alerts were sent: {error.message}")
        return state

    def _tell_winner(self, state: WatchState) -> None:
        """Another run wrote meanwhile: take what was sent out of its outbox."""
        sent = {one.id: one for one in state.alerts.sent}
        for _ in range(RACES):
            stored = self.ref.read()
            if stored.state is None or stored.state.id != state.id:
                return
            book = stored.state.alerts
            done = [sent[one.id] for one in book.outbox if one.id in sent]
            if not done:
                return
            left = tuple(one for one in book.outbox if one.id not in sent)
            merged = replace(stored.state, alerts=replace(book, outbox=left, sent=(*book.sent, *done)))
            if self.ref.write(merged, stored.commit) is not None:
                return

    # The state

    def _stored(self) -> StoredWatch:
        """The newest state as the ledger's last reading found it: this run's own where nothing was written since."""
        stored = self.ref.read(fresh=False)
        own = self.memory
        return own if own.state is not None and own.commit == stored.commit else stored

    def _write(self, state: WatchState, stored: StoredWatch, always: bool = False) -> StoredWatch | None:
        """The state as stored, None where another run was first. On a branch only what matters is written."""
        before = self.written.state if self.written.commit == stored.commit else stored.state
        happened = (
            always or before is None or alerts.differ(before.alerts, state.alerts) or before.leader is None
            or (state.leader is not None and before.leader.id != state.leader.id) or before.standing != state.standing
            or state.ended != before.ended
        )  # fmt: skip
        now = self.clock.now()
        lately = state.stored_at is not None and now - state.stored_at < RARELY
        if self.ref.on_branch and not happened and lately:
            self.memory = StoredWatch(state, stored.commit)
            return self.memory
        state = replace(state, stored_at=now)
        commit = self.ref.write(state, stored.commit)
        if commit is None:
            return None
        self.memory = self.written = StoredWatch(state, commit)
        return self.memory

    def _recorded(self, state: WatchState, written: StoredWatch) -> None:
        """A watch that is over is on its deployment in the ledger, once."""
        if not state.ended or state.recorded:
            return
        self.context.ledger.keep(report.record(state))
        newest = self.memory if self.memory.state is not None else written
        assert newest.state is not None
        self._write(replace(newest.state, recorded=True, leader=None), newest, always=True)

    # Rounds

    def rounds(self) -> Iterator[WatchRound]:
        """Rounds at their times, until the watch is over; or what the leader stores, while another run leads."""
        interrupts.between(
            "Nothing was changed. The watch is where it was; to carry on:", inv("watch", resume=True), exit_code=130
        )
        try:
            yield from self._all()
        except Interrupted:
            self._resign()
            raise

    def _all(self) -> Iterator[WatchRound]:
        last: WatchRound | None = None
        while True:
            try:
                self._history()
                shown = self._follow() or self._finished() or self._round(lead=True)
            except _UNREACHED as error:
                shown = self._cut_off(error, last)
            yield shown
            last, self.part = shown, shown.state.id
            if shown.state.ended and not shown.following and not self._begins_again(shown.state):
                return
            self._wait(shown)

    def _begins_again(self, state: WatchState) -> bool:
        """Whether a newer deployment ended this watch, so that a new one begins for it. After a rollback none does."""
        try:
            history = self._history()
        except _UNREACHED:
            return False
        return state.ended != COMPLETE and _newer(history, state)

    def _wait(self, shown: WatchRound) -> None:
        now, state = self.clock.now(), shown.state
        if state.ended:
            return
        if shown.following:
            self.clock.sleep(min(GLANCE, state.every / 2))
            return
        every = timedelta(seconds=self.options.every or state.every)
        done = (now - state.started) // every
        self.clock.sleep((state.started + every * (done + 1) - now).total_seconds())

    def _cut_off(self, error: CutoverError, last: WatchRound | None) -> WatchRound:
        """A round without an answer: nothing is lost, the next one reads what this one could not."""
        if last is None:
            raise error
        return replace(last, outage=error.message, notes=())

    # One leads

    def _leader(self) -> Leader:
        return Leader(self.id, self.context.ledger.who, self.clock.now(), socket.gethostname(), getpid())

    def _follow(self) -> WatchRound | None:
        """What the leader stored, where another run leads and is alive; else None: this run leads."""
        stored = self._stored()
        state = stored.state
        if state is None or state.ended or state.leader is None or state.leader.id == self.id:
            return None
        if stored.commit != self.seen[0]:
            began = self.clock.monotonic() - max((self.clock.now() - state.leader.at).total_seconds(), 0.0)
            self.seen = (stored.commit, began if self.seen[0] is None else self.clock.monotonic())
        if self._gone(state, state.leader, self.clock.monotonic() - self.seen[1]):
            return None
        name = f"{state.leader.who} on {state.leader.host}"
        return self._shown(state, following=name, notes=(f"{name} leads this watch; this run waits to take over",))

    def _finished(self) -> WatchRound | None:
        """How the watch of this run ended, where another run ended it; None where a new one is to begin."""
        state = self._stored().state
        if state is None or not state.ended or not state.recorded or state.id != self.part or self._begins_again(state):
            return None
        return self._shown(state, notes=("another run ended the watch",))

    def _gone(self, state: WatchState, leader: Leader, silent: float) -> bool:
        """Whether the leader's process has ended on this machine, or it missed its rounds."""
        if leader.pid and leader.host == socket.gethostname() and not actor.alive(leader.pid, ""):
            return True
        return silent > 2 * state.every + 60 + (RARELY.total_seconds() if self.ref.on_branch else 0.0)

    def _resign(self) -> None:
        """Give the lead up, so that the next run begins at once; best effort."""
        state = self.memory.state
        if state is None or state.leader is None or state.leader.id != self.id or state.ended:
            return
        try:
            self.context.ledger.hurry()
            self.ref.write(replace(state, leader=None), self.memory.commit)
        except CutoverError:
            return  # others take over when its rounds are missed

    # What is shown

    def _history(self, fresh: bool = True) -> History:
        history = self.context.ledger.history(fresh)
        if self.context.ledger.outage is not None:
            raise ServiceFailed(self.context.ledger.outage.message, *self.context.ledger.outage.steps)
        return history

    @property
    def _least(self) -> timedelta:
        return rounds.least_ripe(self.context)

    def _shown(self, state: WatchState, standing: tuple[Alarm, ...] = (), **more: object) -> WatchRound:
        budget = self.context.config.budget
        ripe = progress.ripe_after(state, self._least).total_seconds()
        every = None if self.options.once else timedelta(seconds=self.options.every or state.every)
        return report.shown(
            state, standing, next=_next(state, standing), warning=budget.monthly_warning,
            critical=budget.monthly_critical,
            ripe=ripe, next_look=progress.next_look(state, self.clock.now(), self._least, every), **more,
        )  # fmt: skip


def _newer(history: History, state: WatchState) -> bool:
    """Whether a newer deployment than the watched one is live. After a rollback older code is, and is not watched."""
    live = history.live
    newer = live is not None and history.place(live.id) > history.place(state.deployment)
    return newer and live is not None and not live.interrupted


def _titles(state: WatchState) -> tuple[str, ...]:
    return tuple(one.title for one in state.alerts.outbox)


def _next(state: WatchState, standing: tuple[Alarm, ...]) -> tuple[Step, ...]:
    """What to type where something is wrong, or the watch is over."""
    if state.needs_person:
        return (inv("status"),)
    critical = [one for one in standing if one.severity == "critical"]
    if any(one.kind in ("test", "blackout") for one in critical):
        return (inv("logs", level="error", since="1h"), inv("checks"), inv("rollback"))
    if critical:
        return (inv("doctor"),)
    return (inv("checks"),) if state.ended and report.exit_code(state) else ()
