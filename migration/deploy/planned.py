"""The plan as data: what would become of each function, and the hash that says whether it has moved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.finding import flag
from migration.clients.supabase_types import Function
from migration.deploy.snapshot import Kept
from migration.deploy.staging import Wanted
from migration.source.differences import Unchanged
from migration.source.source import Source, canonical

if TYPE_CHECKING:
    from migration.deploy.recovery import Recovery
    from migration.ledger.deployments import History

CHANGES = ("create", "update", "drifted")


@dataclass(frozen=True)
class Item:
    """One function: `action` is create, update, same or drifted, `why` in words; sizes in bytes.

    `restorable` is git, snapshot, no, or delete (a function that does not exist yet is undone by deleting it); empty
    for one that is nowhere.
    """

    slug: str
    action: str
    why: str
    source: Source = field(repr=False)
    live: Function | None = field(repr=False)
    kept: Kept | None = field(repr=False)
    settings: tuple[str, ...] = ()
    diff: str = ""
    left_version: int | None = None

    @property
    def changes(self) -> bool:
        return self.action in CHANGES

    @property
    def verify_jwt(self) -> bool | None:
        """What will be sent: the written value, else what is deployed."""
        if self.source.verify_jwt is not None:
            return self.source.verify_jwt
        return self.live.verify_jwt if self.live else None

    @property
    def restorable(self) -> str:
        if self.live is None:
            return "delete" if self.changes else ""
        return self.kept.restorable if self.kept else "git"

    @property
    def lost(self) -> str:
        """Why what is live could not be put back; empty where it could."""
        return self.kept.why if self.kept and self.kept.restorable == "no" else ""

    def wanted(self) -> Wanted:
        return Wanted(self.slug, self.source, self.live, self.verify_jwt)

    def as_json(self) -> dict[str, Any]:
        live, kept = self.live, self.kept
        return {
            "slug": self.slug,
            "action": self.action,
            "why": self.why,
            "files": list(self.source.files),
            "bytes": self.source.size,
            "source_digest": self.source.digest,
            "live_version": live.version if live else None,
            "left_version": self.left_version,
            "restorable": self.restorable,
            "restorable_why": kept.why if kept else "",
            "settings": list(self.settings),
            "warnings": list(self.source.warnings),
            "diff": self.diff,
        }

    def hashed(self) -> dict[str, Any]:
        """Its part in the plan's hash."""
        live = {"version": self.live.version, "digest": self.live.ezbr_sha256} if self.live else None
        metadata = self.source.upload(self.verify_jwt).metadata
        head = {"slug": self.slug, "action": self.action, "digest": self.source.digest}
        lost = {"restorable": "no"} if self.lost else {}  # whoever agreed to a plan that can be undone, agreed to that
        return {**head, "metadata": dict(metadata), "live": live, **lost}


@dataclass(frozen=True)
class Plan:
    """What a deploy made now would do. `hash` is SHA-256 in hex, the same as long as nothing of it has moved.

    `pending`: the deployment without an end, if there is one; `busy`: somebody is at work on it, or on another.
    """

    environment: str
    project_ref: str
    revision: str
    base_revision: str
    partial: bool
    functions: tuple[Item, ...]
    unchanged: tuple[Unchanged, ...]
    secrets: tuple[dict[str, Any], ...]
    hold: dict[str, Any] | None
    lock: dict[str, Any] | None
    notes: tuple[str, ...]
    history: History = field(repr=False)
    live: Mapping[str, Function] = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)
    pending: Recovery | None = field(default=None, repr=False)
    busy: bool = False

    @property
    def hash(self) -> str:
        head = {"project_ref": self.project_ref, "revision": self.revision, "base": self.base_revision}
        return hashlib.sha256(canonical({**head, "functions": [item.hashed() for item in self.functions]})).hexdigest()

    @property
    def changes(self) -> tuple[Item, ...]:
        return tuple(item for item in self.functions if item.changes)

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(item.slug for item in self.functions if item.action == "drifted")

    @property
    def irreversible(self) -> tuple[Item, ...]:
        """What would change and could not be put back."""
        return tuple(item for item in self.changes if item.lost)

    @property
    def command(self) -> str:
        """What carries out this very plan."""
        lift = " --lift-hold 'why it is good now'" if self.hold else ""
        return f"inv deploy{flag(self.environment)} {self.flags}{lift}"

    def as_json(self) -> dict[str, Any]:
        names = ("environment", "project_ref", "revision", "base_revision", "partial", "unchanged", "secrets")
        told = {name: getattr(self, name) for name in names}
        rest = {"hold": self.hold, "lock": self.lock, "notes": list(self.notes), "next": self._next()}
        rest["interrupted"] = self.pending.as_json() if self.pending and not self.busy else None
        return {"hash": self.hash, "functions": [item.as_json() for item in self.functions], **told, **rest}

    @property
    def only(self) -> str:
        """What limits `inv plan` and `inv deploy` to the same functions again."""
        return f" --only {','.join(item.slug for item in self.functions)}" if self.partial else ""

    @property
    def flags(self) -> str:
        """What names this very plan to `inv deploy`."""
        return f"--plan {self.hash[:12]}{self.only}"

    def _next(self) -> list[str]:
        pending, env, mine = self.pending, flag(self.environment), [self.command] if self.changes else []
        if pending and (pending.verdict != "abandoned" or not self.changes):
            return [] if self.busy else [*pending.next, *(mine if pending.verdict == "foreign" else [])]
        if self.changes and any(not one["present"] or one["matches"] is False for one in self.secrets):
            return [f"inv secret{env} --set", f"inv deploy{env} {self.flags}"]
        return mine
