"""A lock in our hands: its heartbeat, the fence around our records, and giving it back."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.base.clock import minute
from migration.base.errors import CutoverError, ServiceFailed, Unfinished
from migration.base.failpoint import failpoint
from migration.git import process
from migration.git.giterrors import HostRefuses
from migration.git.refs import HEADS, Move, Raced
from migration.ledger import actor

if TYPE_CHECKING:
    from migration.ledger.ledger import Ledger

HEARTBEAT = 15.0  # seconds between renewals; three of them without one is stale
GIVING = 10.0  # seconds of trying to give it back, and so many tries; the last one may take longer
TRIES = 12
FRESH = 15.0  # the oldest confirmed renewal with which the activating request may be sent


class Robbed(Unfinished):
    """The lock is not ours any more: whatever we were doing must stop here."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its commit says; `silent` is for how many seconds we have seen it unchanged."""

    commit: str
    id: str
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
    def of(cls, commit: str, card: Mapping[str, Any], silent: float) -> Holder:
        found = card.get("where")
        place: dict[str, Any] = found if isinstance(found, dict) else {}
        text = {key: str(card.get(key) or "") for key in ("who", "since", "doing", "deployment", "machine", "started")}
        return cls(
            commit, str(card.get("id") or commit[:8]), host=str(place.get("host") or "unknown host"),
            kind=str(place.get("class") or ""), run_url=place.get("run_url"), pid=int(card.get("pid") or 0),
            heartbeat=float(card.get("heartbeat") or HEARTBEAT), silent=silent,
            released=bool(card.get("released")), **text,
        )  # fmt: skip

    def dead(self) -> bool:
        """Whether it was a process of this very machine that runs no more."""
        return bool(self.pid) and self.machine == actor.machine() and not actor.alive(self.pid, self.started)

    @property
    def gone(self) -> bool:
        """Whether its owner is known to be dead, or silent for three heartbeats: the lock may be taken over."""
        return self.dead() or self.silent >= 3 * self.heartbeat

    def facts(self) -> dict[str, Any]:
        """What people and records need to know of it."""
        names = ("id", "who", "host", "kind", "run_url", "since", "doing", "deployment", "pid")
        return {**{name: getattr(self, name) for name in names}, "created": self.since}

    def __str__(self) -> str:
        run = f", {self.run_url}" if self.run_url else ""
        what = f"({self.doing or 'no word of what'}{run})"
        return f"{self.who or 'somebody'} on {self.host} since {minute(self.since)} UTC {what}"


class Held:
    """The lock while we hold it. Also the ledger's fence: a record moves the lock in the same push."""

    def __init__(self, ledger: Ledger, ref: str, card: dict[str, Any], heartbeat: float) -> None:
        self.ledger = ledger
        self.ref = ref
        self.card = card
        self.heartbeat = heartbeat
        self.mutex = threading.RLock()
        self.robbed: Holder | None = None  # from whom it was taken over
        self.lost = False
        self._commit: str | None = None
        self._issued: set[str] = set()
        self._given = False
        self._beats = 0
        self._confirmed = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def id(self) -> str:
        """What people type to unlock it; the same through all renewals."""
        return str(self.card["id"])

    def confirmed_age(self) -> float:
        """Seconds since the last renewal that the remote confirmed was sent; it goes on in a suspended machine."""
        return self.ledger.clock.monotonic() - self._confirmed

    def fresh(self, limit: float = FRESH) -> None:
        """Make sure that the lock is ours and confirmed within `limit` seconds, or raise Robbed or ServiceFailed."""
        if self.lost:
            raise self._robbed()
        if self.confirmed_age() >= limit:
            self.renew()

    # The fence, called by the ledger with `mutex` held

    def issued(self, commit: str | None) -> bool:
        return commit is not None and commit in self._issued

    def step(self, release: bool) -> Move:
        """The move of the lock that goes with a record: to a new commit, or away."""
        if self.lost:
            raise self._robbed()
        return Move(self.ref, self._commit, None if release else self._make())

    def stepped(self, move: Move, began: float) -> None:
        """The move is confirmed by the remote; `began` is when it was sent."""
        self._commit = move.new
        self._confirmed = began
        self._given = move.new is None

    def judge(self, current: str | None) -> None:
        """What the remote holds now, after a push whose fate was not known: one of ours, or we were robbed."""
        if not self.issued(current):
            self.lost = True
            raise self._robbed()
        self._commit = current

    # Taking, renewing, giving back

    def adopt(self, commit: str) -> None:
        """Act for the lock that this commit is."""
        self._commit = commit
        self._issued.add(commit)

    def grab(self, old: str | None) -> bool:
        """Try once to put our lock where `old` is. Raises when the remote cannot be asked or refuses such refs."""
        began = self.ledger.clock.monotonic()
        move = Move(self.ref, old, self._make(old))
        failpoint("lock.take")
        error = self.ledger.refs.move([move])
        failpoint("lock.taken")
        if isinstance(error, HostRefuses) or (error is not None and not isinstance(error, ServiceFailed)):
            raise error
        current = move.new if error is None else self.ledger.refs.read().get(self.ref)
        if not self.issued(current):
            if error is not None and not isinstance(error, Raced):
                raise error
            return False
        self.stepped(Move(self.ref, old, current), began)
        return True

    def renew(self) -> None:
        """Move the lock to a new commit of ours. Raises Robbed, or ServiceFailed when that could not be confirmed."""
        with self.mutex:
            began = self.ledger.clock.monotonic()
            move = self.step(release=False)
            error = self.ledger.refs.move([move])
            if error is None:
                self.stepped(move, began)
                return
            current = self.ledger.refs.read().get(self.ref)
            self.judge(current)
            if current != move.new:
                raise error
            self.stepped(move, began)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._beat, name="cutover-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> CutoverError | None:
        """End the heartbeat and give the lock back; returns why that failed, if it did."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(0.2)
            process.abort(self._thread.ident)
            self._thread.join(3.0)
        error: CutoverError | None = None
        clock = self.ledger.clock
        until = clock.monotonic() + min(GIVING, 2 * self.ledger.repository.patience)
        for _ in range(TRIES):
            if self.lost or not self._issued or self._given:
                return None
            try:
                error = self._release()
            except CutoverError as caught:
                error = caught
            if clock.monotonic() > until:
                break
        return None if self._given else error

    def _release(self) -> CutoverError | None:
        if self._commit is None:  # stopped while taking it: only the remote knows
            current = self.ledger.refs.read().get(self.ref)
            self._commit = current if self.issued(current) else None
        move = Move(self.ref, self._commit, None)
        failpoint("lock.give")
        error = self.ledger.refs.move([move]) if self._commit else None
        failpoint("lock.given")
        if isinstance(error, HostRefuses):  # a host that deletes nothing: leave a word instead
            error = self.ledger.refs.move([Move(self.ref, self._commit, self._make(self._commit, released=True))])
        elif error is not None:
            current = self.ledger.refs.read().get(self.ref)
            self._commit = current if self.issued(current) else None
        self._given = error is None or self._commit is None
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

    def _robbed(self) -> Robbed:
        return Robbed(
            f"The lock on {self.ledger.environment} was taken away from us while we worked: nothing more was changed.",
            "inv status",
        )
