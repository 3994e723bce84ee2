"""The deployment lock: a commit with a nonce on a ref, renewed by a heartbeat and moved only by its owner.

It belongs to the project: environments and ledgers of the same git remote that name one project exclude each other,
though each has a ref of its own. Each first puts its lock there and then looks for others, so that of two at least one
sees the other and releases its own.

A lock is stale when its commit has not changed for three heartbeats on the observer's own monotonic clock, or when its
process ran on this machine and has ended. Times inside the lock are for people. While we hold it, it is also the
ledger's fence: each record moves the lock in the same push, so that whoever lost the lock writes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import durable
from migration.base.clock import minute
from migration.base.command import Do, inv
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted, Refused, ServiceFailed, Unfinished
from migration.base.failpoint import failpoint
from migration.git import messages, process
from migration.git.giterrors import GitFailed, HostRefuses
from migration.git.messages import CommitMessage
from migration.git.refs import HEADS, Move, Raced
from migration.ledger import actor
from migration.ledger.records import LockCard
from migration.ledger.tries import Tries

if TYPE_CHECKING:
    from migration.ledger.ledger import Ledger

HEARTBEAT = 15.0  # seconds between renewals; three of them without one is stale
FRESH = 15.0  # the oldest confirmed renewal, in seconds, with which the activating request may be sent
RENEWALS = 3  # tries of confirming the lock in time before a change
RELEASE_TIME = 10.0  # seconds of trying to release, at most RELEASE_TRIES times; the last try may take longer
RELEASE_TRIES = 12
TRIES = 12  # of reading a lock that moves
MANY = 200  # stale locks that are deleted in one push
BREAKS = 40  # tries of breaking a lock that its owner renews meanwhile
PREFIXES = ("refs/cutover", "refs/heads/cutover")  # where ledgers usually are
PATIENCE = 60.0  # seconds of failing to acquire it, beside the wait that the user allows


class LockLost(Unfinished):
    """The lock is not ours any more: whatever we were doing must stop here."""


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock, as its commit says; `silent` is for how many seconds we have seen it unchanged."""

    ref: str
    commit: str
    id: str
    environment: str
    project_ref: str
    who: str
    host: str
    kind: str
    run_url: str | None
    since: str
    doing: str
    deployment: str
    machine: str
    pid: int
    started: str
    heartbeat: float
    silent: float
    released: bool

    @classmethod
    def of(cls, ref: str, commit: str, card: LockCard, silent: float) -> LockHolder:
        names = ("environment", "project_ref", "who", "since", "doing", "deployment", "machine", "started")
        texts = {name: getattr(card, name) for name in names}
        return cls(
            ref, commit, card.id or commit[:8], host=card.where.host or "unknown host", kind=card.where.class_ or "",
            run_url=card.where.run_url, pid=card.pid, heartbeat=card.heartbeat, silent=silent, released=card.released,
            **texts,
        )  # fmt: skip

    def dead(self) -> bool:
        """Whether it was a process of this very machine that has ended."""
        return bool(self.pid) and self.machine == actor.machine() and not actor.alive(self.pid, self.started)

    @property
    def stale(self) -> bool:
        """Whether its process has ended, or it was not renewed for three heartbeats: it may be taken over."""
        return self.dead() or self.silent >= 3 * self.heartbeat

    def facts(self) -> dict[str, Any]:
        """What people and records need to know of it."""
        names = ("id", "who", "host", "kind", "run_url", "since", "doing", "deployment", "pid")
        return {**{name: getattr(self, name) for name in names}, "created": self.since}

    def __str__(self) -> str:
        run = f", {self.run_url}" if self.run_url else ""
        what = f"({self.doing or 'purpose unknown'}{run})"
        return f"{self.who or 'an unknown user'} on {self.host} since {minute(self.since)} UTC {what}"


class Lock:
    """The lock of the ledger's environment. `monotonic` is the observer's clock; it stands still while we sleep."""

    def __init__(self, ledger: Ledger, seen: Path, heartbeat: float = HEARTBEAT,
                 monotonic: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.ledger = ledger
        self.ref = f"{ledger.prefix}/lock/{ledger.environment}"
        self.heartbeat = heartbeat
        self.monotonic = monotonic
        self.current: LockHold | None = None
        self._seen = seen

    # Asking

    def holder(self, fresh: bool = True) -> LockHolder | None:
        """Who holds the lock, or None: now, or with `fresh` false when the ledger was last read.

        `LockHolder.silent` is how long its commit is known to be unchanged.
        """
        known = None if fresh else self.ledger.remote_refs
        return next(iter(self._holders(self.ledger.refs.read() if known is None else known)), None)

    def confirmed_age(self) -> float:
        """Seconds since the last renewal that the remote confirmed; infinite when we hold nothing."""
        return self.current.confirmed_age() if self.current else float("inf")

    # Acquiring and releasing

    @contextlib.contextmanager
    def held(self, doing: str, wait: float = 0.0, deployment: str = "") -> Iterator[LockHold]:
        """Hold the lock for the length of the block; its records travel with it. Refused when another process does."""
        hold = self.acquire(doing, wait, deployment)
        try:
            yield hold
        except Interrupted:
            self.ledger.hurry()
            raise
        finally:
            self.release(hold)

    def acquire(self, doing: str, wait: float = 0.0, deployment: str = "") -> LockHold:
        """Acquire the lock, waiting up to `wait` seconds. Taking over a stale one is recorded in the ledger."""
        hold = LockHold(self.ledger, self.ref, self._card(doing, deployment), self.heartbeat, self._exclude)
        try:
            self._contend(hold, self.monotonic() + wait)
            self.current = self.ledger.fence = hold
            hold.start()
            self._record_takeover(hold)
        except BaseException:
            self.release(hold)
            raise
        return hold

    def release(self, hold: LockHold) -> None:
        """Release the lock. Never raises: a lock that is not released goes stale by itself."""
        self.current = self.ledger.fence = None
        error = hold.stop()
        if error is not None:
            self.ledger.observer.warn(
                f"Could not release the lock ({error.message.rstrip('.')}). "
                f"It goes stale in {show(3 * self.heartbeat)}; to release it at once: {inv('unlock', hold.id)}"
            )

    def unlock(self, lock: str) -> LockHolder:
        """Break the lock with this id, whoever holds it, and record that. Refused when there is no such lock."""
        self.ledger.flush()
        for _ in range(BREAKS):
            holders = self._holders(self.ledger.refs.read())
            holder = next((one for one in holders if one.id == lock), None)
            if holder is None:
                state = (
                    "; ".join(f"the current lock is {one.id}, held by {one}" for one in holders) or "it is not locked"
                )
                raise Refused(f"There is no lock {lock} on {self.ledger.environment}: {state}.", inv("status"))
            record = {"record": "unlock", "lock": lock, "robbed": holder.facts()}
            if self._break(holder, record):
                return holder
        raise ServiceFailed(f"Could not break the lock {lock}: its owner keeps renewing it.", inv("status"))

    # How

    def _contend(self, hold: LockHold, until: float) -> None:
        """Look and try until the lock is ours. Refused when another process holds it and our time is up."""
        clock = self.ledger.clock
        tries = Tries(clock, max(until - self.monotonic(), 0.0) + PATIENCE)
        attempt = partial(hold.try_acquire, None) if self._free() else partial(self._approach, hold, until)
        while True:
            try:
                if attempt():
                    return
                tries.lost()
                if clock.monotonic() > tries.until:
                    raise ServiceFailed(f"Could not acquire the lock on {self.ledger.environment}: others were faster "
                                        f"for {show(PATIENCE)}.", inv("status"))  # fmt: skip
            except Raced as error:  # the ref is where it was
                tries.raced(error, moved=False)
            except ServiceFailed as error:
                tries.failed(error)
            if tries.cause:
                self.ledger.observer.step("lock", detail=f"retrying: {tries.cause.message}")
                tries.pause()
            attempt = partial(self._approach, hold, until)

    def _free(self) -> bool:
        """Whether it was free when the refs were last read: worth a try at once, which the remote judges."""
        refs = self.ledger.remote_refs
        return refs is not None and self.ref not in refs and not any(True for _ in self._other_locks(refs))

    def _approach(self, hold: LockHold, until: float) -> bool:
        """One look at the lock, and one try to acquire it if it is free or stale.

        False when another process holds it or was first. Raced when the remote rejected ours and the lock is free.
        """
        refs = self.ledger.refs.read()
        commit = refs.get(self.ref)
        holder = self._describe(self.ref, commit) if commit else None
        if commit and hold.issued(commit):  # an earlier try of ours landed late
            hold.adopt(commit)
            return True
        if holder is None or holder.released or holder.stale:
            hold.replaces = holder if holder and not holder.released else None
            holder = self._live_rival(hold, refs)
            if holder is None:
                return hold.try_acquire(commit)
        if self.monotonic() >= until:
            raise self._locked(holder)
        self.ledger.observer.step("lock", detail=f"waiting for {holder}")
        self.ledger.clock.sleep(min(1.5, self.heartbeat / 5, max(until - self.monotonic(), 0.0)))
        return False

    def _locked(self, holder: LockHolder) -> Refused:
        what = self.ledger.environment
        if holder.ref != self.ref:
            what = f"The project {self.ledger.project_ref} ({holder.environment or holder.ref})"
        return Refused(
            f"{what} is locked by {holder}.",
            inv("status"), Do("wait for it with --wait 10m, or break the lock if its owner is gone:"),
            inv("unlock", holder.id), lock=holder.facts(),
        )  # fmt: skip

    # Other locks on the same project

    def _holders(self, refs: Mapping[str, str]) -> list[LockHolder]:
        """Who holds a lock on our project: ours first, then those of other environments and ledgers.

        A lock that is renewed or released while we look cannot be fetched any more: then all are read again.
        """
        for _ in range(TRIES):
            try:
                commit = refs.get(self.ref)
                own = [self._describe(self.ref, commit)] if commit else []
                return [holder for holder in [*own, *self._rivals(refs)] if not holder.released]
            except GitFailed:
                before, refs = refs, self.ledger.refs.read()
                if refs == before:
                    raise
        raise ServiceFailed("Could not read the lock: it keeps changing.", inv("status"))

    def _other_locks(self, refs: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Ref, commit and environment of the other locks below the prefixes that hold a ledger."""
        ledgers = {ref.rpartition("/ledger/")[0] for ref in refs if "/ledger/" in ref}
        for ref, commit in refs.items():
            prefix, lock, name = ref.rpartition("/lock/")
            if lock and ref != self.ref and (prefix in (self.ledger.prefix, *PREFIXES) or prefix in ledgers):
                yield ref, commit, name

    def _rivals(self, refs: Mapping[str, str]) -> Iterator[LockHolder]:
        """The locks on our project from elsewhere; for one of an earlier Cutover its environment tells the project."""
        others = list(self._other_locks(refs)) if self.ledger.project_ref else []
        self.ledger.refs.bring_all({ref: commit for ref, commit, _ in others})
        texts = messages.read(self.ledger.repository, [commit for _, commit, _ in others])
        for (ref, _, name), message in zip(others, texts, strict=True):
            project = LockCard.parse(message.text or b"").project_ref
            if project == self.ledger.project_ref if project else name in self.ledger.siblings:
                yield self._holder(ref, message)

    def _live_rival(self, hold: LockHold, refs: Mapping[str, str]) -> LockHolder | None:
        """A rival whose lock is in force. Stale ones are deleted, so that their owners notice should they come back."""
        rivals = [rival for rival in self._rivals(refs) if not rival.released]
        if live := next((rival for rival in rivals if not rival.stale), None):
            return live
        for start in range(0, len(rivals), MANY):
            some = rivals[start : start + MANY]
            if self.ledger.refs.move([Move(rival.ref, rival.commit, None) for rival in some]) is not None:
                now = self.ledger.refs.read()
                came_back = [rival for rival in some if now.get(rival.ref, rival.commit) != rival.commit]
                return self._describe(came_back[0].ref, now[came_back[0].ref]) if came_back else some[0]
            hold.taken_from += some
        return None

    def _exclude(self, hold: LockHold, refs: Mapping[str, str]) -> None:
        """Refused when another lock on our project stands beside ours."""
        for tries in range(TRIES):
            try:
                if rival := self._live_rival(hold, refs):
                    raise self._locked(rival)
                return
            except GitFailed:  # it was renewed while we looked
                if tries == TRIES - 1:
                    raise
                refs = self.ledger.refs.read()

    def _describe(self, ref: str, commit: str) -> LockHolder:
        self.ledger.refs.bring(ref, commit)
        return self._holder(ref, messages.one(self.ledger.repository, commit))

    def _holder(self, ref: str, message: CommitMessage) -> LockHolder:
        """Where anyone has put something else there, such as a file, a holder without a name."""
        return LockHolder.of(ref, message.commit, LockCard.parse(message.text or b""), self._watch(ref, message.commit))

    def _watch(self, ref: str, commit: str) -> float:
        """Seconds for which this machine has seen the same commit, over all its commands since it started."""
        now, machine = self.monotonic(), actor.machine()
        name = self.ledger.environment if ref == self.ref else hashlib.sha256(ref.encode()).hexdigest()[:12]
        file = self._seen / f"lock-{name}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            seen = json.loads(file.read_text())
            if seen["commit"] == commit and seen["machine"] == machine and seen["since"] <= now:
                return now - float(seen["since"])
        note = {"commit": commit, "machine": machine, "since": now}
        with contextlib.suppress(OSError):
            durable.write(file, json.dumps(note).encode())
        return 0.0

    def _card(self, doing: str, deployment: str) -> dict[str, Any]:
        return {
            "id": secrets.token_hex(4),
            "environment": self.ledger.environment,
            "project_ref": self.ledger.project_ref,
            "who": self.ledger.who,
            "where": actor.where(),
            "machine": actor.machine(),
            "pid": os.getpid(),
            "started": actor.started(os.getpid()),
            "since": self.ledger.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "doing": doing,
            "deployment": deployment,
            "heartbeat": self.heartbeat,
        }

    def _record_takeover(self, hold: LockHold) -> None:
        """Whose lock was taken over stands in the ledger before the first change."""
        self.ledger.flush()
        for former in hold.taken_from + ([hold.replaces] if hold.replaces else []):
            self.ledger.append({"record": "unlock", "lock": former.id, "robbed": former.facts(), "stale": True})
            self.ledger.observer.warn(f"Took over a stale lock held by {former}.")

    def _break(self, holder: LockHolder, record: dict[str, Any]) -> bool:
        """Delete the lock and record it in one push; False when it moved meanwhile."""
        breaker = LockHold(self.ledger, holder.ref, {"id": holder.id}, self.heartbeat)
        breaker.adopt(holder.commit)
        self.ledger.fence = breaker
        try:
            self.ledger.append(record, release=True)
            return True
        except Raced:
            return False
        except CutoverError as error:
            if breaker.lost:
                return False
            raise error
        finally:
            self.ledger.fence = None


class LockHold:
    """The lock while we hold it: its heartbeat, the fence around our records, and its release."""

    def __init__(self, ledger: Ledger, ref: str, card: dict[str, Any], heartbeat: float,
                 exclude: Callable[[LockHold, Mapping[str, str]], None] | None = None) -> None:  # fmt: skip
        self.ledger = ledger
        self.ref = ref
        self.card = card
        self.heartbeat = heartbeat
        self.mutex = threading.RLock()
        self.replaces: LockHolder | None = None  # whose stale lock it was
        self.taken_from: list[LockHolder] = []  # whose stale locks elsewhere were deleted for it
        self._exclude = exclude  # to be done once, after ours is in place
        self.lost = False
        self._commit: str | None = None
        self._issued: set[str] = set()
        self._released = False
        self._beats = 0
        self._confirmed = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def id(self) -> str:
        """What people type to unlock it; the same through all renewals."""
        return str(self.card["id"])

    @property
    def deployment(self) -> str:
        """The deployment that it is held for; empty for other work."""
        return str(self.card.get("deployment") or "")

    def confirmed_age(self) -> float:
        """Seconds since the last renewal that the remote confirmed was sent; it goes on in a suspended machine."""
        return self.ledger.clock.monotonic() - self._confirmed

    def fresh(self, limit: float = FRESH) -> None:
        """Make sure that the lock is ours and confirmed within `limit` seconds; else LockLost or ServiceFailed."""
        if self.lost:
            raise self._lock_lost()
        for _ in range(RENEWALS):
            if self.confirmed_age() < limit:
                return
            self.renew()  # its answer may be older than the limit: the machine may have slept while it waited
        if self.confirmed_age() >= limit:
            raise ServiceFailed(
                f"Could not confirm the lock on {self.ledger.environment} within {limit:.0f}s: "
                "the git remote answers too slowly.", inv("status"),
            )  # fmt: skip

    # The fence, called by the ledger with `mutex` held

    def issued(self, commit: str | None) -> bool:
        """Whether this commit of the lock is one of ours."""
        return commit is not None and commit in self._issued

    def exclude(self, refs: Mapping[str, str]) -> None:
        """Once, with refs read since the lock is ours: Refused when another lock on the project stands beside it."""
        if self._exclude is not None:
            self._exclude(self, refs)
            self._exclude = None

    def advance(self, release: bool) -> Move:
        """The move of the lock that goes with a record: to a new commit, or away."""
        if self.lost:
            raise self._lock_lost()
        if self._exclude is not None and not release:
            self.exclude(self.ledger.refs.read())
        return Move(self.ref, self._commit, None if release else self._make())

    def confirm(self, move: Move, began: float) -> None:
        """The remote confirmed the move; `began` is when it was sent."""
        self._commit = move.new
        self._confirmed = began
        self._released = move.new is None

    def check(self, current: str | None) -> None:
        """What the remote holds after a push of unknown outcome: a commit of ours, or LockLost."""
        if not self.issued(current):
            self.lost = True
            raise self._lock_lost()
        self._commit = current

    # Acquiring, renewing, releasing

    def adopt(self, commit: str) -> None:
        """Act for the lock that this commit is."""
        self._commit = commit
        self._issued.add(commit)

    def try_acquire(self, old: str | None) -> bool:
        """Try once to put our lock where `old` is; False when another process was first.

        Raced when the ref still is at `old`; other errors when the remote does not answer or refuses such refs.
        """
        began = self.ledger.clock.monotonic()
        move = Move(self.ref, old, self._make(old))
        failpoint("lock.take")
        error = self.ledger.refs.move([move])
        failpoint("lock.taken")
        if isinstance(error, HostRefuses) or (error is not None and not isinstance(error, ServiceFailed)):
            raise error
        current = move.new if error is None else self.ledger.refs.read().get(self.ref)
        if not self.issued(current):
            if error is not None and (current == old or not isinstance(error, Raced)):
                raise error
            return False
        self.confirm(Move(self.ref, old, current), began)
        return True

    def renew(self) -> None:
        """Move the lock to a new commit of ours. LockLost, or ServiceFailed when that could not be confirmed."""
        with self.mutex:
            if self._released:  # by a record that was on its way while the heartbeat waited for its turn
                return
            began = self.ledger.clock.monotonic()
            move = self.advance(release=False)
            error = self.ledger.refs.move([move])
            if error is None:
                self.confirm(move, began)
                return
            current = self.ledger.refs.read().get(self.ref)
            self.check(current)
            if current != move.new:
                raise error.refusal() if isinstance(error, Raced) else error
            self.confirm(move, began)

    def start(self) -> None:
        """Begin the heartbeat."""
        self._thread = threading.Thread(target=self._beat, name="cutover-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> CutoverError | None:
        """End the heartbeat and release the lock; returns why that failed, if it did."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(0.2)
            process.abort(self._thread.ident)
            self._thread.join(3.0)
        error: CutoverError | None = None
        clock = self.ledger.clock
        until = clock.monotonic() + min(RELEASE_TIME, 2 * self.ledger.repository.patience)
        for _ in range(RELEASE_TRIES):
            if self.lost or not self._issued or self._released:
                return None
            try:
                error = self._release()
            except CutoverError as caught:
                error = caught
            if clock.monotonic() > until:
                break
        return None if self._released else error

    def _release(self) -> CutoverError | None:
        if self._commit is None:  # stopped while acquiring: only the remote knows whether that push landed
            current = self.ledger.refs.read().get(self.ref)
            self._commit = current if self.issued(current) else None
        move = Move(self.ref, self._commit, None)
        failpoint("lock.give")
        error = self.ledger.refs.move([move]) if self._commit else None
        failpoint("lock.given")
        if isinstance(error, HostRefuses):  # a host that deletes no ref: mark the lock as released instead
            error = self.ledger.refs.move([Move(self.ref, self._commit, self._make(self._commit, released=True))])
        elif error is not None:
            current = self.ledger.refs.read().get(self.ref)
            self._commit = current if self.issued(current) else None
            error = error.refusal() if isinstance(error, Raced) else error
        self._released = error is None or self._commit is None
        return error

    def _beat(self) -> None:
        """Renew until stopped. A failure is not the end: whoever acts asks for `confirmed_age`."""
        wait = calm = self.heartbeat * 0.8  # so that a renewal arrives within one heartbeat
        while not self._stop.wait(wait) and not self.lost:
            try:
                if self.confirmed_age() >= self.heartbeat / 2:
                    self.renew()
                wait = calm
            except CutoverError:
                wait = self.heartbeat / 10

    def _make(self, old: str | None = None, **more: Any) -> str:
        """A new commit of our lock: unrelated to any other, except on branches, where hosts want a line of descent."""
        self._beats += 1
        text = json.dumps({**self.card, "beat": self._beats, **more}, ensure_ascii=False)
        heads = self.ref.startswith(HEADS)
        before = old or self._commit
        ending = "\n\n[skip ci]\n" if heads else "\n"
        commit = self.ledger.repository.commit(text + ending, parents=[before] if heads and before else [])
        self._issued.add(commit)
        return commit

    def _lock_lost(self) -> LockLost:
        return LockLost(
            f"Lost the lock on {self.ledger.environment} during the deployment; stopped without further changes.",
            inv("status"),
        )
