"""A hold: what was rolled back may not be deployed again until somebody lifts it.

Held is a revision that descends from the held tip and not from the recorded revert, and any source whose digest was
rolled back. The hold is part of the rollback's intent (or of the outcome of a deploy whose gate failed), so that it
stands before the restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migration.common.failpoint import failpoint
from migration.common.finding import flag
from migration.errors import Refused, ServiceFailed
from migration.git import Repository
from migration.ledger import Ledger
from migration.repo.deployments import Deployment, History, Record


@dataclass(frozen=True)
class Hold:
    """A hold that stands in the way: `id` is the deployment whose record carries it, `why` a clause for a sentence."""

    id: str
    at: str
    who: str
    tip: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "at": self.at, "who": self.who, "tip": self.tip, "why": self.why}

    def __str__(self) -> str:
        return f"{self.why}, which was rolled back by {self.who or 'somebody'} on {self.at or 'an unknown day'}"


def make(deployment: Deployment, base: str | None = None) -> dict[str, Any]:
    """What to put under `hold` in a record: this deployment's range and the source digests it wanted."""
    digests = {
        change.slug: change.wanted["source_digest"]
        for change in deployment.functions
        if change.wanted.get("source_digest") and _digest(change.before) != change.wanted["source_digest"]
    }
    return {"tip": deployment.revision, "base": base or deployment.base_revision, "digests": digests}


def check(
    repository: Repository, history: History, revision: str, digests: Mapping[str, str], remote: str = ""
) -> Hold | None:
    """The newest hold on a revision or on a source (slug to digest), or None.

    A shallow clone is deepened if that is needed to tell; Refused when that fails.
    """
    for record in reversed(history.holds):
        why = _source(record, digests) or _revision(repository, record, revision, remote)
        if why:
            text = {name: str(record.get(name) or "") for name in ("id", "at", "who", "tip")}
            return Hold(why=why, **text)
    return None


def refuse(found: Hold, environment: str = "prod") -> Refused:
    """The error for a hold, with the command that lifts it."""
    return Refused(
        f"Not deployed: this is {found}.",
        f"git revert the revert, push, then inv deploy{flag(environment)} --lift-hold 'why it is good now'",
        hold=found.as_json(),
    )


def lift(ledger: Ledger, history: History, reason: str) -> list[str]:
    """Lift every hold for good, recording who and why; returns their ids."""
    if not reason.strip():
        raise Refused("A hold is lifted with a reason.", "inv deploy --lift-hold 'why it is good now'")
    ids = [str(record["id"]) for record in history.holds]
    for name in ids:
        failpoint("record.lift")
        ledger.append({"record": "lift", "reason": reason, "hold": name})
        failpoint("record.lift.after")
    return ids


def _source(record: Record, digests: Mapping[str, str]) -> str:
    held = {digest: slug for slug, digest in (record.get("digests") or {}).items()}
    found = next((slug for slug, digest in digests.items() if digest in held), "")
    return f"the source of {found}" if found else ""


def _revision(repository: Repository, record: Record, revision: str, remote: str) -> str:
    tip, base = str(record.get("tip") or ""), str(record.get("base") or "")
    if not tip or tip == base or (base and repository.is_ancestor(tip, base)):
        return ""  # no commit was taken back, only a source
    _have(repository, tip, remote)
    if not repository.is_ancestor(tip, revision):
        return ""
    revert = str((record.get("revert") or {}).get("commit") or "")
    if revert and repository.is_ancestor(revert, revision):
        return ""
    return f"revision {revision[:9]}, which contains {tip[:9]} and no revert of it"


def _have(repository: Repository, tip: str, remote: str) -> None:
    """In a shallow clone `tip` may be missing, and nothing would seem to descend from it."""
    if not repository.shallow():
        return
    try:
        repository.deepen(remote or "origin")
    except ServiceFailed as error:
        raise Refused(
            f"This shallow clone cannot tell whether {tip[:9]}, which was rolled back, is in it.",
            "git fetch --unshallow",
        ) from error


def _digest(before: Mapping[str, Any] | None) -> str | None:
    return before.get("source_digest") if before else None
