"""Whose code is live by the ledger, in words: proven or not, and what a rollback put back that was not Cutover's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from migration.repo.deployments import UNDONE, Deployment, History
from migration.undoing import drift

if TYPE_CHECKING:
    from migration.undoing.aim import Aim

_FIRST = "The code from before the first deployment"
_PROOF = {"unproven": " (not proven)", "ungated": " (without a gate: nothing was proven)"}


def said(history: History) -> str:
    """What is live, if nobody deployed by another road since."""
    if not history.deployments:
        return "Nothing was deployed here by Cutover yet."
    live, (rollback, found) = history.live, put_back(history)
    whole = live is not None and set(live.slugs) <= set(found)
    if found and rollback and whole:
        return f"{_capital(drift.named(found))}, which was not Cutover's, is live again: {rollback.id} put it back."
    name = f"{live.id} is live{_PROOF.get(live.outcome or '', '')}" if live else f"{_FIRST} is live"
    if found and rollback:
        return f"{name}, but for {drift.named(found)}, which was not Cutover's: {rollback.id} put it back."
    return f"{name}."


def proven(history: History) -> bool:
    """Whether nothing is live that a look at the evidence could still prove."""
    return history.live is None or history.live.outcome not in _PROOF


def stranger(history: History, origin: Deployment, slug: str, digest: str | None) -> int | None:
    """The version of a function that `origin` replaced, if it was neither the one that Cutover had left before, nor the
    same code; `digest` is that of the version's source."""
    change, left = origin.change(slug), history.left(slug, before=origin.id)
    if change is None or change.before is None or left is None:
        return None
    version = int(change.before["version"])
    return version if version != left.version and digest != left.source_digest else None


def restored(history: History, aims: Iterable[Aim]) -> dict[str, int]:
    """What a rollback would put back that was not Cutover's, with its version."""
    found: dict[str, int] = {}
    for one in aims:
        origin = history.find(one.of)
        version = stranger(history, origin, one.slug, one.source.digest) if origin and one.source else None
        found |= {one.slug: version} if version is not None else {}
    return found


def put_back(history: History) -> tuple[Deployment | None, Mapping[str, int]]:
    """The rollback that made live what is live, if one did, and what of it was not Cutover's."""
    last = next((one for one in reversed(history.deployments) if one.stayed or one.outcome in UNDONE), None)
    if last is None or last.kind != "rollback":
        return None, {}
    found: dict[str, int] = {}
    for change in last.functions:
        origin = history.find(change.wanted.get("of"))
        digest = (change.after or {}).get("source_digest")
        version = stranger(history, origin, change.slug, digest) if origin and digest else None
        found |= {change.slug: version} if version is not None else {}
    return last, found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
