"""What a release tells while it goes on, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from migration.base.errors import CutoverError
from migration.deploy.journal import Journal
from migration.deploy.staging import Answer


class Recorder(Protocol):
    """What a release tells, and asks, while it goes on."""

    @property
    def journal(self) -> Journal: ...

    def staged(self, answers: Sequence[Answer], lost: Sequence[str]) -> None:
        """One ledger record before the activation. Raises when it cannot be written."""

    def restoring(self) -> Recorder:
        """The same, for putting back what was live: its records say so."""

    def confirm(self) -> None:
        """Raises unless the lock was surely ours within the last 15 seconds."""

    def explained(self, slug: str) -> bool:
        """Whether the ledger accounts for a staged version of this function that was never activated."""


@dataclass(frozen=True)
class Step:
    """A part of the work with its duration in seconds."""

    name: str
    seconds: float
    detail: str = ""

    def record(self) -> dict[str, Any]:
        return {"name": self.name, "seconds": round(self.seconds, 3), "detail": self.detail}


@dataclass
class Released:
    """How it went. `live`: all that was wanted is live. `untouched`: nothing changed. `restored`: what was live
    before is live again. `unfinished`: the platform is between two states.

    `versions`: live version by slug, None for a deleted one; what nobody has seen since the last change is not in it.
    `lost`: functions with a version that may be staged and stranded. `new_code_seconds`: for how long the wanted code
    may have answered before it was taken back. `sent_at`: when the request that makes it live was first sent, by the
    clock's `monotonic`. `settled`: for how many seconds a version answered that had been left waiting, by function.
    """

    outcome: str
    versions: dict[str, int | None] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    new_code_seconds: float = 0.0
    sent_at: float | None = None
    error: CutoverError | None = None
    settled: dict[str, float] = field(default_factory=dict)

    def over(self, before: Mapping[str, int | None]) -> dict[str, int | None]:
        """What is live where `before` was: an unfinished release leaves only what it saw itself."""
        return {**(before if self.outcome != "unfinished" else {}), **self.versions}
