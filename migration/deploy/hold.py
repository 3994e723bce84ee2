"""A hold: what was rolled back may not be deployed again until someone lifts it.

Held is a revision that descends from the held tip and from no revert of it, and any source whose digest was rolled
back. A revert is the recorded one, or another commit that put the files back: squash-merged, or made by hand. The hold
is part of the rollback's intent (or of the outcome of a deploy whose gate failed): it stands before the restore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from migration.base.clock import minute
from migration.base.command import Command, Step, inv, sh
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.failpoint import failpoint
from migration.git.repository import Repository
from migration.git.revert import find_revert, touched_since
from migration.ledger.deployments import Deployment, History, Record
from migration.ledger.ledger import Ledger
from migration.source import scope
from migration.source.reader import Reader

REASON = "why it is safe now"  # what the printed command says in place of the person's own words
FIXED = "what was fixed"  # the same where the code has changed since


@dataclass(frozen=True)
class Hold:
    """A hold that stands in the way: `id` is the deployment whose record carries it, `why` what is on hold, in words,
    `revert` the commit that took the change back, empty where the record knows none."""

    id: str
    at: str
    who: str
    tip: str
    why: str
    revert: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        run = f" in a run of {self.who}" if self.who else ""
        return f"{self.why}; taken back{run} on {minute(self.at) or 'an unknown day'}"


def make(deployment: Deployment, base: str | None = None) -> dict[str, Any]:
    """What to put under `hold` in a record: this deployment's range and the source digests it wanted."""
    digests = {
        change.slug: change.wanted["source_digest"]
        for change in deployment.functions
        if change.wanted.get("source_digest") and _digest(change.before) != change.wanted["source_digest"]
    }
    return {"tip": deployment.revision, "base": base or deployment.base_revision, "digests": digests}


def check(
    repository: Repository, history: History, revision: str, digests: Mapping[str, str], remote: str = "",
    reader: Reader | None = None,
) -> Hold | None:  # fmt: skip
    """The newest hold on a revision or on a source (slug to digest), or None.

    An empty `revision` leaves only the sources. Without `reader` only the recorded revert counts. A shallow clone is
    deepened if that is needed to tell; Refused when that fails.
    """
    for record in reversed(history.holds):
        why = _source(record, digests) or _revision(repository, record, revision, remote, reader)
        if why:
            text = {name: str(record.get(name) or "") for name in ("id", "at", "who", "tip")}
            return Hold(why=why, revert=undoing(record), **text)
    return None


def changed_since(history: History, standing: Hold, sources: Mapping[str, str]) -> bool:
    """Whether a function that is on hold has another source now (slug to digest): it may have been repaired."""
    record = next((one for one in history.holds if one.get("id") == standing.id), {})
    held = record.get("digests") or {}
    return any(sources.get(slug, digest) != digest for slug, digest in held.items())


def refuse(standing: Hold, steps: Sequence[Step]) -> Refused:
    """The error for a hold, with what to type."""
    return Refused(f"Not deployed, on hold: {standing}.", *steps, hold=standing.as_json())


def undoing(record: Record) -> str:
    """The commit to revert in order to roll forward, as a hold's record knows it; empty when it does not."""
    known = record.get("revert") or {}
    commit = known.get("commit") if known.get("state", "pushed") != "already" else ""  # then it is the branch's tip
    return str(known.get("revert") or commit or "")


def lift(ledger: Ledger, history: History, reason: str, only: str = "") -> list[str]:
    """Lift every hold for good, recording who and why; returns their ids."""
    if not reason.strip():
        raise Refused("--lift-hold needs a reason.", lift_command(only))
    ids = [str(record["id"]) for record in history.holds]
    for name in ids:
        failpoint("record.lift")
        ledger.append({"record": "lift", "reason": reason, "hold": name})
        failpoint("record.lift.after")
    return ids


def _source(record: Record, digests: Mapping[str, str]) -> str:
    held = {digest: slug for slug, digest in (record.get("digests") or {}).items()}
    held_slug = next((slug for slug, digest in digests.items() if digest in held), "")
    return f"the source of {held_slug}" if held_slug else ""


def _revision(repository: Repository, record: Record, revision: str, remote: str, reader: Reader | None) -> str:
    tip, base = str(record.get("tip") or ""), str(record.get("base") or "")
    if not revision or not tip or tip == base or (base and repository.is_ancestor(tip, base)):
        return ""  # no commit was taken back, only a source
    _have(repository, tip, remote)
    if not repository.is_ancestor(tip, revision):
        return ""
    revert = str((record.get("revert") or {}).get("commit") or "")
    if revert and repository.is_ancestor(revert, revision):
        return ""
    try:
        if reader and base and _taken_back(reader, record, revision):
            return ""
    except CutoverError as error:
        unread = f"whether a later commit reverts it is unknown ({error.message.rstrip('. ')})"
        return f"revision {revision[:9]}, which contains {tip[:9]}; {unread}"
    return f"revision {revision[:9]}, which contains {tip[:9]} but not its revert"


def _taken_back(reader: Reader, record: Record, revision: str) -> bool:
    """Whether a commit since the tip has every changed file of the held functions as it was at base. Deno is asked only
    if something touched the files at all. CutoverError where git cannot tell."""
    repository = reader.repository
    tip, base, slugs = str(record["tip"]), str(record["base"]), list(record.get("digests") or ())
    if not slugs or not touched_since(repository, base, tip, revision):
        return False
    files, there = scope.sources(reader, base, tip, slugs)
    known = there.issuperset(slugs)
    return known and bool(find_revert(repository, base, tip, revision, sorted(files)))


def _have(repository: Repository, tip: str, remote: str) -> None:
    """In a shallow clone `tip` may be missing, and nothing would seem to descend from it."""
    if not repository.shallow():
        return
    try:
        repository.deepen(remote or "origin")
    except ServiceFailed as error:
        raise Refused(
            f"This shallow clone lacks the history to decide whether it contains {tip[:9]}, which was rolled back.",
            sh("git", "fetch", "--unshallow"),
        ) from error


def _digest(before: Mapping[str, Any] | None) -> str | None:
    return before.get("source_digest") if before else None


def lift_command(only: str = "", reason: str = REASON) -> Command:
    """Deploys what is on hold; `only` of the functions, where the command that was refused was limited to them."""
    return inv("deploy", only=only, lift_hold=reason)
