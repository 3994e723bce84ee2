"""The shared list of deployments: appended by compare-and-swap, read from the last known tip when offline.

Whoever holds the lock is the ledger's `fence`: each of its records moves the lock in the same push, so that a robbed
owner writes nothing. `append` raises when the record could not be written; `keep` is for what has already happened
and leaves an emergency file, which the next command that reaches the remote pushes, whether it writes or reads.
"""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from migration.base.clock import Clock
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.numbers import count
from migration.base.parallel import begin
from migration.base.progress import Observer
from migration.git.giterrors import Denied
from migration.git.refs import HEADS, Fence, Move, Raced, Refs
from migration.git.repository import NETWORK
from migration.ledger import actor, chain
from migration.ledger.emergency import Emergency
from migration.ledger.mirror import Mirror
from migration.ledger.reading import Reading

if TYPE_CHECKING:
    from migration.git.repository import Repository
    from migration.ledger.deployments import History

Record = chain.Record
PATIENCE = 120.0  # seconds of losing races before giving up
FAILURES = 12  # failed answers in a row before giving up


class Ledger:
    """One environment's records. `unheard` is why the remote was not heard, None when it was."""

    def __init__(self, repository: Repository, refs: Refs, environment: str, project_ref: str, state: Path,
                 prefix: str = "refs/cutover", observer: Observer | None = None,
                 clock: Clock | None = None) -> None:  # fmt: skip
        self.repository = repository
        self.refs = refs
        self.environment = environment
        self.project_ref = project_ref
        self.observer = observer or Observer()
        self.clock = clock or Clock()
        self.prefix = prefix if refs.shared else "refs/cutover"
        self.ref = f"{self.prefix}/ledger/{environment}"
        self.mirror = Mirror(repository, environment, self.refs.place, self.observer, refs.shared)
        self.emergency = Emergency(state / "emergency" / environment)
        self.unheard: CutoverError | None = None
        self.heard: dict[str, str] | None = None  # all our refs and the app's branch, when they were last asked for
        self.fence: Fence | None = None
        self._reading = Reading(repository, state / "ledger" / f"{environment}.json")
        self._down = False  # a record could not be written: the next one does not wait as long
        self._once = False  # and is not tried at all
        self._expected: tuple[str | None] | None = None  # the tip the remote had when last heard

    @property
    def shared(self) -> bool:
        """False when ledger and lock stay in this repository because it has no remote."""
        return self.refs.shared

    @cached_property
    def who(self) -> str:
        return actor.who(self.repository)

    # Reading

    @property
    def offline(self) -> str | None:
        """`unheard` in a sentence, with what to type."""
        return self.unheard.told if self.unheard else None

    def tip(self, fresh: bool = True) -> str | None:
        """The newest commit of the chain: as the remote has it now, or as last known when it cannot be heard."""
        if fresh:
            try:
                self.heard = self.refs.read()
                self._hear(self.heard.get(self.ref))
                self.unheard = None
            except (ServiceFailed, Denied) as error:
                self.unheard = error
        return self.mirror.tip

    def records(self, fresh: bool = True) -> list[Record]:
        """Oldest first, each once; what waits in an emergency file is pushed if the remote takes it, or comes last."""
        self.tip(fresh)
        if fresh and self.unheard is None and self.emergency.waiting():
            self._offer()
        known = self._reading.upto(self.mirror.tip)
        seen = {record["id"] for record in known}
        return known + [record for record in self.emergency.records() if record["id"] not in seen]

    def _offer(self) -> None:
        """One try of a reading command to push what waits; it fails quietly, because the next command tries again."""
        with contextlib.suppress(ServiceFailed, Refused):
            if late := self.flush(failures=1):
                self.observer.note(f"What waited on this machine is in the ledger now ({count(late, 'record')}).")

    def history(self, fresh: bool = True) -> History:
        """The records folded into deployments."""
        from migration.ledger.fold import fold

        return fold(self.records(fresh))

    # Writing

    def announce(self, fresh: bool = True) -> str | None:
        """What the first write will create, or None. Raises Denied if we may not push (not `fresh`: that is known)."""
        if fresh:
            self.refs.check()
        if self.tip(fresh) is not None:
            return None
        return f"This creates {self.ref} and {self.prefix}/lock/{self.environment} in {self.refs.place}."

    def append(self, record: Record, *, release: bool = False) -> Record:
        """Write one record and return it with id, at, environment, project_ref, who and where.

        With a lock held it renews the lock in the same push, or gives it back with `release`. Raises Unreachable,
        Denied or HostRefuses when it could not be written, Robbed when the lock is not ours any more.
        """
        self.flush()
        stamped = self.stamp(record)
        self._write([stamped], release=release)
        return stamped

    def keep(self, record: Record, *, release: bool = False, failures: int = FAILURES) -> Path | None:
        """Append what already happened; if that cannot be done, leave an emergency file and return its path."""
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
                f"The ledger could not be written ({error.message.rstrip('.')}); the record is in {path} "
                "and the next command that reaches the remote pushes it."
            )
            return path

    def flush(self, failures: int = FAILURES) -> int:
        """Push what emergency files hold; returns how many records that were."""
        known = lambda: self._reading.upto(self.tip())  # noqa: E731
        return self.emergency.deliver(known, lambda late: self._write(late, failures=failures))

    def hurry(self, timeout: float = 2.0) -> None:
        """From now on no answer is waited for longer than this: we are being stopped."""
        self.repository.patience = timeout

    def brief(self, timeout: float) -> None:
        """The remote gets one try of this length: who puts a service back does not wait for git. Until `patient`."""
        self.repository.patience, self._once = timeout, True

    def patient(self) -> None:
        """Take time again, unless the remote has shown that it does not answer."""
        if not self._down and not self.offline:
            self.repository.patience, self._once = NETWORK, False

    def stamp(self, record: Record) -> Record:
        """The record with what every record carries."""
        at = self.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"record": record["record"], "id": secrets.token_hex(8), "at": at, "environment": self.environment}
        tail = {"project_ref": self.project_ref, "who": self.who, "where": actor.where()}
        return {**head, **tail, **record}

    def _write(self, records: Sequence[Record], release: bool = False, failures: int = FAILURES) -> None:
        with self.fence.mutex if self.fence else contextlib.nullcontext():
            self._race(records, self.fence, release, failures)

    def _race(self, records: Sequence[Record], fence: Fence | None, release: bool, failures: int) -> None:
        """Push until the records are in the chain, asking after each failure what really happened."""
        until, failed = self.clock.monotonic() + PATIENCE, 0
        since = expected = self._first()
        while True:
            began = self.clock.monotonic()
            error = self._attempt(records, expected, fence, release)
            if error is None:
                return
            if isinstance(error, Refused):
                raise error
            failed = 0 if isinstance(error, Raced) else failed + 1
            if failed >= failures or self.clock.monotonic() > until:
                raise error
            self.clock.sleep(random.uniform(0, 0.3 if failed < 2 else min(0.1 * 2**failed, 2.0)))
            try:
                tips = self.refs.read()
                self._hear(tips.get(self.ref))
            except ServiceFailed:
                continue
            expected = tips.get(self.ref)
            if expected and chain.landed(self.repository, records[-1], since, expected):
                if fence is not None:
                    self._settle(fence, tips, began, release)
                return
            if fence is not None:
                fence.judge(tips.get(fence.ref))

    def _attempt(self, records: Sequence[Record], expected: str | None, fence: Fence | None, release: bool
                 ) -> CutoverError | None:  # fmt: skip
        began = self.clock.monotonic()
        parent = self.mirror.parent(expected)
        ending = "\n[skip ci]\n" if self.ref.startswith(HEADS) else ""
        steps = [lambda: fence.step(release)] if fence is not None else []
        *locks, tip = begin([*steps, lambda: chain.write(self.repository, records, parent, ending)])()
        moves = [*locks, Move(self.ref, expected, tip)]
        error = self.refs.move(moves)
        if error is None:
            self._expected, self.unheard = (tip,), None
            if self.shared:
                self.mirror.follow(tip, parent, last=fence is None or release)
            if fence is not None:
                fence.stepped(moves[0], began)
        return error

    def _settle(self, fence: Fence, tips: dict[str, str], began: float, release: bool) -> None:
        """Our record is in, though the answer was lost: the lock moved with it; once given back, others may hold it."""
        current = None if release else tips.get(fence.ref)
        if not release:
            fence.judge(current)
        fence.stepped(Move(fence.ref, None, current), began)

    def _first(self) -> str | None:
        """The tip to expect at first: the last one heard of, else the one this clone knows."""
        return self.mirror.tip if self._expected is None else self._expected[0]

    def _hear(self, tip: str | None) -> None:
        """Remember the remote's tip, objects and all."""
        if tip is not None and tip != self.mirror.tip:
            self.refs.bring(self.ref, tip)
        self._expected = (tip,)
        if self.shared and tip is not None:
            self.mirror.follow(tip)
