"""Rounds of kill -9 at random moments: of a verb with all its children, of the verb alone, or of one child such as git,
on one of two machines, with a fault of the platform or of the git remote beside it. Then someone at either machine
types what `status` prints, perhaps killed again, until it prints nothing more.

A round is made from its seed: the act, the machines, the fault, and the moment as a share of what such an act takes
here. The machine's own timing is not in the seed, so that a round that failed may need several tries.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from migration.base.command import Chain, Command, Do, Shell, Step
from migration.base.errors import CutoverError
from migration.context import Context
from migration.inspect import status
from migration.inspect.status import StatusResult
from migration.rehearsal.server import Running
from tests.support import crash, repos, scene
from tests.support.cells import warm
from tests.support.scene import Scene, index

WORLD = 20  # rounds in one world: then a new app, remote and platform
LIMIT = 90  # seconds for one command, under load and with faults: more is a hang
STEPS = 10  # commands that are followed before a round counts as endless
ACTS = ("deploy", "deploy", "deploy", "rollback", "rollback", "status", "note")
WAYS = ("tree", "tree", "alone", "child", "child")
FAULTS: dict[str, dict[str, Any]] = {
    "staging 502": {"operation": "stage", "do": "status", "status": 502},
    "staging lost": {"operation": "stage", "do": "close", "applied": True},
    "activation lost": {"operation": "activate", "do": "close", "applied": True},
    "activation 500": {"operation": "activate", "do": "status", "status": 500},
    "list reset": {"operation": "list", "do": "reset", "nth": 2},
    "body cut": {"operation": "body", "do": "cut", "share": 0.5},
}
GIT = ("git away", "git lock file")


class Hang(Exception):
    """A command did not end within its limit."""


class Wrong(Exception):
    """What must hold does not."""


@dataclass
class Found:
    """What the rounds showed: how often each thing happened, and what went wrong, with its seed."""

    rounds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """A table for people."""
        for name, number in sorted(self.counts.items()):
            yield f"{name:<48}{number:>6}"
        yield f"{'rounds':<48}{self.rounds:>6}"
        yield f"{'lost, endless or hanging':<48}{len(self.failures):>6}"
        yield from self.failures


def rounds(number: int, first: int, folder: Path, caches: Path, running: Running, seconds: float = 1e9) -> Found:
    """As many rounds as that, or as fit into `seconds`; a world with a failure is left behind."""
    found, world, end = Found(), None, time.monotonic() + seconds
    for seed in range(first, first + number):
        if time.monotonic() > end:
            break
        if world is None or seed % WORLD == 0:
            if world is not None:
                shutil.rmtree(world.stage.folder, ignore_errors=True)
            world = World(folder / f"world{seed}", caches, running, found)
        found.rounds += 1
        try:
            world.round(random.Random(seed))
        except (Wrong, Hang, CutoverError, AssertionError, subprocess.CalledProcessError) as error:
            found.failures.append(f"seed {seed}: {type(error).__name__}: {error}; {'; '.join(world.said)}")
            sys.stderr.write(f"{found.failures[-1]}\n")
            world = None
    return found


class World:
    """Two machines, one remote, one platform."""

    def __init__(self, folder: Path, caches: Path, running: Running, found: Found) -> None:
        running.reset()
        folder.mkdir(parents=True)
        warm(folder, caches, "root", "second")
        self.stage: Scene = scene.deployed(folder, running)
        other = repos.clone(folder / "remote.git", folder / "other")
        self.machines = {"root": self.stage.app, "second": other}
        self.found, self.running = found, running
        self.took = {"deploy": 3.0, "rollback": 4.0, "status": 0.8, "note": 0.6}
        self.version = 1
        self.known: list[str] = []
        self.said: list[str] = []

    def context(self, machine: str) -> Context:
        return self.stage.context(self.machines[machine], machine)

    def round(self, chance: random.Random) -> None:
        """One act, killed, and what is typed afterwards."""
        self.said = []
        act, way = chance.choice(ACTS), chance.choice(WAYS)
        machine, after = (chance.choice(list(self.machines)) for _ in range(2))
        if act == "deploy":
            self._commit(machine, chance)
        fault = chance.choice([*FAULTS, *GIT]) if chance.random() < 0.4 else ""
        with self._trouble(fault):
            self._killed(machine, act, way, chance)
        self.running.heal()
        self._note(f"{act}, {way}")
        if fault:
            self._note(f"beside it: {fault}")
        self._current(after)
        self._follow(after, chance)
        self._agree(after)

    def _note(self, what: str) -> None:
        self.found.counts[what] += 1
        self.said.append(what)

    def _commit(self, machine: str, chance: random.Random) -> None:
        """A new version of one function or both, on top of the branch, pushed."""
        self._current(machine)
        app = self.machines[machine]
        self.version += 1
        slugs = chance.choice([self.stage.functions, self.stage.functions[:1]])
        repos.commit(app, {index(slug): scene.text(self.version) for slug in slugs}, f"Version {self.version}")
        repos.git(app, "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def _current(self, machine: str) -> None:
        """Check out what the branch has now: one that is behind knows nothing of what was never deployed."""
        app = self.machines[machine]
        repos.git(app, "fetch", "--quiet", "origin", "main")
        repos.git(app, "reset", "--quiet", "--hard", "FETCH_HEAD")

    @contextlib.contextmanager
    def _trouble(self, fault: str) -> Iterator[None]:
        remote = self.stage.folder / "remote.git"
        away, lock = remote.with_name("away.git"), remote / "refs/cutover/lock/prod.lock"
        if fault in FAULTS:
            self.running.fault(**FAULTS[fault])
        elif fault == "git lock file":
            lock.parent.mkdir(parents=True, exist_ok=True)
            lock.touch()
        elif fault == "git away":
            back = threading.Timer(0.5, lambda: away.rename(remote))
            remote.rename(away)
            back.start()
        try:
            yield
        finally:
            if fault == "git away":
                back.join()
            lock.unlink(missing_ok=True)

    # Killing

    def _killed(self, machine: str, verb: str, way: str, chance: random.Random, **options: Any) -> int:
        """Start a verb, kill at a random moment, and wait for its end; its exit code."""
        began, share = time.monotonic(), chance.random()
        child = crash.start(self.stage, "", machine, verb, self.machines[machine], **options)
        child.join(share * 1.1 * self.took[verb])
        if child.is_alive():
            self._kill(child.pid, way, chance)
        child.join(LIMIT)
        if child.is_alive():
            _end([child.pid, *descendants(child.pid)])
            raise Hang(f"{verb} did not end within {LIMIT} s after {way}")
        code = int(child.exitcode or 0)
        if code == -signal.SIGKILL:
            self.took[verb] *= 1.03  # nearly all are killed before their end: this keeps the last moments in reach
        else:
            self.took[verb] = 0.7 * self.took[verb] + 0.3 * min(time.monotonic() - began, 10.0)
        self._note(f"{verb} ended {'killed' if code == -signal.SIGKILL else f'with exit {code}'}")
        if code not in (-signal.SIGKILL, 0, 2, 3, 4, 5):
            raise Wrong(f"{verb} exits {code}")
        return code

    def _kill(self, pid: int, way: str, chance: random.Random) -> None:
        """The verb with all its children, the verb alone, or one child; with no child just then, the verb."""
        children = descendants(pid)
        end = time.monotonic() + 1.0
        while way == "child" and not children and time.monotonic() < end:
            time.sleep(0.005)
            children = descendants(pid)
        if way == "child" and children:
            _end([chance.choice(children)])
        elif way == "tree":
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)  # so that it starts no other meanwhile
            _end([pid, *descendants(pid)])
        else:
            _end([pid])

    # What a person types then

    def _follow(self, machine: str, chance: random.Random) -> None:
        again = chance.random() < 0.3  # killed once more on the way
        for _ in range(STEPS):
            shown = self._status(machine)
            command = _first(shown)
            if command is None:
                if shown.exit_code:
                    raise Wrong(f"status exits {shown.exit_code} and names no command: {shown.message}")
                return
            self.said.append(str(command))
            parts = command.parts if isinstance(command, Chain) else (command,)
            for part in parts:
                if isinstance(part, Shell):
                    subprocess.run(part.line, shell=True, check=True, capture_output=True,
                                   env={**os.environ, **repos.QUIET}, timeout=LIMIT)  # fmt: skip
                elif isinstance(part, Command):
                    verb, flags = part.verb, {name.replace("-", "_"): value for name, value in part.flags}
                    way = chance.choice(WAYS)
                    if again:
                        self._killed(machine, verb, way, chance, **_options(flags))
                        self._note(f"killed again on the way, {way}")
                        again = False
                    else:
                        self._typed(machine, verb, flags)
        raise Wrong(f"no end after {STEPS} commands")

    def _status(self, machine: str) -> StatusResult:
        with limited():
            return status.run(self.context(machine))

    def _typed(self, machine: str, verb: str, flags: dict[str, Any]) -> None:
        try:
            with limited():
                done = crash.carried(self.context(machine), verb, _options(flags))
            self.said.append(f"{done.exit_code} {getattr(done, 'message', '')}")
        except CutoverError as error:
            self.said.append(f"{error.exit_code} {error.message}")
            if error.exit_code == 2 and "lock" not in error.message.lower():
                raise Wrong(f"what status prints is refused: {verb}: {error.message}") from error

    def _agree(self, machine: str) -> None:
        """Live, git and ledger agree, nothing that was on record is gone, and the lock is free or stale."""
        context = self.context(machine)
        history = context.ledger.history()
        gone = set(self.known) - {one.id for one in history.deployments}
        if gone:
            raise Wrong(f"lost from the ledger: {', '.join(gone)}")
        self.known = [one.id for one in history.deployments]
        if history.interrupted:
            raise Wrong(f"{history.interrupted.id} has no outcome")
        holder = context.lock.holder()
        if holder is not None and not holder.stale:
            raise Wrong(f"the lock is held by {holder}")
        remote = self.stage.folder / "remote.git"
        if context.ledger.history().live is None:
            return  # what had created the functions is taken back, and no commit was before it
        for function in context.supabase.functions():
            files = context.supabase.body(function.slug).files
            live = next(data.decode() for path, data in files.items() if path.endswith(f"{function.slug}/index.ts"))
            there = repos.git(remote, "show", f"main:{index(function.slug)}") + "\n"
            left = history.left(function.slug)
            if live != there:
                raise Wrong(f"{function.slug} is live with {live!r}, main has {there!r}")
            if left is None or left.version != function.version:
                raise Wrong(f"{function.slug} v{function.version} is live, the ledger says {left}")


def _options(flags: dict[str, Any]) -> dict[str, Any]:
    return {("plan_hash" if name == "plan" else name): value for name, value in flags.items()}


def _first(shown: StatusResult) -> Step | None:
    """The first command that changes anything, in the order it is printed."""
    for step in shown.next:
        parts = step.parts if isinstance(step, Chain) else (step,)
        if isinstance(step, Do) or (isinstance(parts[-1], Command) and parts[-1].verb not in ("deploy", "rollback")):
            continue
        return step
    return None


def descendants(pid: int) -> list[int]:
    """The processes below one, whatever session they are in."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        todo = [child for parent in todo for child in below.get(parent, [])]
        found += todo
    return found


def _end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """A command in this very process has no longer than LIMIT."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"did not end within {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
