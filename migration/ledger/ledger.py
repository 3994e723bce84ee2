"""The shared list of deployments: appended by compare-and-swap, read from the last known tip when offline.

Whoever holds the lock is the ledger's `fence`: each of its records moves the lock in the same push, so that whoever
lost the lock writes nothing. `append` raises when the record could not be written; `keep` is for what has already
happened and queues the record in a file, which the next command that reaches the remote pushes, reading or writing.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from migration.base import durable
from migration.base.clock import Clock
from migration.base.durations import show
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.numbers import count
from migration.base.parallel import begin
from migration.base.progress import Observer
from migration.git.giterrors import Denied
from migration.git.refs import HEADS, Move, Raced, Refs
from migration.git.repository import NETWORK, Repository
from migration.ledger import actor, chain, records
from migration.ledger.chain import ChainReader
from migration.ledger.deployments import History, Summary
from migration.ledger.emergency import PATIENCE as PUSHING
from migration.ledger.emergency import Emergency, QueueBusy
from migration.ledger.mirror import Mirror
from migration.ledger.records import Record
from migration.ledger.tries import FAILURES, Tries

PATIENCE = 120.0  # seconds of losing races before giving up
GLANCE = 2.0  # seconds that a reading command waits for another one that pushes queued records
READING = 3.0  # seconds that a reading command waits for the remote, before it shows what this clone knows
SLOW = 20.0  # seconds that it waits at most, for a remote that is known to be slow or was never read
HURRIED = 2.0  # seconds that a stopped run waits for the remote
PREFIX = "refs/cutover"


class Fence(Protocol):
    """The lock as the ledger sees it: `lock.LockHold`."""

    mutex: threading.RLock
    ref: str

    def advance(self, release: bool) -> Move: ...
    def confirm(self, move: Move, began: float) -> None: ...
    def check(self, current: str | None) -> None: ...
    def exclude(self, refs: Mapping[str, str]) -> None: ...


@dataclass(frozen=True)
class LedgerAddress:
    """Which ledger: of which environment and project, below which refs, with which folder for this machine's files.

    `siblings`: other environments of the configuration with the same project. `clone`: the repository was made for the
    sandbox.
    """

    environment: str
    project_ref: str
    state: Path
    prefix: str = PREFIX
    siblings: frozenset[str] = frozenset()
    clone: bool = False


class Ledger:
    """One environment's records. `outage` is why the remote could not be read, None when it could."""

    def __init__(self, repository: Repository, refs: Refs, address: LedgerAddress, observer: Observer | None = None,
                 clock: Clock | None = None) -> None:  # fmt: skip
        self.repository = repository
        self.refs = refs
        self.environment = address.environment
        self.project_ref = address.project_ref
        self.siblings = address.siblings
        self._clone = address.clone
        self.observer = observer or Observer()
        self.clock = clock or Clock()
        self.prefix = address.prefix if refs.shared else PREFIX
        self.ref = f"{self.prefix}/ledger/{self.environment}"
        self.mirror = Mirror(repository, self.environment, self.refs.place, self.observer, refs.shared)
        self.emergency = Emergency(address.state / "emergency" / self.environment, self.clock)
        self.outage: CutoverError | None = None
        self.remote_refs: dict[str, str] | None = None  # our refs and the app's branch, as last read
        self.fence: Fence | None = None
        self._reader = ChainReader(repository, address.state / "ledger" / f"{self.environment}.json")
        self._down = False  # a record could not be written: the next one does not wait as long
        self._once = False  # and is not tried at all
        self._busy = False  # another process pushes the queued records and does not finish
        self._unreadable = 0  # records that the user was warned about
        self._reads = address.state / "ledger" / f"{self.environment}.read.json"
        self._glancing = False
        self._expected: tuple[str | None] | None = None  # the remote's tip as last read

    @property
    def shared(self) -> bool:
        """False when ledger and lock stay in this repository because it has no remote."""
        return self.refs.shared

    @cached_property
    def who(self) -> str:
        return actor.who(self.repository, self._clone)

    # Reading

    @property
    def offline(self) -> str | None:
        """`outage` in a sentence, with what to type, after how old what this clone knows is."""
        if self.outage is None:
            return None
        steps = ", ".join(map(str, self.outage.steps))
        why = f"{self.outage.message}{f' ({steps})' * bool(steps)}"
        if self.unread:
            return f"This clone has never read the ledger: what was deployed is unknown. {why}"
        age = self._age()
        return f"The ledger is as this clone last read it{f': {age} ago' * bool(age)}. {why}"

    @property
    def unread(self) -> bool:
        """Whether nothing is known of it: it cannot be read now, and never was."""
        return self.outage is not None and self.mirror.tip is None

    def glance(self) -> None:
        """For a command that only reads: if the remote does not answer soon, show what this clone knows.

        Soon is READING, or three times as long as the remote took the last time.
        """
        took = self._last_read().get("seconds", SLOW / 3)
        self.repository.patience = min(max(READING, 3 * float(took)), SLOW)
        self._glancing = True

    def _age(self) -> str:
        """How long ago this clone last read the ledger; empty where it is unknown."""
        with contextlib.suppress(KeyError, ValueError, TypeError):
            at = datetime.fromisoformat(self._last_read()["at"])
            return show(max((self.clock.now() - at).total_seconds(), 0.0))
        return ""

    def _last_read(self) -> dict[str, Any]:
        """When the remote was last read, and how many seconds it took."""
        with contextlib.suppress(OSError, ValueError):
            reads = json.loads(self._reads.read_text())
            return reads if isinstance(reads, dict) else {}
        return {}

    def _note_read(self, began: float) -> None:
        seconds = round(self.clock.monotonic() - began, 3)
        note = {"at": self.clock.now().isoformat(timespec="seconds"), "seconds": seconds}
        with contextlib.suppress(OSError):
            durable.write(self._reads, json.dumps(note).encode(), sync=False)
        if self._glancing:  # it answers: from here on it gets the time that it needs
            self.repository.patience, self._glancing = NETWORK, False

    def tip(self, fresh: bool = True) -> str | None:
        """The newest commit of the chain: as the remote has it now, or as last read when it cannot be reached."""
        if fresh:
            began = self.clock.monotonic()
            try:
                self.remote_refs = self.refs.read()
                self._follow(self.remote_refs.get(self.ref))
                self.outage = None
                self._note_read(began)
            except (ServiceFailed, Denied) as error:
                self.outage = error
            else:
                if self.fence is not None:
                    self.fence.exclude(self.remote_refs)
        return self.mirror.tip

    def records(self, fresh: bool = True) -> Sequence[Mapping[str, Any]]:
        """Oldest first, each once; queued records are pushed if the remote takes them, or come last."""
        return self.history(fresh).records

    def history(self, fresh: bool = True) -> History:
        """The records folded into deployments, queued ones last."""
        self.tip(fresh)
        if fresh and self.outage is None and self.emergency.waiting():
            self._offer()
        history = self._reader.upto(self.mirror.tip)
        self._name_unreadable(history.summary)
        if queued := self.emergency.records():
            pushed = {record["id"] for record in history.records}
            history = history.plus([record for record in queued if record["id"] not in pushed])
        return history

    def _name_unreadable(self, known: Summary) -> None:
        """Once a run: how many records are passed over, and why the newest one is."""
        if known.unreadable and known.unreadable != self._unreadable:
            many = count(known.unreadable, "record") + (" is" if known.unreadable == 1 else " are")
            last = known.last_unreadable
            self.observer.warn(
                f"{many} unreadable in the ledger of {self.environment} and passed over; the newest is commit "
                f"{last['id'][:12]}: {last['why']}."
            )
        self._unreadable = known.unreadable

    def _offer(self) -> None:
        """One try of a reading command to push queued records; silent on failure: the next command tries again."""
        with contextlib.suppress(ServiceFailed, Refused):
            if late := self.flush(failures=1, patience=GLANCE):
                self.observer.note(f"Pushed {count(late, 'queued record')} to the ledger.")

    # Writing

    def announce(self, fresh: bool = True) -> str | None:
        """What the first write will create, or None. Denied if we may not push (unchecked without `fresh`)."""
        if fresh:
            self.refs.check()
        if self.tip(fresh) is not None:
            return None
        where = self.refs.place + " of the sandbox's own clone" * (self.environment == "sandbox")
        return f"This creates {self.ref} and {self.prefix}/lock/{self.environment} in {where}."

    def append(self, record: Record, *, release: bool = False) -> Record:
        """Write one record and return it with id, at, environment, project_ref, who and where.

        With a lock held it renews the lock in the same push, or releases it with `release`. Raises Unreachable,
        Denied or HostRefuses when it could not be written, LockLost when the lock is not ours any more.
        """
        self.flush()
        stamped = self.stamp(record)
        self._write([stamped], release=release)
        return stamped

    def keep(self, record: Record, *, release: bool = False, failures: int = FAILURES) -> Path | None:
        """Append what already happened; if that cannot be done, queue it in a file and return its path."""
        stamped = self.stamp(record)
        if self._once and (self._down or self.offline):
            return self.emergency.save(stamped)
        try:
            self._write([stamped], release=release, failures=1 if self._down or self._once else failures)
            return None
        except (ServiceFailed, Refused) as error:
            self._down = True
            path = self.emergency.save(stamped)
            self.observer.warn(
                f"Could not write the ledger ({error.message.rstrip('.')}). The record is queued in {path}; "
                "the next command that reaches the remote pushes it."
            )
            return path

    def flush(self, failures: int = FAILURES, patience: float = PUSHING) -> int:
        """Push the queued records; returns how many. They stay queued where another process is at it for `patience`
        seconds: what this machine reads holds them all the same."""
        patience = 0.0 if self._busy else min(patience, self.repository.patience)
        try:
            return self.emergency.deliver(
                lambda: self._reader.upto(self.tip()).records,
                lambda late: self._write(late, failures=failures),
                patience,
            )
        except OSError as error:  # a folder that cannot be written now, though it could be once
            if not self._busy:
                self.observer.warn(f"Could not push the queued records in {self.emergency.folder}: {error.strerror}.")
            self._busy = True
            return 0
        except QueueBusy as busy:
            if not self._busy:
                self.observer.warn(busy.message)
            self._busy = True
            return 0

    def hurry(self) -> None:
        """From now on wait no longer than `HURRIED` for an answer: we are being stopped."""
        self.repository.patience = HURRIED

    def brief(self, timeout: float) -> None:
        """Give the remote one try of this many seconds: a restore does not wait for git. Until `patient`."""
        self.repository.patience, self._once = timeout, True

    def patient(self) -> None:
        """Take time again, unless the remote has shown that it does not answer."""
        if not self._down and not self.offline:
            self.repository.patience, self._once = NETWORK, False

    def stamp(self, record: Record) -> Record:
        """The record with what every record carries (`records.stamped`)."""
        place = {"environment": self.environment, "project_ref": self.project_ref}
        return records.stamped(record, self.clock.now(), place, {"who": self.who, "where": actor.where()})

    def _write(self, records: Sequence[Record], release: bool = False, failures: int = FAILURES) -> None:
        with self.fence.mutex if self.fence else contextlib.nullcontext():
            self._race(records, self.fence, release, failures)

    def _race(self, records: Sequence[Record], fence: Fence | None, release: bool, failures: int) -> None:
        """Push until the records are in the chain; after each failed push read what the remote holds."""
        tries = Tries(self.clock, PATIENCE, failures)
        since = expected = self._first()
        while True:
            began = self.clock.monotonic()
            error = self._attempt(records, expected, fence, release)
            if error is None:
                return
            if isinstance(error, Refused):
                raise error
            if not isinstance(error, Raced):
                tries.failed(error)
            tries.pause()
            try:
                tips = self.refs.read()
                self._follow(tips.get(self.ref))
            except ServiceFailed as unread:
                if isinstance(error, Raced):
                    tries.failed(unread)
                continue
            before, expected = expected, tips.get(self.ref)
            if expected and chain.landed(self.repository, records[-1], since, expected):
                if fence is not None:
                    self._settle(fence, tips, began, release)
                return
            if fence is not None:
                fence.check(tips.get(fence.ref))
            if isinstance(error, Raced):
                tries.raced(error, moved=expected != before)

    def _attempt(self, records: Sequence[Record], expected: str | None, fence: Fence | None, release: bool
                 ) -> CutoverError | None:  # fmt: skip
        began = self.clock.monotonic()
        parent = self.mirror.parent(expected)
        ending = "\n[skip ci]\n" if self.ref.startswith(HEADS) else ""
        steps = [lambda: fence.advance(release)] if fence is not None else []
        *locks, tip = begin([*steps, lambda: chain.write(self.repository, records, parent, ending)])()
        moves = [*locks, Move(self.ref, expected, tip)]
        error = self.refs.move(moves)
        if error is None:
            self._expected, self.outage = (tip,), None
            if self.shared:
                self.mirror.follow(tip, parent, last=fence is None or release)
            if fence is not None:
                fence.confirm(moves[0], began)
        return error

    def _settle(self, fence: Fence, tips: dict[str, str], began: float, release: bool) -> None:
        """Our record landed, though its answer was lost, and the lock with it; after its release others may hold it."""
        current = None if release else tips.get(fence.ref)
        if not release:
            fence.check(current)
        fence.confirm(Move(fence.ref, None, current), began)

    def _first(self) -> str | None:
        """The tip to expect at first: the remote's as last read, else this clone's."""
        return self.mirror.tip if self._expected is None else self._expected[0]

    def _follow(self, tip: str | None) -> None:
        """Remember the remote's tip, objects and all."""
        if tip is not None and tip != self.mirror.tip:
            self.refs.bring(self.ref, tip)
        self._expected = (tip,)
        if self.shared and tip is not None:
            self.mirror.follow(tip)
