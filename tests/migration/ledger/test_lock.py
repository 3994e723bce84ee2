"""The lock: one holder, seen by all, never lost to a slow clock, given back whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from migration.base.command import inv
from migration.base.errors import CutoverError, Interrupted, Refused, ServiceFailed, Unreachable
from migration.git.refs import Move, Raced
from migration.git.repository import Repository
from migration.ledger import actor
from migration.ledger.lock import Lock, LockHold, LockLost
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.repos import QUIET, alone, clone, git, ledger, lock, pair


class Ticks:
    """An observer's clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.01)


def abandon(own: Lock, **changes: object) -> LockHold:
    """Acquire the lock and stop renewing it, as a process that died elsewhere."""
    held = own.acquire("deploy x", deployment="20261122-120000-abcd")
    held._stop.set()
    held.card.update(machine="another machine", **changes)
    held.renew()
    own.ledger.fence = None
    return held


@pytest.fixture(params=["remote", "local"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return pair(tmp_path)[1] if request.param == "remote" else alone(tmp_path / "app")


def test_second_taker_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_ACTOR", "ada")
    with lock(ledger(folder)).held("deploy of kimi") as held:
        with pytest.raises(Refused, match=r"prod is locked by ada on .* since .* UTC \(deploy of kimi") as caught:
            lock(ledger(folder)).acquire("another")
        assert caught.value.steps[-1] == inv("unlock", held.id)
        assert caught.value.exit_code == 2
    assert lock(ledger(folder)).holder() is None


def test_lock_taken_since_last_read(folder: Path) -> None:
    late = lock(ledger(folder))
    late.ledger.tip()
    with lock(ledger(folder)).held("first") as first:
        with pytest.raises(Refused, match="prod is locked by"):
            late.acquire("second")
        first.renew()
        assert not first.lost
    late.release(late.acquire("second"))


def test_the_lock_is_free_again_whatever_ends_the_block(folder: Path) -> None:
    own = lock(ledger(folder))
    for error in (ValueError("bug"), Interrupted("SIGTERM"), KeyboardInterrupt()):
        with pytest.raises(type(error)), own.held("test"):
            raise error
        assert own.holder() is None and own.current is None and own.ledger.fence is None
    assert own.confirmed_age() == float("inf")


def test_a_lock_that_went_or_moved_while_it_is_looked_at_is_looked_at_again(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    own, watcher = lock(ledger(first)), lock(ledger(clone(remote, tmp_path / "two")))
    held = own.acquire("test")
    watcher.ledger.tip()
    held.renew()
    holder = watcher.holder(fresh=False)
    assert holder is not None and holder.id == held.id
    held.renew()
    watcher.ledger.tip()
    own.release(held)
    assert watcher.holder(fresh=False) is None


def test_environments_are_locked_apart(folder: Path) -> None:
    staging = lock(ledger(folder, "staging"))
    staging.ledger.project_ref = "another project"
    with lock(ledger(folder, "prod")).held("a"), staging.held("b"):
        assert lock(ledger(folder, "prod")).holder() is not None


def test_the_heartbeat_renews_it_and_keeps_its_id(folder: Path) -> None:
    own = lock(ledger(folder), heartbeat=0.2)
    with own.held("test") as held:
        first, acquired = own.holder(), time.monotonic()
        assert first is not None
        until(lambda: (own.holder() or first).commit != first.commit)
        assert (own.holder() or first).id == first.id == held.id
        until(lambda: own.confirmed_age() < time.monotonic() - acquired)


def test_a_record_renews_the_lock_in_the_same_push(folder: Path) -> None:
    own = lock(ledger(folder))
    with own.held("test") as held:
        before = own.holder()
        own.ledger.append({"record": "note", "text": "x"})
        after = own.holder()
        assert before and after and before.commit != after.commit and held.confirmed_age() < 15


def test_the_last_record_can_give_the_lock_back_in_the_same_push(folder: Path) -> None:
    own = lock(ledger(folder))
    with own.held("test"):
        own.ledger.append({"record": "note", "text": "x"}, release=True)
        assert own.holder() is None
        with lock(ledger(folder)).held("somebody else"):
            pass


def test_late_heartbeat_leaves_it_released(folder: Path) -> None:
    """A renewal that waited while the last record released the lock does not bring it back: cut off before its answer,
    it would leave a lock that this process believes released."""
    own = ledger(folder)
    held = lock(own).acquire("deploy")
    with held.mutex:
        beat = threading.Thread(target=held.renew)
        beat.start()
        own.append({"record": "outcome", "deployment": "x"}, release=True)
    beat.join(60)
    assert held.ref not in own.refs.read()
    assert held.stop() is None


def test_a_lost_answer_to_giving_it_back_is_no_robbery_when_the_next_has_it_already(folder: Path) -> None:
    own, after = lock(ledger(folder)), lock(ledger(folder))
    held, move, taken = own.acquire("test"), own.ledger.refs.move, []

    def lossy(moves: Sequence[Move]) -> CutoverError | None:
        assert move(moves) is None
        own.ledger.refs.move = move  # type: ignore[method-assign]
        taken.append(after.acquire("next"))
        return Unreachable("lost")

    own.ledger.refs.move = lossy  # type: ignore[method-assign]
    own.ledger.append({"record": "note", "text": "last"}, release=True)
    own.release(held)
    holder = after.holder()
    assert holder is not None and holder.id == taken[0].id
    after.release(taken[0])
    assert [record["text"] for record in ledger(folder).records()] == ["last"]


def test_a_robbed_owner_writes_nothing_and_does_not_free_the_thief_s_lock(folder: Path) -> None:
    own = lock(ledger(folder))
    with own.held("test") as held:
        lock(ledger(folder)).unlock(held.id)
        with lock(ledger(folder)).held("thief") as thief:
            with pytest.raises(LockLost, match="stopped without further changes"):
                own.ledger.append({"record": "note", "text": "never"})
            with pytest.raises(LockLost):
                own.ledger.keep({"record": "note", "text": "never"})
            with pytest.raises(LockLost):
                held.fresh()
            own.release(held)
            found = own.holder()
            assert found is not None and found.id == thief.id
    assert "never" not in [record.get("text") for record in ledger(folder).records()]
    assert not own.ledger.emergency.waiting()


def test_unlock_by_id_recorded(folder: Path) -> None:
    own = lock(ledger(folder))
    with own.held("deploy x", deployment="20261122-120000-abcd") as held:
        with pytest.raises(Refused, match=f"no lock 12345678 on prod: the current lock is {held.id}"):
            own.unlock("12345678")
        lock(ledger(folder)).unlock(held.id)
    record = ledger(folder).records()[-1]
    assert record["record"] == "unlock" and record["lock"] == held.id
    assert record["robbed"]["doing"] == "deploy x" and record["robbed"]["deployment"] == "20261122-120000-abcd"
    with pytest.raises(Refused, match="it is not locked"):
        own.unlock(held.id)


@pytest.mark.slow
def test_unlock_wins_against_an_owner_who_keeps_renewing(folder: Path) -> None:
    own = lock(ledger(folder), heartbeat=0.05)
    with own.held("busy") as held:
        lock(ledger(folder)).unlock(held.id)
        until(lambda: held.lost)


def test_a_lock_is_stale_after_three_heartbeats_without_change_on_the_observer_s_clock(folder: Path) -> None:
    abandon(lock(ledger(folder)))
    ticks = Ticks()
    watcher = lock(ledger(folder), monotonic=ticks)
    for seconds in (0.0, 44.0):
        ticks.now = 1000.0 + seconds
        with pytest.raises(Refused, match="locked by"):
            watcher.acquire("mine")
    ticks.now = 1045.0
    with watcher.held("mine") as held:
        assert held.replaces is not None and held.replaces.deployment == "20261122-120000-abcd"
        record = watcher.ledger.records()[-1]
        assert record["record"] == "unlock" and record["robbed"]["doing"] == "deploy x"
        assert isinstance(watcher.ledger.observer, Collector)
        assert any("Took over a stale lock held by" in event[3] for event in watcher.ledger.observer.events)


def test_what_one_command_saw_counts_for_the_next(folder: Path) -> None:
    abandon(lock(ledger(folder)))
    ticks = Ticks()
    assert lock(ledger(folder), monotonic=ticks).holder() is not None
    ticks.now += 46.0
    with lock(ledger(folder), monotonic=ticks).held("another command"):
        pass


def test_a_living_owner_is_never_robbed_however_long_it_works(folder: Path) -> None:
    ticks = Ticks()
    watcher = lock(ledger(folder), monotonic=ticks)
    own = lock(ledger(folder))
    with own.held("long work") as held:
        for _ in range(20):
            with pytest.raises(Refused):
                watcher.acquire("mine")
            ticks.now += 44.0
            held.renew()


def test_wall_clocks_are_not_compared(folder: Path) -> None:
    abandon(lock(ledger(folder)), since="1999-01-01T00:00:00Z")
    with pytest.raises(Refused, match="since 1999"):
        lock(ledger(folder)).acquire("mine")


def test_a_dead_process_of_this_machine_loses_its_lock_at_once(folder: Path) -> None:
    code = (
        "import sys, pathlib; from tests.support.repos import ledger, lock\n"
        "lock(ledger(pathlib.Path(sys.argv[1]))).acquire('deploy and die'); import os; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, cwd=Path(__file__).parents[3])
    with lock(ledger(folder)).held("mine") as held:
        assert held.replaces is not None and held.replaces.doing == "deploy and die"


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_the_owner() -> None:
    assert actor.alive(os.getpid(), actor.started(os.getpid()))
    assert not actor.alive(os.getpid(), "1")
    assert actor.alive(os.getpid(), "")


def test_who_acts_in_the_sandbox_is_the_person(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's clone has an author of its own, who types nothing."""
    git(folder, "config", "user.name", "The Sandbox")
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n")
    machine = tmp_path / "machine"
    machine.write_text("[user]\n\tname = Everyone Here\n")
    for name in ("CUTOVER_ACTOR", "GITHUB_ACTOR", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "grace")
    own = Repository(folder, {**QUIET, "GIT_CONFIG_GLOBAL": str(config)})
    assert (actor.who(own), actor.who(own, clone=True)) == ("The Sandbox", "Ada")
    shared = {**QUIET, "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_SYSTEM": str(machine)}
    assert actor.who(Repository(folder, shared), clone=True) == "Ada", "the user's own name counts before the machine's"
    assert actor.who(Repository(folder, QUIET), clone=True) == "grace"


def test_waiting_gets_the_lock_when_it_is_given_back(folder: Path) -> None:
    own, other = lock(ledger(folder), heartbeat=0.2), lock(ledger(folder), heartbeat=0.2)
    held = own.acquire("first")
    got: list[str] = []

    def wait() -> None:
        with other.held("second", wait=20.0) as mine:
            got.append(mine.id)

    thread = threading.Thread(target=wait)
    thread.start()
    assert isinstance(other.ledger.observer, Collector)
    until(lambda: any(event[1] == "lock" for event in other.ledger.observer.events))  # type: ignore[attr-defined]
    assert not got
    own.release(held)
    thread.join(20)
    assert got


def test_waiting_ends_when_its_time_is_up(folder: Path) -> None:
    with lock(ledger(folder)).held("first"), pytest.raises(Refused, match="locked by"):
        lock(ledger(folder), heartbeat=0.2).acquire("second", wait=0.3)


def test_without_the_remote_nobody_gets_the_lock(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    remote.rename(tmp_path / "gone.git")
    own = lock(ledger(first))
    own.ledger.clock.sleep = lambda _: None  # type: ignore[method-assign,assignment]
    with pytest.raises(Unreachable, match=r"Cannot reach the git remote origin|no repository at the address"):
        own.acquire("deploy")


def test_an_owner_cut_off_from_the_remote_knows_that_its_lock_is_not_confirmed(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    own = lock(ledger(first))
    with own.held("test") as held:
        remote.rename(tmp_path / "gone.git")
        held._confirmed -= 16.0
        assert own.confirmed_age() >= 15.0
        with pytest.raises(Unreachable):
            held.fresh()
        (tmp_path / "gone.git").rename(remote)
        held.fresh()
        assert own.confirmed_age() < 15.0


def test_failed_release_names_command(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    own = lock(ledger(first))
    with own.held("test") as held:
        remote.rename(tmp_path / "gone.git")
    assert isinstance(own.ledger.observer, Collector)
    assert any(f"inv unlock {held.id}" in event[3] for event in own.ledger.observer.events)


def test_giving_back_goes_on_where_the_remote_loses_one_try_after_the_other(folder: Path) -> None:
    own = lock(ledger(folder))
    held, move, lost = own.acquire("test"), own.ledger.refs.move, [Unreachable("lost")] * 6

    def flaky(moves: Sequence[Move]) -> CutoverError | None:
        return lost.pop() if lost else move(moves)

    own.ledger.refs.move = flaky  # type: ignore[method-assign]
    own.release(held)
    assert not lost and lock(ledger(folder)).holder() is None


def test_a_broken_lock_commit_still_names_an_id_to_unlock(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")
    stray = git(remote, "commit-tree", tree, "-m", "not json")
    git(remote, "update-ref", "refs/cutover/lock/prod", stray)
    own = lock(ledger(first))
    with pytest.raises(Refused, match="locked by an unknown user") as caught:
        own.acquire("mine")
    own.unlock(caught.value.hint.split()[-1])
    assert own.holder() is None


def test_the_lock_says_the_same_from_every_clone(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    second = clone(remote, tmp_path / "two")
    with lock(ledger(first)).held("deploy", deployment="d1") as held:
        found = lock(ledger(second)).holder()
        assert found is not None and found.id == held.id and found.facts()["deployment"] == "d1"
        assert json.dumps(found.facts())


def stale_ref(remote: Path) -> None:
    (remote / "refs/cutover/lock").mkdir(parents=True, exist_ok=True)
    (remote / "refs/cutover/lock/prod.lock").touch()


def stale_packed_refs(remote: Path) -> None:
    """Deleting a ref that is packed needs this file."""
    git(remote, "pack-refs", "--all")
    (remote / "packed-refs.lock").touch()


FULL = "remote: fatal: unable to write loose object file: No space left on device\nerror: remote unpack failed: x"
READ_ONLY = "error: remote unpack failed: unable to create temporary object directory"


@pytest.mark.parametrize(("words", "cause"), [(FULL, "No space left on device"), (READ_ONLY, "temporary object dir")])
def test_rejected_write_names_git_reason(words: str, cause: str) -> None:
    """What git 2.39 wrote about a full and about a read-only remote."""
    assert cause in Raced("x", stderr=words, place="the git remote origin").refusal().message


def test_rejected_writes_bounded(tmp_path: Path) -> None:
    """A remote that rejects every write, though no other process writes, is named with git's reason after a while."""
    remote, first = pair(tmp_path)
    stale_ref(remote)
    own = lock(ledger(first))
    slept: list[float] = []
    own.ledger.clock.sleep = slept.append  # type: ignore[method-assign,assignment]
    with pytest.raises(ServiceFailed, match=r"The git remote origin rejected every write: .*prod\.lock': File exists"):
        own.acquire("deploy")
    assert 0 < sum(slept) < 30 and len(slept) < 20
    assert isinstance(own.ledger.observer, Collector)
    assert any("retrying: The git remote" in event[3] for event in own.ledger.observer.events)


@pytest.mark.slow
def test_rejected_renewal_release_and_unlock_bounded(tmp_path: Path) -> None:
    """So are a renewal, a release and the breaking of a lock, and each names the stale lock file."""
    remote, first = pair(tmp_path)
    own = lock(ledger(first))
    own.ledger.append({"record": "note", "text": "before"})
    hold = own.acquire("deploy")
    stale_packed_refs(remote)
    stale_ref(remote)
    own.ledger.clock.sleep = lambda _: None  # type: ignore[method-assign,assignment]
    with pytest.raises(ServiceFailed, match=r"rejected every write: .*prod\.lock"):
        hold.renew()
    with pytest.raises(ServiceFailed, match="rejected every write"):
        own.unlock(hold.id)
    own.release(hold)
    assert isinstance(own.ledger.observer, Collector)
    assert any("Could not release the lock" in event[3] and ".lock" in event[3] for event in own.ledger.observer.events)


def elsewhere(folder: Path, environment: str = "live", prefix: str = "refs/cutover") -> Lock:
    """The lock of another environment or ledger of the same project."""
    return lock(ledger(folder, environment, prefix))


@pytest.mark.parametrize(
    "other", [("live", "refs/cutover"), ("prod", "refs/heads/cutover"), ("prod", "refs/heads/ops")]
)
def test_one_lock_a_project(tmp_path: Path, other: tuple[str, str]) -> None:
    """Another environment, and another ledger in the same remote, exclude each other where they name one project."""
    remote, first = pair(tmp_path)
    second = clone(remote, tmp_path / "two")
    theirs = elsewhere(second, *other)
    theirs.ledger.append({"record": "note", "text": "a ledger"})
    with theirs.held("their deploy") as held:
        with pytest.raises(Refused, match=r"project ref1 .* is locked by .*their deploy") as caught:
            lock(ledger(first)).acquire("ours")
        assert caught.value.steps[-1] == inv("unlock", held.id)
        seen = lock(ledger(first)).holder()
        assert seen is not None and seen.id == held.id
    with lock(ledger(first)).held("ours"), pytest.raises(Refused, match="ours"):
        theirs.acquire("again")
    held = theirs.acquire("once more")
    lock(ledger(first)).unlock(held.id)
    with lock(ledger(first)).held("ours"):
        theirs.release(held)


def test_two_at_once_from_two_environments(tmp_path: Path) -> None:
    """Both looked before either had its lock: whoever reads the ledger under the lock second sees the other."""
    remote, first = pair(tmp_path)
    mine, theirs = lock(ledger(first)), elsewhere(clone(remote, tmp_path / "two"))
    mine.ledger.tip()
    theirs.ledger.tip()
    theirs.acquire("theirs")
    theirs.ledger.tip()
    with pytest.raises(Refused, match=r"is locked by .*theirs"), mine.held("mine"):
        mine.ledger.history()
    with pytest.raises(Refused, match=r"is locked by .*theirs"), mine.held("mine"):
        mine.ledger.append({"record": "intent", "deployment": "d"})
    assert [record["record"] for record in ledger(first).records()] == []


def test_stale_lock_elsewhere_is_deleted(tmp_path: Path) -> None:
    """So that its owner, should it come back, notices that it lost the lock."""
    remote, first = pair(tmp_path)
    theirs = elsewhere(clone(remote, tmp_path / "two"))
    held = abandon(theirs, doing="their deploy")
    ticks = Ticks()
    mine = lock(ledger(first), monotonic=ticks)
    with pytest.raises(Refused, match="their deploy"):
        mine.acquire("ours")
    ticks.now += 46
    with mine.held("ours"):
        [record] = [one for one in mine.ledger.records() if one["record"] == "unlock"]
        assert record["lock"] == held.id
        with pytest.raises(LockLost):
            held.renew()


def test_lock_of_an_earlier_cutover(tmp_path: Path) -> None:
    """It names no project: the configuration tells which environments are the same one."""
    remote, first = pair(tmp_path)
    theirs = elsewhere(clone(remote, tmp_path / "two"))
    held = theirs.acquire("their deploy")
    del held.card["project_ref"]
    held.renew()
    with lock(ledger(first)).held("another project, as far as anyone knows"):
        pass
    own = lock(ledger(first))
    own.ledger.siblings = frozenset({"live"})
    with pytest.raises(Refused, match="their deploy"):
        own.acquire("ours")
    theirs.release(held)


def test_late_answer_confirms_nothing(tmp_path: Path) -> None:
    """The machine slept while it waited for the answer to a renewal: it is asked again, and in the end refused."""
    clock = VirtualClock()
    own = lock(ledger(pair(tmp_path)[1], clock=clock))
    with own.held("test") as held:
        held._stop.set()
        move, late = own.ledger.refs.move, [60.0]

        def slept(moves: Sequence[Move]) -> CutoverError | None:
            error = move(moves)
            clock.sleep(late.pop() if late else 0.0)
            return error

        own.ledger.refs.move = slept  # type: ignore[method-assign]
        clock.sleep(20.0)
        held.fresh()
        assert held.confirmed_age() < 15.0 and not late
        late[:] = [60.0] * 5
        clock.sleep(20.0)
        with pytest.raises(ServiceFailed, match="Could not confirm the lock"):
            held.fresh()
        late.clear()


@pytest.mark.parametrize("ref", ["refs/cutover/lock/prod", "refs/cutover/lock/other"])
def test_what_is_not_a_commit_is_no_lock_of_a_team(tmp_path: Path, ref: str) -> None:
    """A file put on a lock's ref stops no verb: beside ours it is nothing, in its place it goes stale."""
    remote, first = pair(tmp_path)
    blob = git(remote, "hash-object", "-w", "--stdin")
    git(remote, "update-ref", ref, blob)
    ticks = Ticks()
    own = Lock(ledger(first), first / ".cutover", monotonic=ticks)
    holder = own.holder()
    assert (holder is None) == ref.endswith("other")
    ticks.now += 60
    with own.held("deploy"):
        assert git(remote, "cat-file", "-t", own.ref) == "commit"


def test_thousands_of_locks_are_read_at_once(tmp_path: Path) -> None:
    """Whoever may push can make any number of locks: all are brought and read by a handful of commands."""
    remote, first = pair(tmp_path)
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")
    commits = [git(remote, "commit-tree", tree, "-m", f'{{"project_ref": "other{n}"}}') for n in range(3)]
    lines = [f"create refs/x{n}/{kind}/prod {commits[n % 3]}\n" for n in range(500) for kind in ("lock", "ledger")]
    subprocess.run(["git", "update-ref", "--stdin"], cwd=remote, input="".join(lines), text=True, check=True)
    own = Lock(ledger(first), first / ".cutover")
    runs: list[str] = []
    run = own.ledger.repository.run

    def counted(*words: str, **how: Any) -> Any:
        runs.append(words[0])
        return run(*words, **how)

    own.ledger.repository.run = counted  # type: ignore[method-assign]
    assert own.holder() is None and runs.count("fetch") == 1 and len(runs) < 10
    assert len(list(own._other_locks(own.ledger.refs.read()))) == 500
    assert not list((first / ".cutover").glob("lock-*"))


def test_a_rival_that_comes_back_is_named(tmp_path: Path) -> None:
    """Of many stale locks one is renewed while they are deleted: its owner is at work, and is named."""
    remote, first = pair(tmp_path)
    own_ledger, ticks = ledger(first), Ticks()
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")

    def put(name: str, nonce: str) -> None:
        card = json.dumps({"project_ref": own_ledger.project_ref, "id": name, "who": name, "nonce": nonce})
        git(remote, "update-ref", f"refs/cutover/lock/{name}", git(remote, "commit-tree", tree, "-m", card))

    for name in ("ada", "bob", "eve"):
        put(name, "1")
    own = Lock(own_ledger, first / ".cutover", monotonic=ticks)
    with pytest.raises(Refused, match="is locked by"):
        own.acquire("deploy")
    ticks.now += 60
    move = own_ledger.refs.move

    def renewed(moves: Sequence[Move]) -> CutoverError | None:
        if len(moves) == 3:
            put("bob", "2")
        return move(moves)

    own_ledger.refs.move = renewed  # type: ignore[method-assign]
    with pytest.raises(Refused, match="is locked by bob"):
        own.acquire("deploy")
    assert sorted(own_ledger.refs.read()) == [f"refs/cutover/lock/{name}" for name in ("ada", "bob", "eve")]


def test_stale_rivals_go_in_one_push(tmp_path: Path) -> None:
    """Many stale locks on our project are deleted together, and each takeover is recorded."""
    remote, first = pair(tmp_path)
    own_ledger, ticks = ledger(first), Ticks()
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")
    for n in range(3):
        card = json.dumps({"project_ref": own_ledger.project_ref, "id": f"x{n}"})
        git(remote, "update-ref", f"refs/cutover/lock/x{n}", git(remote, "commit-tree", tree, "-m", card))
    own = Lock(own_ledger, first / ".cutover", monotonic=ticks)
    with pytest.raises(Refused, match="is locked by"), own.held("deploy"):
        pass
    ticks.now += 60
    pushes, push = [], own_ledger.repository.push
    own_ledger.repository.push = lambda *words, **how: pushes.append(words) or push(*words, **how)  # type: ignore[method-assign, func-returns-value]
    with own.held("deploy") as hold:
        assert [one.id for one in hold.taken_from] == ["x0", "x1", "x2"]
    assert sum("refs/cutover/lock/x0" in word for words in pushes for word in words) == 1
