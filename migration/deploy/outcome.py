"""How a deploy ended, as data: for a person, for `--json` and for the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Side:
    """A function at one moment; `version` None: it was not there."""

    version: int | None
    source_digest: str | None


@dataclass(frozen=True)
class Moved:
    """One function of it; `after` None: nobody could see what is live of it now."""

    slug: str
    action: str
    before: Side
    after: Side | None


@dataclass(frozen=True)
class Deployed:
    """One deployment. `outcome`: live, unproven, ungated, restored, abandoned, unfinished; same when nothing differed.

    `new_code_seconds`: how long the new code answered before it was taken back. `restored_seconds`: how long that took.
    """

    id: str
    outcome: str
    revision: str
    base_revision: str
    functions: tuple[Moved, ...]
    began: datetime
    ended: datetime
    plan_hash: str = ""
    partial: bool = False
    new_code_seconds: float = 0.0
    restored_seconds: float | None = None
    hold: dict[str, Any] | None = None


@dataclass(frozen=True)
class DeployResult:
    """What `inv deploy` shows: the deployment, its steps with seconds, what the gate saw, and what to type next."""

    deployment: Deployed
    phases: tuple[dict[str, Any], ...] = ()
    gate: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    next: tuple[str, ...] = ()
    exit_code: int = 0
    notes: tuple[str, ...] = ()
