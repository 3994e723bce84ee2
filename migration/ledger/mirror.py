"""This clone's copy of a ledger: read while offline, and pushed again to a remote that lost records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from migration.base.errors import CutoverError
from migration.base.parallel import begin
from migration.base.progress import Observer
from migration.git.repository import Repository


class Mirror:
    """A local ref, never a branch, even where the remote keeps the ledger on one. It only moves forward."""

    def __init__(self, repository: Repository, environment: str, place: str, observer: Observer, shared: bool) -> None:
        self.repository = repository
        self.environment = environment
        self.place = place
        self.observer = observer
        self.shared = shared
        self.ref = f"refs/cutover/ledger/{environment}"
        self._known: str | None = None
        self._written: Callable[[], object] = lambda: None

    @property
    def tip(self) -> str | None:
        """Where our copy is. Without a remote it is the ledger itself, which others move too."""
        if self._known is None or not self.shared:
            self._known = self.repository.revision(self.ref)
        return self._known

    def parent(self, expected: str | None) -> str | None:
        """The parent of a new record, with the remote at `expected`: our tip, where the remote lost records."""
        tip = self.tip
        if tip is None or tip == expected:
            return expected
        if expected is None or self.repository.is_ancestor(expected, tip):
            return tip
        return expected

    def follow(self, tip: str, parent: str | None = None, last: bool = True) -> None:
        """Move to the remote's tip, unless ours is ahead; warn when the remote's history was rewritten.

        `parent`: a commit that the tip is known to descend from. The ref is written in the background, unless this may
        be the `last` that the process does.
        """
        known = self.tip
        if tip == known:
            return
        if known in (None, parent) or self.repository.is_ancestor(str(known), tip):
            self._move(tip, known or "", last)
        elif known and not self.repository.is_ancestor(tip, known):
            self._rewritten(tip, known)

    def _move(self, tip: str, known: str, last: bool) -> None:
        """Move our ref, one write at a time."""
        self._written()
        self._known = tip

        def write() -> None:
            with contextlib.suppress(CutoverError):
                if not self.repository.move(self.ref, tip, known) and self._known == tip:
                    self._known = self._further(tip)

        self._written = begin([write])
        if last:
            self._written()

    def _further(self, tip: str) -> str:
        """Where another process moved our ref to, if that is further; else the ref cannot be written (a stale lock
        file, say), and the remote's tip counts all the same."""
        now = self.repository.revision(self.ref)
        return now if now and self.repository.is_ancestor(tip, now) else tip

    def _rewritten(self, tip: str, known: str) -> None:
        lost = f"refs/cutover/lost/{self.environment}/{known[:12]}"
        self.repository.move(lost, known, "")
        self._known = tip if self.repository.move(self.ref, tip, known) else None
        self.observer.warn(f"The ledger was rewritten in {self.place}. The previous records are kept in {lost}.")
