"""The history of an environment: what is live, what it replaced, what was interrupted, what is held.

Kinds of records: intent, staged, outcome, git (the revert), lift, note, unlock, costs. A rollback's intent has the
restored revision as `revision` and the one taken back as `base_revision`, says in each function's `wanted.of` whose
`before` goes live, and in `without_lock` why it went without. A `hold` may stand in an intent or in an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]

LIVE = frozenset({"live", "unproven", "ungated"})  # the new code stayed
UNDONE = frozenset({"rolled_back", "deleted"})  # what a rollback ends in
CLOSED = LIVE | UNDONE | {"restored", "abandoned"}


@dataclass(frozen=True)
class Change:
    """One function in a deployment: `before` (as it was live, None if absent), `wanted`, and `after` as it was left."""

    slug: str
    action: str
    before: Record | None
    wanted: Record
    after: Record | None = None


@dataclass(frozen=True)
class Deployment:
    """One recorded attempt to change an environment. `outcome` is None until one was recorded."""

    id: str
    kind: str
    at: str
    who: str
    where: Record
    environment: str
    project_ref: str
    revision: str
    base_revision: str
    plan_hash: str
    partial: bool
    to: str | None
    functions: tuple[Change, ...]
    secrets: Record
    snapshots: Record
    without_lock: str = ""
    hold: Record | None = None
    outcome: str | None = None
    outcome_at: str = ""
    message: str = ""
    new_code_seconds: float | None = None
    steps: tuple[Record, ...] = ()
    gate: Record = field(default_factory=dict)
    answers: tuple[Record, ...] = ()
    perhaps_stranded: tuple[str, ...] = ()
    revert: Record | None = None

    @property
    def interrupted(self) -> bool:
        """Begun, and never ended: its process died, was stopped, or said that it is unfinished."""
        return self.outcome not in CLOSED

    @property
    def stayed(self) -> bool:
        """Whether its code stayed live."""
        return self.outcome in LIVE

    def change(self, slug: str) -> Change | None:
        return next((change for change in self.functions if change.slug == slug), None)

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(change.slug for change in self.functions)


@dataclass(frozen=True)
class Left:
    """What the ledger knows to be live of one function: left by `deployment`, whose kind may be a rollback."""

    slug: str
    version: int | None
    source_digest: str | None
    deployment: str


@dataclass(frozen=True)
class History:
    """Every deployment of one environment, oldest first, and what else the records say."""

    deployments: tuple[Deployment, ...]
    holds: tuple[Record, ...]
    records: tuple[Record, ...]

    @property
    def newest(self) -> Deployment | None:
        return self.deployments[-1] if self.deployments else None

    @property
    def interrupted(self) -> Deployment | None:
        """The newest deployment, if it has no end yet. Older ones were settled by whoever came after."""
        return self.newest if self.newest and self.newest.interrupted else None

    @property
    def live(self) -> Deployment | None:
        """The deployment whose code is live; None when the ledger has none, or the first one was undone."""
        return self.live_before(None)

    def live_before(self, deployment: str | None) -> Deployment | None:
        """The deployment that was live when this one began (now, for None)."""
        found: Deployment | None = None
        for one in self.deployments:
            if one.id == deployment:
                break
            if one.kind == "rollback" and one.outcome in UNDONE:
                found = self.find(one.to) if one.to else None
            elif one.stayed:
                found = one
        return found

    def find(self, deployment: str | None) -> Deployment | None:
        return next((one for one in self.deployments if one.id == deployment), None)

    def base(self, default: str, slugs: Iterable[str] = ()) -> str:
        """The base revision of a deployment of these functions made now; `default` (app.base) when none is live.

        It is the live deployment's revision, but one that was made with `--only`, and left all of them alone, says
        nothing of where their code comes from: then it is what that deployment was based on.
        """
        wanted, current, found = set(slugs), self.live, default
        while current is not None:
            if not wanted or not current.partial or wanted & set(current.slugs):
                return current.revision
            found, current = current.base_revision or default, self.live_before(current.id)
        return found or (self.live.revision if self.live else "")

    def undone(self, deployment: str) -> Deployment | None:
        """The rollback that took this deployment back, if one did."""
        for one in reversed(self.deployments):
            if one.kind == "rollback" and one.outcome in UNDONE and deployment in undoes(self, one):
                return one
        return None

    def left(self, slug: str, before: str = "") -> Left | None:
        """What was last left live of a function, whichever deployment or rollback did it; `before` this one began."""
        known = [one.id for one in self.deployments]
        for one in reversed(self.deployments[: known.index(before)] if before in known else self.deployments):
            change = one.change(slug)
            if change and change.after and one.outcome != "abandoned":
                return Left(slug, change.after.get("version"), change.after.get("source_digest"), one.id)
        return None


def agrees(revert: Record | None) -> bool:
    """Whether the recorded git half of a rollback left the branch with the former files."""
    return revert is not None and revert.get("state", "pushed") in ("pushed", "already", "nothing")


def undoes(history: History, rollback: Deployment) -> tuple[str, ...]:
    """The deployments that a rollback takes back, newest first: all that were live after its `to`."""
    found: list[str] = []
    current = history.live_before(rollback.id)
    while current is not None and current.id != rollback.to and current.id not in found:
        found.append(current.id)
        current = history.live_before(current.id)
    return tuple(found)
