"""How a rollback ended, as data: for a person, for `--json` and for the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.release.outcome import Moved
from migration.repo.reverted import Reverted


@dataclass(frozen=True)
class RolledBack:
    """One rollback as it ended: rolled_back, deleted, unfinished or abandoned."""

    id: str
    outcome: str
    revision: str
    base_revision: str
    functions: tuple[Moved, ...]
    began: datetime
    ended: datetime
    to: str | None
    undone: tuple[str, ...]
    kind: str = "rollback"


@dataclass(frozen=True)
class RollbackResult:
    """What `inv rollback` shows. `deployment` None: nothing was left to do. `restored_seconds`: from the lock to the
    former code being live; None when only git was left."""

    deployment: RolledBack | None
    restored_seconds: float | None = None
    revert: Reverted | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    notes: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    exit_code: int = 0
