"""How a rollback ended, as data: for a person, for `--json` and for the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migration.deploy.result import FunctionResult, FunctionVersion
from migration.git.reverted import Reverted
from migration.rollback.aim import Aim


@dataclass(frozen=True)
class RolledBack:
    """One rollback as it ended: rolled_back, deleted, unfinished or abandoned."""

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


def moves(
    aims: Sequence[Aim], versions: Mapping[str, int | None], *, untouched: bool = False
) -> tuple[FunctionResult, ...]:
    """Each function before and after, by the live `versions` that were seen since; `untouched`: the rest is as before.

    Only what has moved has the digest of the source that was put back.
    """
    return tuple(FunctionResult(one.slug, one.action, _before(one), _after(one, versions, untouched)) for one in aims)


def _before(aim: Aim) -> FunctionVersion:
    return FunctionVersion(aim.live.version if aim.live else None, None)


def _after(aim: Aim, versions: Mapping[str, int | None], untouched: bool) -> FunctionVersion | None:
    if aim.slug not in versions:
        return _before(aim) if untouched else None
    version, before = versions[aim.slug], _before(aim).version
    put_back = version is not None and aim.source is not None and (version != before or aim.action == "same")
    return FunctionVersion(version, aim.source.digest if put_back and aim.source else None)
