"""Machines that deploy the same project, in virtual time: our lock and ledger over a remote and a platform that delay,
lose and repeat, on machines that are suspended, killed and whose clocks differ.

Every process is a thread, of which one runs at a time: whoever waits hands over to the process that wakes next. So a
seed determines a history. What is real: `Lock`, `LockHold`, `Ledger` and their bounds. What is not: git, disk, HTTP.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base.clock import Clock
from migration.base.errors import CutoverError, Refused, ServiceFailed, Unfinished, Unknown, Unreachable
from migration.base.progress import Observer
from migration.git.refs import Move, Raced
from migration.ledger.ledger import Ledger, LedgerAddress
from migration.ledger.lock import Lock, LockHold

START = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DEADLINE = 25.0  # of the activating request
HORIZON = 3_000.0  # seconds of a history


class Killed(BaseException):
    """kill -9: nothing that the process would do on its way out has an effect."""


class World:
    """True time, and whose turn it is."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.current: Process | None = None
        self.error: BaseException | None = None
        self._queue: list[tuple[float, int, Process | Callable[[], None]]] = []
        self._order = itertools.count()
        self._done = threading.Lock()

    def spawn(self, process: Process, at: float) -> None:
        heapq.heappush(self._queue, (at, next(self._order), process))

    def later(self, at: float, action: Callable[[], None]) -> None:
        """Something that happens by itself, such as a late request."""
        heapq.heappush(self._queue, (at, next(self._order), action))

    def run(self) -> None:
        """Until every process has ended."""
        self._done.acquire()
        self._next(None)
        self._done.acquire()
        if self.error is not None:
            raise self.error

    def wait(self, seconds: float) -> None:
        """The current process goes on after so many true seconds, or when its machine runs again."""
        me = self.current
        assert me is not None
        me.machine.living(self.now)
        at = me.machine.awake(self.now + seconds)
        heapq.heappush(self._queue, (at, next(self._order), me))
        self._next(me)
        me.machine.living(self.now)

    def end(self) -> None:
        self._next(None)

    def _next(self, me: Process | None) -> None:
        while self._queue:
            self.now, _, entry = heapq.heappop(self._queue)
            if not isinstance(entry, Process):
                entry()
                continue
            self.current = entry
            if entry is me:
                return
            entry.go()
            if me is not None:
                me.turn.acquire()
            return
        self._done.release()


class Process:
    """A thread that runs when it is its turn."""

    def __init__(self, world: World, machine: Machine, work: Callable[[], None]) -> None:
        self.world, self.machine, self.work = world, machine, work
        self.turn = threading.Lock()
        self.turn.acquire()
        self._thread: threading.Thread | None = None

    def go(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        else:
            self.turn.release()

    def _run(self) -> None:
        try:
            self.work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self.world.error = self.world.error or error
        self.world.end()


class Event:
    """`threading.Event` in virtual time: whoever waits looks again when its time is up."""

    def __init__(self, world: World) -> None:
        self.world, self._set = world, False

    def set(self) -> None:
        self._set = True

    def wait(self, seconds: float) -> bool:
        if not self._set:
            self.world.wait(seconds)
        return self._set


class Mutex:
    """`threading.RLock` in virtual time."""

    def __init__(self, world: World) -> None:
        self.world, self._depth = world, 0
        self._owner: Process | None = None

    def __enter__(self) -> None:
        while self._owner not in (None, self.world.current):
            self.world.wait(0.05)
        self._owner, self._depth = self.world.current, self._depth + 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None


class Machine(Clock):
    """A clock that goes on while the machine sleeps, runs up to 1% fast or slow, and shows another day."""

    def __init__(self, world: World, name: str) -> None:
        draw = world.random
        self.world, self.name = world, name
        self.rate, self.offset = draw.uniform(0.99, 1.01), draw.uniform(0, 1e6)
        self.skew = timedelta(seconds=draw.uniform(-1e5, 1e5))
        self.asleep = self._sleeps()
        self.dies = draw.uniform(0, 200) if draw.random() < 0.15 else float("inf")

    def _sleeps(self) -> list[tuple[float, float]]:
        draw, found, at = self.world.random, [], 0.0
        while draw.random() < 0.4:
            at += draw.uniform(1, 120)
            found.append((at, at + draw.choice([5.0, 20.0, 44.0, 46.0, 60.0, 300.0])))
            at = found[-1][1]
        return found

    def living(self, now: float) -> None:
        if now >= self.dies:
            raise Killed

    def awake(self, at: float) -> float:
        return next((end for start, end in self.asleep if start <= at < end), at)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.world.now) + self.skew

    def monotonic(self) -> float:
        return self.offset + self.world.now * self.rate

    def sleep(self, seconds: float) -> None:
        self.world.wait(max(seconds, 0.0) / self.rate)

    def running(self) -> float:
        """The observer's clock of the lock: it stands still while the machine sleeps."""
        now = self.world.now
        slept = sum(max(0.0, min(end, now) - start) for start, end in self.asleep)
        return self.offset + (now - slept) * self.rate


@dataclass
class Remote:
    """The git remote: its refs, and all commits, with message and parents."""

    world: World
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    moved: list[tuple[float, Move]] = field(default_factory=list)

    def apply(self, moves: Sequence[Move]) -> bool:
        """All of the moves or none."""
        if any(self.refs.get(move.ref) != move.old for move in moves):
            return False
        for move in moves:
            self.moved.append((self.world.now, move))
            if move.new is None:
                self.refs.pop(move.ref, None)
            else:
                self.refs[move.ref] = move.new
        return True

    def first(self, hold: LockHold) -> float:
        """When the lock really became this one's, for the last time: its process may have learned of it much later."""
        found, before = 0.0, False
        for at, move in self.moved:
            if move.ref == hold.ref:
                ours = hold.issued(move.new)
                found, before = at if ours and not before else found, ours
        return found


class Refs:
    """The remote as a machine reaches it: late, lossy, and sometimes after the client has given up."""

    shared = True
    place = "the git remote origin"

    def __init__(self, remote: Remote, patience: Callable[[], float]) -> None:
        self.remote, self.patience = remote, patience

    def read(self) -> dict[str, str]:
        world = self.remote.world
        world.wait(_delay(world))
        if world.random.random() < 0.05:
            world.wait(world.random.choice([0.1, self.patience()]))
            raise Unreachable("The git remote origin cannot be reached.")
        found = dict(self.remote.refs)
        world.wait(_delay(world))
        return found

    def move(self, moves: Sequence[Move]) -> CutoverError | None:
        world, draw = self.remote.world, self.remote.world.random
        world.wait(_delay(world))
        fate = draw.random()
        if fate < 0.03:
            return Unreachable("The git remote origin cannot be reached.")
        if fate < 0.05:  # it lands after the client has given up
            world.later(world.now + draw.uniform(0, 120), lambda: _ignore(self.remote.apply(moves)))
            world.wait(self.patience())
            return Unknown("git push did not end in time and was stopped.")
        landed = self.remote.apply(moves)
        world.wait(_delay(world))
        if fate < 0.09:
            world.wait(draw.choice([0.1, self.patience()]))
            return Unknown("the answer was lost")
        return None if landed else Raced("Another process moved the ref first.", stderr="stale info", place=self.place)

    def bring(self, ref: str, commit: str) -> None:
        """Objects are everywhere at once."""

    def bring_all(self, wanted: Mapping[str, str]) -> None:
        """Objects are everywhere at once."""

    def check(self) -> None:
        """We may write."""


def _ignore(_: object) -> None:
    return None


def _delay(world: World) -> float:
    return world.random.uniform(0.02, 0.4) if world.random.random() < 0.95 else world.random.expovariate(1 / 8)


class Repository:
    """What lock and ledger ask of git, in memory."""

    def __init__(self, remote: Remote) -> None:
        self.remote, self.patience, self.path = remote, 60.0, Path("app")
        self._refs: dict[str, str] = {}

    def commit(self, message: str, parents: Sequence[str] = ()) -> str:
        name = f"{len(self.remote.commits):040x}"
        self.remote.commits[name] = (message, tuple(parents))
        return name

    def revision(self, name: str) -> str | None:
        return name if name in self.remote.commits else self._refs.get(name)

    def move(self, ref: str, new: str, old: str | None = None) -> bool:
        if old is not None and self._refs.get(ref, "") != old:
            return False
        self._refs[ref] = new
        return True

    def chain(self, tip: str | None) -> Iterator[str]:
        while tip:
            yield tip
            tip = next(iter(self.remote.commits[tip][1]), None)

    def is_ancestor(self, older: str, newer: str) -> bool:
        return older in self.chain(newer)

    def git(self, *words: str, stdin: bytes = b"", **_: Any) -> Any:
        commits = self.remote.commits
        if words[0] == "rev-list":
            tip = words[words.index("--first-parent") + 1]
            stop = next((word[1:] for word in words if word.startswith("^")), None)
            names = list(itertools.takewhile(lambda name: name != stop, self.chain(tip)))
            return SimpleNamespace(text="\n".join(reversed(names)))
        assert words[0] == "cat-file"
        bodies = [(name, f"tree x\n\n{commits[name][0]}".encode()) for name in stdin.decode().split()]
        if words[1] == "--batch-check":
            return SimpleNamespace(text="\n".join(f"{name} commit {len(body)}" for name, body in bodies))
        return SimpleNamespace(out=b"".join(f"{n} commit {len(body)}\n".encode() + body + b"\n" for n, body in bodies))


class Queue:
    """Queued records of a machine, in memory."""

    def __init__(self) -> None:
        self.folder, self.kept = Path("queue"), []  # type: ignore[var-annotated]

    def save(self, record: dict[str, Any]) -> Path:
        self.kept.append(record)
        return self.folder

    def waiting(self) -> list[Path]:
        return [self.folder] * len(self.kept)

    def records(self) -> list[dict[str, Any]]:
        return list(self.kept)

    def deliver(self, known: Callable[[], Sequence[Mapping[str, Any]]], write: Callable[[Any], None], *_: float) -> int:
        if not self.kept:
            return 0
        there = {record["id"] for record in known()}
        late = [record for record in self.kept if record["id"] not in there]
        if late:
            write(late)
        self.kept = [record for record in self.kept if record not in late and record["id"] not in there]
        return len(late)


class Seen(dict[str, bytes]):
    """The folder of what a machine has seen of locks."""

    def __truediv__(self, name: str) -> Any:
        return SimpleNamespace(read_text=lambda: self[name].decode(), put=lambda data: self.__setitem__(name, data))


@dataclass
class Platform:
    """One function: its version only grows, and each change is noted with who made it, knowing what."""

    world: World
    version: int = 1
    source: int = 0
    violations: list[str] = field(default_factory=list)
    begun: list[Deploy] = field(default_factory=list)

    def read(self) -> tuple[int, int]:
        self.world.wait(_delay(self.world))
        if self.world.random.random() < 0.05:
            raise Unreachable("The platform cannot be reached.")
        found = self.version, self.source
        self.world.wait(_delay(self.world))
        return found

    def put(self, by: Deploy) -> int:
        """Makes the source live within the request's deadline or never; returns the new version."""
        world, draw = self.world, self.world.random
        travel = draw.uniform(0.05, 3) if draw.random() < 0.7 else draw.uniform(0, 40)
        fate = draw.random()
        if travel > DEADLINE or fate < 0.05:
            world.wait(min(travel, DEADLINE))
            raise Unknown("the answer was lost")
        answer: list[int] = []
        world.later(world.now + travel, lambda: answer.append(self._change(by)))  # whatever becomes of the client
        world.wait(travel + 0.001)
        if fate < 0.15:
            world.wait(max(DEADLINE - travel, 0.0))
            raise Unknown("the answer was lost")
        return answer[0]

    def _change(self, by: Deploy) -> int:
        later = [one.name for one in self.begun if one.locked_at > by.locked_at]
        if later:
            self.violations.append(f"{by.name} wrote at {self.world.now:.1f} after {later} had read under a later lock")
        by.replaced = self.source
        self.version, self.source = self.version + 1, by.source
        return self.version


@dataclass
class Deploy:
    """One deploy: what it read, what it replaced, and its exit code (None: killed)."""

    name: str
    source: int
    locked_at: float = 0.0
    saw: int | None = None
    replaced: int | None = None
    code: int | None = None


def deploy(machine: Machine, own: Lock, remote: Remote, platform: Platform, mine: Deploy) -> int:
    """The order of a real deploy: lock, read again, intent, upload, confirm, activate, read back, outcome."""
    world, ledger, shown = machine.world, own.ledger, platform.read()
    with own.held(mine.name, wait=900.0) as hold:
        mine.locked_at = remote.first(hold)
        ledger.history()
        if ledger.offline:
            raise ServiceFailed("Nothing was changed: the ledger could not be read again.")
        version, source = platform.read()
        if (version, source) != shown:
            raise Refused("Not deployed: another version is live now.")
        mine.saw = source
        platform.begun.append(mine)
        ledger.append({"record": "intent", "deployment": mine.name, "kind": "deploy"})
        world.wait(world.random.choice([0.5, 5.0, 30.0, 60.0]))
        for _ in range(5):
            hold.fresh()
            try:
                answer = platform.put(mine)
            except Unknown:
                answer, live = platform.read()
                if (answer, live) == (version, source):
                    continue
                if live != mine.source:
                    raise Unfinished("Another version is live than was due.") from None
            if answer != version + 1:
                raise Unfinished("Another version is live than was due.")
            ledger.keep({"record": "outcome", "deployment": mine.name, "outcome": "live"}, release=True)
            return 0
        raise Unfinished("It is unknown whether the activation arrived.")


@contextmanager
def virtual() -> Iterator[None]:
    """Our modules without disk, processes and threads of their own."""
    here = SimpleNamespace(
        machine=lambda: "a machine of its own",
        started=lambda _: "",
        alive=lambda *_: True,
        where=dict,
        who=lambda *_: "ada",
    )

    def at_once(actions: Sequence[Callable[[], Any]]) -> Callable[[], list[Any]]:
        results = [action() for action in actions]
        return lambda: results

    with pytest.MonkeyPatch.context() as patch:
        for module in ("lock", "ledger"):
            patch.setattr(f"migration.ledger.{module}.actor", here)
        for module in ("ledger", "mirror"):
            patch.setattr(f"migration.ledger.{module}.begin", at_once)
        patch.setattr("migration.ledger.lock.durable", SimpleNamespace(write=lambda file, data: file.put(data)))
        patch.setattr("migration.ledger.ledger.durable", SimpleNamespace(write=lambda *_, **__: None))
        patch.setattr("migration.ledger.lock.failpoint", lambda _: None)
        patch.setattr(LockHold, "start", lambda hold: hold.ledger.clock.world.spawn(
            Process(hold.ledger.clock.world, hold.ledger.clock, hold._beat), hold.ledger.clock.world.now))  # fmt: skip
        yield


def _lock(machine: Machine, remote: Remote, environment: str) -> Lock:
    repository = Repository(remote)
    refs: Any = Refs(remote, lambda: repository.patience)
    git: Any = repository
    address = LedgerAddress(environment, "project", Path(os.devnull) / "nowhere")  # no file can be made there
    ledger = Ledger(git, refs, address, Observer(), machine)
    ledger.emergency = Queue()  # type: ignore[assignment]
    seen: Any = Seen()
    return Lock(ledger, seen, monotonic=machine.running)


def history(seed: int, machines: int = 2) -> tuple[Platform, list[Deploy]]:
    """One history: each machine deploys its own source once or twice, from one or two environments."""
    world = World(seed)
    remote, platform = Remote(world), Platform(world)
    deploys: list[Deploy] = []
    apart = world.random.random() < 0.3

    def work(machine: Machine, number: int) -> None:
        own = _lock(machine, remote, f"env{number}" if apart else "prod")
        for turn in range(world.random.choice([1, 2])):
            mine = Deploy(f"m{number}-{turn}", len(deploys) + 1)
            deploys.append(mine)
            try:
                mine.code = deploy(machine, own, remote, platform, mine)
            except CutoverError as error:
                mine.code = error.exit_code
            world.wait(world.random.uniform(0, 60))

    for number in range(machines):
        machine = Machine(world, f"m{number}")
        world.spawn(Process(world, machine, lambda machine=machine, number=number: work(machine, number)),  # type: ignore[misc]
                    world.random.uniform(0, 20))  # fmt: skip
    patched = LockHold.__init__

    def init(hold: LockHold, *words: Any) -> None:
        patched(hold, *words)
        hold.mutex, hold._stop = Mutex(world), Event(world)  # type: ignore[assignment]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LockHold, "__init__", init)
        patch.setattr("migration.base.retry.random", world.random)
        world.run()
    _records_once(remote)
    return platform, deploys


def _records_once(remote: Remote) -> None:
    for ref, tip in remote.refs.items():
        if "/ledger/" in ref:
            names = [json.loads(remote.commits[name][0].split("\n")[0])["id"] for name in Repository(remote).chain(tip)]
            assert len(names) == len(set(names)), "a record stands twice"
