"""This clone's copy of a ledger: what is read offline, and what a remote that lost records gets back."""

from __future__ import annotations

from .git import Repository
from .progress import Observer


class Mirror:
    """A local ref, never a branch, even where the remote keeps the ledger on one. It only moves forward."""

    def __init__(self, repository: Repository, environment: str, place: str, observer: Observer) -> None:
        self.repository = repository
        self.environment = environment
        self.place = place
        self.observer = observer
        self.ref = f"refs/cutover/ledger/{environment}"

    @property
    def tip(self) -> str | None:
        return self.repository.revision(self.ref)

    def parent(self, expected: str | None) -> str | None:
        """What to build on when the remote is at `expected`: our copy, where that has records the remote lost."""
        tip = self.tip
        if tip is None or tip == expected:
            return expected
        if expected is None or self.repository.is_ancestor(expected, tip):
            return tip
        return expected

    def follow(self, tip: str) -> None:
        """Move to the remote's tip, unless ours is ahead; tell when the remote's history was rewritten."""
        known = self.tip
        if known is None or self.repository.is_ancestor(known, tip):
            self.repository.move(self.ref, tip, known or "")
        elif not self.repository.is_ancestor(tip, known):
            self._rewritten(tip, known)

    def _rewritten(self, tip: str, known: str) -> None:
        lost = f"refs/cutover/lost/{self.environment}/{known[:12]}"
        self.repository.move(lost, known, "")
        self.repository.move(self.ref, tip, known)
        self.observer.warn(f"The ledger was rewritten in {self.place}; the former records are kept in {lost}.")
