"""One deployer at a time: a nonce commit on a ref of the environment, renewed by a heartbeat, moved only by its owner.

Staleness is judged by the observer's own monotonic clock: a lock whose commit did not change for three heartbeats.
Times inside the lock are for people.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import durable
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted, Refused, ServiceFailed
from migration.git.giterrors import GitFailed
from migration.git.refs import Raced
from migration.ledger import actor
from migration.ledger.held import HEARTBEAT, Held, Holder

if TYPE_CHECKING:
    from migration.ledger.ledger import Ledger

TRIES = 12


class Lock:
    """The lock of the ledger's environment. `monotonic` is the observer's clock; it stands still while we sleep."""

    def __init__(self, ledger: Ledger, seen: Path, heartbeat: float = HEARTBEAT,
                 monotonic: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self.ledger = ledger
        self.ref = f"{ledger.prefix}/lock/{ledger.environment}"
        self.heartbeat = heartbeat
        self.monotonic = monotonic
        self.current: Held | None = None
        self._seen = seen / f"lock-{ledger.environment}.json"

    # Asking

    def holder(self, fresh: bool = True) -> Holder | None:
        """Who holds the lock, or None: now, or with `fresh` false when the ledger was last read.

        `Holder.silent` is how long its commit is known to be unchanged.
        """
        known = None if fresh else self.ledger.heard
        commit = (self.ledger.refs.read() if known is None else known).get(self.ref)
        try:
            holder = self._describe(commit) if commit else None
        except GitFailed:  # it moved or went while we looked: then its commit is not to be had any more
            if known is None and self.ledger.refs.read().get(self.ref) == commit:
                raise
            return self.holder()
        return None if holder is None or holder.released else holder

    def confirmed_age(self) -> float:
        """Seconds since the last renewal that the remote confirmed; infinite when we hold nothing."""
        return self.current.confirmed_age() if self.current else float("inf")

    # Taking and giving back

    @contextlib.contextmanager
    def held(self, doing: str, wait: float = 0.0, deployment: str = "") -> Iterator[Held]:
        """Hold the lock for the length of the block; its records travel with it. Refused when somebody else does."""
        held = self.take(doing, wait, deployment)
        try:
            yield held
        except Interrupted:
            self.ledger.hurry()
            raise
        finally:
            self.give(held)

    def take(self, doing: str, wait: float = 0.0, deployment: str = "") -> Held:
        """Take the lock, waiting up to `wait` seconds. A dead owner's lock is taken over and the ledger says so."""
        fence = Held(self.ledger, self.ref, self._card(doing, deployment), self.heartbeat)
        try:
            self._contend(fence, self.monotonic() + wait)
            self.current = self.ledger.fence = fence
            fence.start()
            self._tell(fence)
        except BaseException:
            self.give(fence)
            raise
        return fence

    def give(self, held: Held) -> None:
        """Give the lock back. Never raises: an ungiven lock goes stale by itself."""
        self.current = self.ledger.fence = None
        error = held.stop()
        if error is not None:
            self.ledger.observer.warn(
                f"The lock could not be given back ({error.message.rstrip('.')}): "
                f"it is free for others in {show(3 * self.heartbeat)}, or at once with inv unlock {held.id}."
            )

    def unlock(self, lock: str) -> Holder:
        """Take the lock with this id from whoever holds it, and record that. Refused when there is no such lock."""
        self.ledger.flush()
        for _ in range(TRIES):
            holder = self.holder()
            if holder is None or holder.id != lock:
                name = f"the lock is {holder.id}, held by {holder}" if holder else "nobody holds the lock"
                raise Refused(f"There is no lock {lock} on {self.ledger.environment}: {name}.", "inv status")
            record = {"record": "unlock", "lock": lock, "robbed": holder.facts()}
            if self._take_away(holder, record):
                return holder
        raise ServiceFailed(f"The lock {lock} moved at every try: its owner is alive.", "inv status")

    # How

    def _contend(self, fence: Held, until: float) -> None:
        """Look and try until the lock is ours. Refused when it is another's and our time is up."""
        failures = 0
        try:
            if self._free() and fence.grab(None):
                return
        except ServiceFailed:
            failures += 1
        while True:
            try:
                if self._approach(fence, until):
                    return
                failures = 0
            except ServiceFailed:
                failures += 1
                if failures >= TRIES:
                    raise
                self.ledger.clock.sleep(random.uniform(0, min(0.05 * 2**failures, 2.0)))

    def _free(self) -> bool:
        """Whether nobody held it when the refs were last heard: worth a try at once, which the remote judges."""
        return self.ledger.heard is not None and self.ref not in self.ledger.heard

    def _approach(self, fence: Held, until: float) -> bool:
        """One look at the lock, and one try to take it if it is free or its owner is gone."""
        commit = self.ledger.refs.read().get(self.ref)
        holder = self._describe(commit) if commit else None
        if commit and fence.issued(commit):  # an earlier try of ours landed late
            fence.adopt(commit)
            return True
        if holder is None or holder.released:
            fence.robbed = None
            return fence.grab(commit)
        if holder.gone:
            fence.robbed = holder
            return fence.grab(commit)
        if self.monotonic() >= until:
            raise Refused(
                f"{self.ledger.environment} is locked by {holder}. Wait for it (--wait 10m), or take it away.",
                f"inv status\ninv unlock {holder.id}",
                lock=holder.facts(),
            )
        self.ledger.observer.step("lock", detail=f"waiting for {holder}")
        self.ledger.clock.sleep(min(1.5, self.heartbeat / 5, max(until - self.monotonic(), 0.0)))
        return False

    def _describe(self, commit: str) -> Holder:
        self.ledger.refs.bring(self.ref, commit)
        message = self.ledger.repository.git("cat-file", "commit", commit).out.partition(b"\n\n")[2]
        try:
            card = json.loads(message.split(b"\n", 1)[0])
        except ValueError:
            card = {}
        return Holder.of(commit, card if isinstance(card, dict) else {}, self._watch(commit))

    def _watch(self, commit: str) -> float:
        """Seconds for which this machine has seen the same commit, over all its commands since it started."""
        now, machine = self.monotonic(), actor.machine()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            seen = json.loads(self._seen.read_text())
            if seen["commit"] == commit and seen["machine"] == machine and seen["since"] <= now:
                return now - float(seen["since"])
        note = {"commit": commit, "machine": machine, "since": now}
        with contextlib.suppress(OSError):
            durable.write(self._seen, json.dumps(note).encode())
        return 0.0

    def _card(self, doing: str, deployment: str) -> dict[str, Any]:
        return {
            "id": secrets.token_hex(4),
            "environment": self.ledger.environment,
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

    def _tell(self, fence: Held) -> None:
        """Who was robbed stands in the ledger before the first change."""
        self.ledger.flush()
        if fence.robbed is not None:
            self.ledger.append({"record": "unlock", "lock": fence.robbed.id, "robbed": fence.robbed.facts()})
            self.ledger.observer.warn(f"Took the lock over from {fence.robbed}, who is gone.")

    def _take_away(self, holder: Holder, record: dict[str, Any]) -> bool:
        """Delete the lock and record it in one push; False when it moved meanwhile."""
        thief = Held(self.ledger, self.ref, {"id": holder.id}, self.heartbeat)
        thief.adopt(holder.commit)
        self.ledger.fence = thief
        try:
            self.ledger.append(record, release=True)
            return True
        except Raced:
            return False
        except CutoverError as error:
            if thief.lost:
                return False
            raise error
        finally:
            self.ledger.fence = None
