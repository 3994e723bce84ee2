"""Somebody else's code where ours was: a rollback says so, keeps it, and needs more than `--yes` to replace it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migration import snapshot
from migration.clients.supabase_types import Function
from migration.errors import CutoverError, Refused

if TYPE_CHECKING:
    from migration.context import Context
    from migration.repo.deployments import History
    from migration.undoing.aim import Aim


def versions(history: History, live: Mapping[str, Function], slugs: Iterable[str]) -> dict[str, int]:
    """The functions of which a version is live that no record of ours accounts for, with that version."""
    return {slug: live[slug].version for slug in slugs if slug in live and foreign(history, live[slug])}


def foreign(history: History, live: Function) -> bool:
    """Whether what is live is neither what we left, nor what a deployment of ours staged, nor what an interrupted
    rollback had seen when it began."""
    left, newest = history.left(live.slug), history.newest
    staged = {answer.get("version") for one in history.deployments for answer in one.answers
              if answer.get("slug") == live.slug}  # fmt: skip
    begun = newest.change(live.slug) if newest and newest.kind == "rollback" else None
    seen = (begun.before or {}).get("version") if begun else None
    return left is not None and live.version not in {left.version, seen, *staged}


def named(found: Mapping[str, int]) -> str:
    """`version 3 of alpha`, and so on."""
    return ", ".join(f"version {version} of {slug}" for slug, version in found.items())


def refuse(aims: Sequence[Aim], to: str) -> None:
    """Refused where such code would be replaced and nobody has said that it may be; `to` names what shall be live."""
    found = {one.slug: one.live.version for one in aims if one.foreign and one.live}
    if found:
        raise Refused(
            f"Not rolled back: {named(found)} is live, which somebody else deployed since. It is replaced only where "
            "the project ref is typed, or --to names what shall be live.",
            f"inv plan --diff\ninv rollback --to {to}",
        )


def keep(context: Context, aims: Sequence[Aim]) -> tuple[dict[str, Any], list[str]]:
    """Downloads such code and puts it where every machine finds it: what the intent says of it, and what a person is
    told. A service that must go back does not wait for a git remote: this machine's copy is there at least."""
    strangers = [one.live for one in aims if one.foreign and one.live]
    told: dict[str, Any] = {}
    notes: list[str] = []
    for slug, one in snapshot.take(context, strangers, dict).items():
        said = f"{slug}: version {one.function.version}, which somebody else deployed,"
        if one.restorable == "no":
            notes.append(f"{said} is replaced and could not be kept: {one.why}.")
            continue
        told[slug] = {"digest": one.digest, "restorable": one.restorable}
        notes.append(f"{said} is replaced; {_kept(context, one)}.")
    return told, notes


def _kept(context: Context, one: snapshot.Kept) -> str:
    try:
        snapshot.keep(context, [one])
    except CutoverError:
        return f"its code is kept in {context.state / 'bodies'} alone, since the git remote did not take it"
    return f"its code is kept as {context.ledger.prefix}/snapshots/{context.environment.name}/{one.digest}"
