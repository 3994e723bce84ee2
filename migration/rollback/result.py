"""How a rollback ended, as data: for a person, for `--json` and for the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.base.command import Step
from migration.deploy.result import FunctionResult
from migration.git.publish import RevertResult


@dataclass(frozen=True)
class RollbackSummary:
    """One rollback as it ended. `outcome`: rolled_back, deleted, unfinished or abandoned."""

    id: str
    outcome: str
    revision: str
    base_revision: str
    functions: tuple[FunctionResult, ...]
    began: datetime
    ended: datetime
    to: str | None
    undone: tuple[str, ...]
    kind: str = "rollback"


@dataclass(frozen=True)
class RollbackResult:
    """What `inv rollback` shows. `deployment` None: nothing was left to do. `restored_seconds`: from the lock to the
    previous code being live; None when only git was left."""

    deployment: RollbackSummary | None
    restored_seconds: float | None = None
    revert: RevertResult | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    notes: tuple[str, ...] = ()
    next: tuple[Step, ...] = ()
    exit_code: int = 0
