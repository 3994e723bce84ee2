"""The state of a watch in the ledger's remote: one commit without parents on one ref, replaced by compare-and-swap.

So a laptop, a cron job and a CI job carry the same watch on, and of two that write at once one is first.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from migration.base.command import AGAIN, Do
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.secrets_type import mask
from migration.git import messages
from migration.git.giterrors import GitFailed
from migration.git.messages import CommitMessage
from migration.git.refs import HEADS, Move, Raced
from migration.ledger.ledger import Ledger
from migration.watch.model import WatchState

FORM = 1
RACES = 6  # readings of a state that other runs replace meanwhile


class _Envelope(msgspec.Struct):
    """What a commit's message holds. Another form is of another version of Cutover."""

    watch: int
    state: WatchState


@dataclass(frozen=True)
class StoredWatch:
    """The state as it is stored, and the commit that holds it; both None where there was never a watch."""

    state: WatchState | None = None
    commit: str | None = None


class WatchRef:
    """Where one environment's watch is kept."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.ref = f"{ledger.prefix}/watch/{ledger.environment}"

    @property
    def on_branch(self) -> bool:
        """Whether each write is a commit on a branch, which people see: then it is written rarely."""
        return self.ref.startswith(HEADS)

    def read(self, fresh: bool = True) -> StoredWatch:
        """As the remote has it now, or (not `fresh`) had it when the ledger was last read. Refused where this version
        cannot read it, ServiceFailed without an answer."""
        known = None if fresh else self.ledger.remote_refs
        for _ in range(RACES):
            commit = (self.ledger.refs.read() if known is None else known).get(self.ref)
            if commit is None:
                return StoredWatch()
            self.ledger.refs.bring(self.ref, commit)
            try:
                return StoredWatch(self._parsed(messages.one(self.ledger.repository, commit)), commit)
            except GitFailed:
                known = None  # it was replaced before it was fetched: no ref leads to it any more
        raise ServiceFailed(f"The state of the watch in {self.ref} was replaced in each of {RACES} tries.", AGAIN)

    def write(self, state: WatchState, expected: str | None) -> str | None:
        """The new commit, or None where another run was first. Raises where it could not be written."""
        ending = "\n[skip ci]\n" if self.on_branch else ""
        text = mask(msgspec.json.encode(_Envelope(FORM, state)).decode())
        commit = self.ledger.repository.commit(f"{text}\n{ending}")
        error = self.ledger.refs.move([Move(self.ref, expected, commit)])
        if error is None:
            return commit
        return self._settled(commit, error)

    def _settled(self, commit: str, error: CutoverError) -> str | None:
        """A failed push may have landed: the remote says."""
        current = self.ledger.refs.read().get(self.ref)
        if current == commit:
            return commit
        if isinstance(error, Raced):
            return None
        raise error

    def _parsed(self, message: CommitMessage) -> WatchState:
        try:
            if message.text is None:
                raise ValueError(f"it has {message.size} bytes")
            line = message.text.split(b"\n", 1)[0]
            envelope = msgspec.json.decode(line, type=_Envelope)
            if envelope.watch != FORM:
                raise ValueError(f"it has the form {envelope.watch}")
        except (ValueError, RecursionError) as error:
            text = f"Cannot read the state of the watch in {self.ref} ({error}): another version of Cutover wrote it."
            remote = getattr(self.ledger.refs, "remote", "")
            words = ("push", remote, f":{self.ref}") if remote else ("update-ref", "-d", self.ref)
            step = self.ledger.repository.typed(*words)
            raise Refused(text, Do("upgrade Cutover, or drop that state and begin a new watch:"), step) from None
        return envelope.state
