"""One state for many runs: who leads, who waits, what a kill, a pause, a deploy and a rollback leave."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base import interrupts
from migration.base.errors import Interrupted, Refused, ServiceFailed
from migration.inspect import watching
from migration.rehearsal.logstore import LogStore
from migration.verify.smoke import CaseResult, SmokeResult
from migration.watch import watch
from migration.watch.report import WatchRound
from migration.watch.store import WatchRef
from migration.watch.watch import WatchOptions
from tests.migration.watch.test_watch_days import failing, healthy
from tests.support import long, repos
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.watching import Night

pytestmark = pytest.mark.usefixtures("providers")
HALF = 1800.0  # seconds of a look in these tests


@pytest.fixture
def night(tmp_path: Path, store: LogStore) -> Night:
    return Night(tmp_path, store)


def state(night: Night) -> Any:
    found = WatchRef(repos.ledger(night.apps[0], clock=night.clock)).read()
    assert found.state is not None
    return found.state


def once(night: Night, clone: int = 0, **options: Any) -> WatchRound:
    return next(night.rounds(clone, once=True, **{"span": 6 * 3600.0, "every": HALF} | options))


def start(night: Night, clone: int = 0, **options: Any) -> Iterator[WatchRound]:
    return night.rounds(clone, **{"span": 6 * 3600.0, "every": HALF} | options)


def test_once_is_idempotent(night: Night) -> None:
    """A second run in the same span finds nothing to do and writes nothing; the next span is its own."""
    night.traffic(3, healthy, every=HALF)
    once(night)
    first = WatchRef(repos.ledger(night.apps[0])).read().commit
    again = once(night)
    assert again.notes == ("nothing is due yet",) and WatchRef(repos.ledger(night.apps[0])).read().commit == first
    night.clock.sleep(HALF + 700)
    assert once(night).state.criteria[0].looks == 1


@pytest.mark.slow
def test_clones_take_turns(tmp_path: Path, store: LogStore) -> None:
    """Three clones at random, each round by another one or two at once, come to what one run alone comes to."""
    chance = random.Random(4)
    turns, alone = Night(tmp_path / "turns", store, clones=3), Night(tmp_path / "alone", store)
    for one in (turns, alone):
        one.traffic(3, failing(0.3), every=HALF)
        for _ in range(5):
            for clone in chance.sample(range(3), chance.choice((1, 2))) if one is turns else (0,):
                once(one, clone)
            one.clock.sleep(HALF)
    ours, theirs = state(turns), state(alone)
    assert ours.criteria == theirs.criteria and ours.cursor == theirs.cursor
    assert ours.rounds == theirs.rounds and [one.until for one in ours.slices] == [one.until for one in theirs.slices]
    assert len(ours.alerts.sent) == len(theirs.alerts.sent)


def test_two_race_for_one_state(tmp_path: Path, store: LogStore) -> None:
    """Two runs of the same round at the same time: one state, each look taken once, each message sent once."""
    _race(Night(tmp_path, store, clones=2), 3)


def test_state_replaced_before_it_is_fetched(tmp_path: Path, store: LogStore) -> None:
    """Another run stores a new state between this one's look at the refs and its fetch: the old commit is gone from the
    remote, since nothing leads to it, and the new one is read."""
    night = Night(tmp_path, store, clones=2)
    once(night)
    mine = repos.ledger(night.apps[1], clock=night.clock)
    mine.history()
    other = WatchRef(repos.ledger(night.apps[0], clock=night.clock))
    first = other.read()
    assert first.state is not None
    newer = other.write(replace(first.state, rounds=99), first.commit)
    found = WatchRef(mine).read(fresh=False)
    assert found.commit == newer and found.state is not None and found.state.rounds == 99


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_race_for_a_hundred_rounds(tmp_path: Path, store: LogStore) -> None:
    """The same for a hundred rounds."""
    began = time.monotonic()
    sent = _race(Night(tmp_path, store, clones=2), 100)
    long.report("Watch", "two runs of each round at once", 100, time.monotonic() - began, {
        "states": 1, "looks taken twice": 0, "messages": sent, "sent twice": 0,
    })  # fmt: skip


def _race(night: Night, rounds: int) -> int:
    """How many messages were sent; asserts that no look was taken and none of them sent twice."""
    span = (rounds + 3) * HALF
    night.traffic(span / 3600, failing(0.2), every=HALF, a_look=12)
    once(night, span=span)
    for _ in range(rounds):
        night.clock.sleep(HALF)
        contexts = [night.context(clone) for clone in (0, 1)]
        errors: list[BaseException] = []

        def one(context: Any, errors: list[BaseException] = errors) -> None:
            try:
                list(watch.run(context, WatchOptions(once=True)))
            except BaseException as error:  # noqa: BLE001 - shown below
                errors.append(error)

        threads = [threading.Thread(target=one, args=(context,)) for context in contexts]
        [thread.start() for thread in threads]  # type: ignore[func-returns-value]
        [thread.join() for thread in threads]  # type: ignore[func-returns-value]
        assert errors == []
    found = state(night)
    ends = [one.until for one in found.slices]
    assert len(ends) == len(set(ends)) == min(rounds - 1, 72) and found.rounds == rounds + 1
    ids = [one.id for one in found.alerts.sent]
    assert len(ids) == len(set(ids)) and found.alerts.outbox == ()
    return len(ids)


def test_second_run_waits(tmp_path: Path, store: LogStore) -> None:
    """While one leads, another shows what it finds, and changes nothing."""
    night = Night(tmp_path, store, clones=2)
    night.traffic(2, healthy, every=HALF)
    leading = start(night)
    next(leading)
    found = next(start(night, 1))
    assert found.following and "this run waits to take over" in found.notes[0]
    again = next(leading).state.leader
    assert again and state(night).leader == again


@pytest.mark.slow
def test_takeover_after_kill(tmp_path: Path, store: LogStore) -> None:
    """A leader that is killed misses its rounds: another clone leads from there, no look is lost, and a message that
    was opened and not sent is sent."""
    night = Night(tmp_path, store, clones=2)
    night.traffic(6, failing(0.5), every=HALF, a_look=30)
    killed = start(night)
    for _ in range(5):
        found = next(killed)
    book = found.state.alerts
    assert book.sent
    ref = WatchRef(repos.ledger(night.apps[0]))
    stored = ref.read()
    assert stored.state and stored.state.leader
    opened = replace(book.sent[-1], text="x", markdown="x", waiting=("n",), opened="gone", sent_at=None)
    elsewhere = replace(stored.state.leader, host="elsewhere")
    lost = replace(stored.state, leader=elsewhere, alerts=replace(book, sent=book.sent[:-1], outbox=(opened,)))
    assert ref.write(lost, stored.commit)
    rounds = start(night, 1)
    assert next(rounds).following.endswith(" on elsewhere")
    night.clock.sleep(2 * HALF + 60)
    found = next(rounds)
    assert not found.following and found.state.leader and found.state.leader.host != "elsewhere"
    assert opened.id in [one.id for one in found.state.alerts.sent]
    ends = [one.until for one in found.state.slices]
    assert ends == [night.start + timedelta(seconds=HALF * (n + 1)) for n in range(len(ends))]


def test_interrupt_gives_up_the_lead(night: Night) -> None:
    """Ctrl-C gives the lead up, so that whoever resumes begins at once; nothing else changes."""
    night.traffic(3, healthy, every=HALF)
    rounds: Any = watch.run(night.context(), WatchOptions(6 * 3600.0, HALF))
    before = next(rounds).state
    assert interrupts.left().exit_code == 130 and str(interrupts.left().steps[0]) == "inv watch --resume"
    with pytest.raises(Interrupted):
        rounds.throw(Interrupted("SIGINT"))
    assert state(night) == replace(before, leader=None)
    found = next(start(night, resume=True))
    assert found.state.id == before.id and not found.following


def test_nothing_to_resume(night: Night) -> None:
    with pytest.raises(Refused, match="There is no watch to resume"):
        next(start(night, resume=True))


def test_status_of_a_watch_of_former_code(night: Night) -> None:
    """Between a rollback and the next round `status` does not call it a running watch without alarms."""
    watched = once(night).state.deployment
    ledger = repos.ledger(night.apps[0], clock=night.clock)
    ledger.history()
    here: Any = SimpleNamespace(ledger=ledger, clock=night.clock)
    assert "no alarm" in watching.running(here, live=watched)
    assert watching.running(here, live="other").endswith("it is no longer live, and the next round ends the watch.")


def test_shorter_than_a_round(night: Night) -> None:
    with pytest.raises(Refused, match="shorter than one round"):
        next(start(night, span=60.0))


def test_running_watch_is_not_cut_short(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--for` extends a running watch, and leaves its weights as they were; a shorter one says that it does not."""
    notes: list[str] = []
    monkeypatch.setattr(Collector, "note", lambda _, text: notes.append(text))
    first = once(night).state
    night.clock.sleep(HALF)
    assert not any("--for" in note for note in notes)
    assert once(night, span=3600.0).state.until == first.until
    assert any(f"it ends at {first.until:%Y-%m-%d %H:%M:%SZ}" in note for note in notes)
    night.clock.sleep(HALF)
    longer = once(night, span=9 * 3600.0).state
    assert longer.until > first.until and longer.planned == first.planned


def test_nothing_to_watch(tmp_path: Path, store: LogStore) -> None:
    """Without a live deployment a watch has no subject."""
    night = Night(tmp_path, store)
    night.rollback("r1", "d1")
    with pytest.raises(Refused, match="there is nothing to watch"):
        next(start(night))


def test_pause_is_a_gap(night: Night) -> None:
    """A laptop that slept for two hours: the gap is named, and every look of it is read afterwards."""
    night.traffic(5, healthy, every=HALF)
    rounds = start(night)
    next(rounds)
    night.clock.sleep(2 * 3600)
    found = next(rounds)
    assert any("no rounds for" in note for note in found.notes)
    assert len(found.state.slices) == 4


def test_wrong_clock_ends_no_watch(tmp_path: Path, store: LogStore) -> None:
    """A machine whose clock is days ahead would take every look that is left: its round is refused and not stored."""
    night = Night(tmp_path, store, clones=2)
    night.traffic(3, healthy, every=HALF)
    once(night)
    before, wrong = state(night), night.context(1)
    wrong.__dict__ |= {"clock": VirtualClock(night.clock.now() + timedelta(days=2)), "management": SimpleNamespace()}
    wrong.management.ahead = 2 * 86_400.0
    with pytest.raises(ServiceFailed, match="clock is 2d ahead of the Management API's: this round does not count"):
        next(watch.run(wrong, WatchOptions(once=True)))
    assert state(night) == before
    night.clock.sleep(HALF + 700)
    assert once(night).state.criteria[0].looks == 1


def test_failed_rounds_send_no_probes(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that fails is not stored: probes that it had sent would be sent again by the next one, beyond the cap."""
    sent: list[float] = []

    def send(context: Any, names: list[str], **_: Any) -> SmokeResult:
        sent.append((context.clock.now() - night.start) / timedelta(seconds=HALF))
        return SmokeResult(tuple(CaseResult(name, "artifact", True) for name in names))

    monkeypatch.setattr("migration.watch.probes.smoke.run", send)
    case = {"name": "a", "function": "artifact", "probe": True, "expect": {"status": 200}}
    night.settings = {"smoke": [case], "watch": {"probes": {"every": 3 * HALF, "max_cost": 1.0}}}
    rounds = start(night)
    assert next(rounds).state.probe_requests == 1
    reads = night.source.store._run
    monkeypatch.setattr(night.source.store, "_run", lambda *_: raises(ServiceFailed("cannot read the logs")))
    assert all(next(rounds).outage == "cannot read the logs" for _ in range(5)) and len(sent) == 1
    monkeypatch.setattr(night.source.store, "_run", reads)
    assert next(rounds).state.probe_requests == len(sent) == 2
    skewed = SimpleNamespace(ahead=2 * 86_400.0)
    wrong = night.context()
    wrong.__dict__["management"] = skewed
    night.clock.sleep(4 * HALF)
    with pytest.raises(ServiceFailed, match="clock is 2d ahead"):
        next(watch.run(wrong, WatchOptions(once=True)))
    assert len(sent) == 2


def raises(error: Exception) -> Any:
    raise error


def test_network_lost_and_back(night: Night) -> None:
    """A round without an answer is named as such; the next one catches up."""
    night.traffic(5, healthy, every=HALF)
    rounds = start(night)
    next(rounds)
    night.down = lambda now: now < night.start + timedelta(seconds=3 * HALF)
    found = next(rounds)
    assert found.outage == "cannot reach the Management API"
    found = next(rounds)
    assert found.outage and not found.state.slices
    found = next(rounds)
    assert not found.outage and len(found.state.slices) == 2


def test_new_deployment_begins_new_watch(night: Night) -> None:
    """The old watch ends with that reason, on its own deployment; the new one has its whole risk."""
    night.traffic(5, healthy, every=HALF)
    rounds = start(night)
    first = [next(rounds) for _ in range(3)][-1]
    night.deploy("d2", {"artifact": (8, 9), "fix": (4, 5)})
    ended = next(rounds)
    assert ended.state.ended == "d2 is live now" and ended.state.deployment == "d1" and ended.exit_code == 4
    found = next(rounds)
    assert found.state.deployment == "d2" and found.state.id != first.state.id and not found.state.ended
    history = night.context().ledger.history()
    record = history.find("d1").watches[0]  # type: ignore[union-attr]
    assert record["ended"] == "d2 is live now" and record["counts"]["artifact"][1] > 0


def test_rollback_ends_watch(night: Night) -> None:
    night.traffic(5, healthy, every=HALF)
    rounds = start(night)
    next(rounds)
    night.rollback("r1", "d1")
    found = list(rounds)
    assert [one.state.ended for one in found] == ["d1 was rolled back by r1"]
    assert found[0].exit_code == 4
    assert "watch ended: inconclusive (d1 was rolled back by r1)" in found[0].state.alerts.sent[-1].title


def test_waiting_run_ends_with_the_watch(tmp_path: Path, store: LogStore) -> None:
    """Of two runs the second one ends as the first did, and begins no watch of its own: not after the planned time,
    and not after a rollback, which puts back code that was known to fail."""
    for end, why in ((lambda _: None, "the planned time is over"), (_take_back, "d2 was rolled back by r1")):
        night = Night(tmp_path / why[:2], store, clones=2)
        night.deploy("d2", {"artifact": (8, 9), "fix": (4, 5)})
        night.traffic(2, lambda *_: {}, every=HALF, a_look=60)
        leading = start(night, span=HALF)
        first = next(leading)
        waiting = start(night, 1, span=HALF)
        assert next(waiting).following
        end(night)
        assert [one.state.ended for one in leading][-1] == why
        found = next(waiting)
        assert (found.state.id, found.state.ended, found.notes) == (
            first.state.id,
            why,
            ("another run ended the watch",),
        )
        assert next(waiting, None) is None and once(night, 1).state.id == first.state.id


def _take_back(night: Night) -> None:
    night.rollback("r1", "d2")


def test_lost_lead_is_seen_at_once(tmp_path: Path, store: LogStore) -> None:
    """Of runs that begin at once the first to write leads; the others wait, and take no round after it."""
    night = Night(tmp_path, store, clones=2)
    first, second = (watch._Watch(night.context(clone), WatchOptions(6 * 3600.0, HALF)) for clone in (0, 1))
    write = first.ref.write
    lost: list[WatchRound] = []

    def late(*given: Any) -> str | None:
        if not lost:
            lost.append(second._round(lead=True))
        return write(*given)

    first.ref.write = late  # type: ignore[method-assign, assignment]
    second._history()
    first._history()
    assert first._round(lead=True).following
    assert state(night).leader.id == second.id and state(night).rounds == 1


def test_rollback_closes_the_watch(night: Night) -> None:
    """What `inv rollback` does at its end: the watch of what is gone ends with its record and its message, though no
    round is due; a scheduler's next run finds it over, and does not begin to watch the code from before."""
    night.traffic(2, healthy, every=HALF)
    once(night)
    assert watch.close(night.context()) is None
    night.rollback("r1", "d1")
    found = watch.close(night.context())
    assert found and found.state.ended == "d1 was rolled back by r1" and state(night).recorded
    assert night.context().ledger.history().find("d1").watches[0]["ended"] == found.state.ended  # type: ignore[union-attr]
    night.clock.sleep(HALF)
    again = once(night)
    assert again.notes == ("the watch has ended: d1 was rolled back by r1",) and again.exit_code == 4
    assert watch.close(night.context()) is None


def test_interrupted_deployment_needs_a_person(night: Night) -> None:
    """An intent without an outcome, and its lock free: exit 5."""
    night.traffic(2, healthy, every=HALF)
    once(night)
    night.intend("d2", {"artifact": (8, 9)})
    night.clock.sleep(HALF)
    found = once(night)
    assert found.exit_code == 5 and "d2" in found.state.needs_person


def test_complete_watch_is_recorded_once(night: Night) -> None:
    """At the end the verdict, the figures and the alerts are on the deployment; cron then has nothing to do."""
    night.traffic(4, lambda *_: {}, every=HALF, a_look=60)
    list(start(night, span=2 * 3600.0))
    again = once(night)
    assert "the watch has ended: the planned time is over" in again.notes
    watches = night.context().ledger.history().find("d1").watches  # type: ignore[union-attr]
    assert len(watches) == 1 and watches[0]["verdict"] == again.verdict == "pass" and again.exit_code == 0
    assert watches[0]["figures"]["answers"] == sum(all_ for _, all_ in watches[0]["counts"].values())


@pytest.mark.long
@pytest.mark.timeout(300)
def test_branch_is_written_rarely(tmp_path: Path, store: LogStore) -> None:
    """Where the state is on a branch, healthy rounds write once an hour; an alarm writes at once."""
    night = Night(tmp_path, store, clones=2, prefix="refs/heads/cutover")
    night.traffic(3, lambda chance, hour: failing(0.6 if hour > 0.7 else 0.0)(chance, hour), every=600.0)
    commits = []
    for found in night.rounds(span=3 * 3600.0, every=600.0, limit=12):
        commits.append(WatchRef(repos.ledger(night.apps[0], prefix="refs/heads/cutover")).read().commit)
        if found.alarms:
            break
    healthy_ = commits[:-1]
    assert len(set(healthy_)) <= 2 < len(healthy_) and commits[-1] != commits[-2]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_dead_notifier_does_not_stop(tmp_path: Path, store: LogStore) -> None:
    """A notifier that fails is named in the view; the watch goes on, and the message waits."""
    night = Night(tmp_path, store, settings={"watch": {"notify": ["json://localhost:9/hook"]}})
    night.traffic(3, failing(0.5), every=HALF)
    rounds = start(night)
    found = [next(rounds) for _ in range(4)][-1]
    assert found.alarms and found.state.alerts.error and found.state.alerts.outbox
