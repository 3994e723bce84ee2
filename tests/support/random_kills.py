"""Rounds of kill -9 at random moments: of an `inv` with everything it started, of the program alone, or of one child
such as git or deno, on one of two machines, with a fault of the platform or of the git remote beside it, or with the
other machine deploying at the same time. Then someone at either machine types what `inv status` prints, perhaps killed
again, until it prints nothing more.

What is typed is the real program, with `config.yaml` and `.env` in files, in a process group of its own. A round is
made from its seed: the act, the machines, the fault, and the moment as a share of what such an act takes here. The
machine's own timing is not in the seed, so that a round that failed may need several tries.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migration.base.errors import CutoverError
from migration.context import Context
from migration.rehearsal.server import Running
from tests.support import project, repos, scene
from tests.support.cells import warm
from tests.support.scene import Scene, index

WORLD = 20  # rounds in one world: then a new app, remote and platform
LIMIT = 300  # seconds for one command, with faults: more is a hang, unless it still asks and is answered
BUSY = 4  # times as long where it does: at the lowest priority a busy machine gives it next to nothing
STEPS = 10  # commands that are followed before a round counts as endless
PROGRAMS = Path(sys.executable).parent  # of the virtual environment: `inv`, `deno`
ACTS = {
    "deploy": ("deploy", "--yes", "--no-gate"),
    "deploy with its gate": ("deploy", "--yes"),
    "rollback": ("rollback", "--yes"),
    "status": ("status",),
    "note": ("history", "--note", "a note"),
}
ODDS = ("deploy", "deploy", "deploy with its gate", "rollback", "rollback", "status", "note")
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
OTHER = "a deploy of the other machine"
NAMES = {"ACCESS_TOKEN": "access_token", "ANON_KEY": "anon_key"}  # in `.env`


class Hang(Exception):
    """A command did not end within its limit."""


class Wrong(Exception):
    """What must hold does not."""


@dataclass
class Found:
    """What the rounds showed: how often each thing happened, and what went wrong, with its seed."""

    rounds: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, one: Mapping[str, Any]) -> None:
        """One round, as a line of the file of progress has it."""
        self.rounds += 1
        self.seconds += one["seconds"]
        self.counts.update(one["counts"])
        self.failures += [one["failure"]] if one["failure"] else []

    def lines(self) -> Iterator[str]:
        """A table for people."""
        for name, number in sorted(self.counts.items()):
            yield f"{name:<48}{number:>6}"
        yield f"{'rounds':<48}{self.rounds:>6}"
        yield f"{'lost, endless or hanging':<48}{len(self.failures):>6}"
        yield from self.failures


def rounds(
    number: int, first: int, folder: Path, caches: Path, running: Running, progress: Path, seconds: float = 1e9
) -> Found:
    """As many rounds as that, or as fit into `seconds`; a world with a failure is left behind. `progress` has a line a
    round: those that stand there are counted and not run again."""
    end = time.monotonic() + seconds
    done = [json.loads(line) for line in progress.read_text().splitlines()] if progress.exists() else []
    known = {one["seed"]: one for one in done if first <= one["seed"] < first + number}
    found, world = Found(), None
    sys.stderr.write(f"seeds from {first} to {first + number - 1}, {len(known)} of them done\n")
    for seed in range(first, first + number):
        if seed in known:
            found.add(known[seed])
            continue
        if time.monotonic() > end:
            break
        if world is None or seed % WORLD == 0:
            if world is not None:
                shutil.rmtree(world.stage.folder, ignore_errors=True)
            world = World(folder / f"world{seed}", caches, running)
        one = world.carried(seed)
        found.add(one)
        with progress.open("a") as file:
            file.write(json.dumps(one) + "\n")
        if one["failure"]:
            sys.stderr.write(f"{one['failure']}\n")
            world = None
    return found


class World:
    """Two machines, one remote, one platform."""

    def __init__(self, folder: Path, caches: Path, running: Running) -> None:
        running.reset()
        folder.mkdir(parents=True)
        self.stage: Scene = scene.deployed(folder, running)
        values = {
            "url": running.url, "project_ref": running.project_ref, "api_url": running.api_url,
            "access_token": "${ACCESS_TOKEN}", "confirm": True,
        }  # fmt: skip
        gate = {"delay": "0s", "within": "30s"}
        auth = {"anon_key": "${ANON_KEY}"}
        self.stage.settings = {"environments": {"prod": values}, "gate": gate, "auth": auth, "budget": {}}
        if left := self.stage.context().lock.holder():  # the first deploy could not release it on a busy machine
            self.stage.context().lock.unlock(left.id)
        other = repos.clone(folder / "remote.git", folder / "other")
        self.machines = {"root": self.stage.app, "second": other}
        for name, app in self.machines.items():
            self._set_up(folder / name, app)
        warm(folder, caches, *self.machines)
        self.running = running
        self.took = {"deploy": 6.0, "deploy with its gate": 8.0, "rollback": 8.0, "status": 2.0, "note": 2.0}
        self.version = 1
        self.known: list[str] = []
        self.counts: Counter[str] = Counter()
        self.said: list[str] = []

    def _set_up(self, folder: Path, app: Path) -> None:
        """The folder of tasks.py, as a person has it."""
        project.copy(folder)
        self.stage.context(app, folder.name)  # writes config.yaml
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(text.replace(f"path: {self.stage.app}\n", f"path: {app}\n"))
        values = {name: getattr(self.stage.running, value) for name, value in NAMES.items()}
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        (folder / ".env").chmod(0o600)

    def context(self, machine: str) -> Context:
        """What the rounds themselves look at; it runs in this process, and nothing of it is killed."""
        return self.stage.context(self.machines[machine], "looking")

    def carried(self, seed: int) -> dict[str, Any]:
        """One round, as a line of the file of progress."""
        began, failure = time.monotonic(), ""
        self.counts, self.said = Counter(), []
        try:
            self.round(random.Random(seed))
        except (Wrong, Hang, CutoverError, AssertionError, subprocess.CalledProcessError) as error:
            failure = f"seed {seed}: {type(error).__name__}: {error}; {'; '.join(self.said)}"
        seconds = round(time.monotonic() - began, 1)
        return {"seed": seed, "seconds": seconds, "counts": self.counts, "said": self.said, "failure": failure}

    def round(self, chance: random.Random) -> None:
        """One act, killed, and what is typed afterwards."""
        act, way = chance.choice(ODDS), chance.choice(WAYS)
        machine, after = (chance.choice(list(self.machines)) for _ in range(2))
        if act.startswith("deploy"):
            self._commit(machine, chance)
        fault = chance.choice([*FAULTS, *GIT, OTHER, OTHER]) if chance.random() < 0.4 else ""
        other = next(name for name in self.machines if name != machine)
        with self._trouble(fault, other):
            self._killed(machine, act, ACTS[act], way, chance)
        self.running.heal()
        self._note(f"{act}, {way}")
        if fault:
            self._note(f"beside it: {fault}")
        self._current(after)
        self._follow(after, chance)
        self._agree(after)

    def _note(self, what: str) -> None:
        self.counts[what] += 1
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
    def _trouble(self, fault: str, other: str) -> Iterator[None]:
        remote = self.stage.folder / "remote.git"
        away, lock = remote.with_name("away.git"), remote / "refs/cutover/lock/prod.lock"
        beside: Typed | None = None
        if fault in FAULTS:
            self.running.fault(**FAULTS[fault])
        elif fault == "git lock file":
            lock.parent.mkdir(parents=True, exist_ok=True)
            lock.touch()
        elif fault == "git away":
            back = threading.Timer(0.5, lambda: away.rename(remote))
            remote.rename(away)
            back.start()
        elif fault == OTHER:
            self._current(other)
            beside = self._start(other, ACTS["deploy"])
        try:
            yield
        finally:
            if fault == "git away":
                back.join()
            lock.unlink(missing_ok=True)
            if beside is not None:
                self._checked(beside.ended(), beside)
                beside.gone()

    # Typing and killing

    def _start(self, machine: str, words: tuple[str, ...]) -> Typed:
        return Typed(self.stage.folder / machine, words)

    def _killed(self, machine: str, act: str, words: tuple[str, ...], way: str, chance: random.Random) -> None:
        """Type a verb, kill at a random moment, and wait for its end."""
        began, share = time.monotonic(), chance.random()
        typed = self._start(machine, words)
        with contextlib.suppress(subprocess.TimeoutExpired):
            typed.process.wait(share * 1.1 * self.took[act])
        if typed.process.poll() is None:
            self._note(f"killed: {typed.kill(way, chance)}")
        code = typed.ended()
        if code == -signal.SIGKILL:
            self.took[act] *= 1.03  # nearly all are killed before their end: this keeps the last moments in reach
        else:
            self.took[act] = 0.7 * self.took[act] + 0.3 * min(time.monotonic() - began, 40.0)
        self._note(f"{act} ended {'killed' if code == -signal.SIGKILL else f'with exit {code}'}")
        self._checked(code, typed)
        typed.gone()

    def _checked(self, code: int, typed: Typed) -> None:
        """What was typed ends by a signal of ours or an exit code that the README has, in words and without a bug."""
        if code not in (-signal.SIGKILL, 0, 2, 3, 4, 5):
            raise Wrong(f"{typed} exits {code}: {typed.text()}")
        if re.search(r"Traceback|A bug in Cutover", typed.text()):
            raise Wrong(f"{typed}: {typed.text()}")
        if code > 0 and not typed.text().strip():
            raise Wrong(f"{typed} exits {code} without a word")

    # What a person types then

    def _follow(self, machine: str, chance: random.Random) -> None:
        again = chance.random() < 0.3  # killed once more on the way
        for _ in range(STEPS):
            shown = self._status(machine)
            line = _first(shown.get("next") or [])
            if not line:
                if shown["exit_code"]:
                    raise Wrong(f"status exits {shown['exit_code']} and names no command: {shown}")
                return
            self.said.append(line)
            for part in line.split(" && "):
                if not part.startswith("inv "):
                    subprocess.run(part, shell=True, check=True, capture_output=True,
                                   env={**os.environ, **repos.QUIET}, timeout=LIMIT)  # fmt: skip
                    continue
                act = part.split()[1]
                words = (*_words(part), "--yes", *(["--no-gate"] if act == "deploy" else []))
                if again:
                    way = chance.choice(WAYS)
                    self._killed(machine, act, words, way, chance)
                    self._note(f"killed again on the way, {way}")
                    again = False
                else:
                    self._typed(machine, words)
        raise Wrong(f"no end after {STEPS} commands")

    def _status(self, machine: str) -> dict[str, Any]:
        typed = self._start(machine, ("status", "--json"))
        self._checked(typed.ended(), typed)
        try:
            shown: dict[str, Any] = json.loads(typed.out.read_text())
        except ValueError:
            raise Wrong(f"status prints no JSON: {typed.text()}") from None
        if "functions" not in shown:
            raise Wrong(f"status refuses: {typed.text()}")
        return shown

    def _typed(self, machine: str, words: tuple[str, ...]) -> None:
        typed = self._start(machine, words)
        code = typed.ended()
        self.said.append(f"{code} {typed.text()[-300:]!r}" if code else "0")
        self._checked(code, typed)
        if code == 2 and "lock" not in typed.text().lower():
            raise Wrong(f"what status prints is refused: {typed}: {typed.text()}")

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
        if history.live is None:
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


class Typed:
    """`inv` with these words, running in the folder of tasks.py as a process group of its own."""

    _number = 0

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        Typed._number += 1
        self.words, self.mark = words, f"CUTOVER_ROUND={os.getpid()}-{Typed._number}"
        self.folder, self.out, self.err = folder, folder / "out.txt", folder / "err.txt"
        name, _, value = self.mark.partition("=")
        environment = {name_: held for name_, held in project.environment().items() if not name_.startswith("UV_")}
        environment |= {**repos.QUIET, name: value, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                ["inv", *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True, executable=shutil.which("inv", path=environment["PATH"]),
            )  # fmt: skip

    def __str__(self) -> str:
        return f"inv {' '.join(self.words)}"

    def text(self) -> str:
        """What it wrote for people."""
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def kill(self, way: str, chance: random.Random) -> str:
        """All of it, the program alone, or one child; with no child just then, the program. The name of what it was."""
        pid, children = self.process.pid, descendants(self.process.pid)
        end = time.monotonic() + 1.0
        while way == "child" and not children and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
            children = descendants(pid)
        if way == "child" and children:
            one = chance.choice(sorted(children))
            name = _name(one)
            _end([one])
            return name
        if way == "tree":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGSTOP)  # so that it starts no other meanwhile
            _end([pid, *descendants(pid), *self._marked()])
            return "all"
        _end([pid])
        return "inv"

    def ended(self) -> int:
        """Its exit code; Hang after the limit."""
        for _ in range(BUSY):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(LIMIT)
            if not self._moves():
                break
        _end([self.process.pid, *descendants(self.process.pid), *self._marked()])
        raise Hang(f"{self} did not end: {self.text()}")

    def _moves(self) -> bool:
        """Whether it has written to the log of its run in the last third of the limit."""
        logs = (self.folder / ".cutover/log").glob("*.log")
        return max((log.stat().st_mtime for log in logs), default=0.0) > time.time() - LIMIT / 3

    def gone(self) -> None:
        """What it started has ended too, by itself."""
        end = time.monotonic() + LIMIT
        while left := self._marked():
            if time.monotonic() > end:
                names = sorted({_name(pid) for pid in left})
                _end(left)
                raise Hang(f"{self} left running for {LIMIT} s: {', '.join(names)}")
            time.sleep(0.05)

    def _marked(self) -> list[int]:
        """Every process that was started below it, also one that has lost its parent."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if f"\0{self.mark}\0".encode() in b"\0" + (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found


def _first(steps: list[str]) -> str:
    """The first command that changes anything, in the order it is printed."""
    for line in steps:
        if re.match(r"(inv|git) ", line) and re.match(r"inv (deploy|rollback)\b", line.split(" && ")[-1]):
            return line
    return ""


def _words(line: str) -> tuple[str, ...]:
    return tuple(shlex.split(line)[1:])


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


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "one that had ended"


def _end(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
