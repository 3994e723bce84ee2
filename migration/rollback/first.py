"""The git half after a first deployment: no record knows which revision was live before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.clients.supabase_types import Function
from migration.git import reversal, revert
from migration.git.reverted import Reverted, Target, at
from migration.rollback.target import Target as Goal
from migration.source import reader, snapshots, source

if TYPE_CHECKING:
    from migration.context import Context


def recorded(target: Goal) -> bool:
    """Whether the ledger knows the base, so that it was not taken from config.yaml."""
    return target.to is not None or any(one.base_revision for one in target.origins.values())


def base(context: Context, target: Goal, where: Target) -> str | Reverted:
    """The revision to go back to: app.base, if that holds what is live again; else how the git half ends without."""
    slugs, named = target.slugs, context.config.app.base or target.base
    live = {one.slug: one for one in context.supabase.functions()}
    known, why = _named(context, named, where)
    if known and not (wrong := _wrong(context, known, slugs, live)):
        return known
    tip = revert.tip(context.repository, where)
    if not _wrong(context, tip, slugs, live):
        text = f"Git needs no revert: {where.branch} already holds what is live again."
        return Reverted("already", text, tip, where.branch)
    if known:
        why = f"app.base in config.yaml ({named}) does not hold what is live again of {', '.join(wrong)}"
    look = f"{at(context.repository)} log --oneline {tip[:12]} -- supabase/functions"
    mend = f"set app.base in config.yaml to the revision that was live before, then type: {where.again}"
    return Reverted("impossible", f"Git stays as it is: {why}.", commands=(look, mend))


def _named(context: Context, named: str, where: Target) -> tuple[str, str]:
    """The commit that app.base names, and why there is none."""
    if not named:
        return "", "nobody knows which revision was live before (app.base in config.yaml would say it)"
    try:
        reversal.have(context.repository, where.remote, [named])
    except CutoverError:
        return "", f"app.base in config.yaml ({named}) is no commit of {context.app}"
    return str(context.repository.revision(named)), ""


def _wrong(context: Context, revision: str, slugs: Sequence[str], live: Mapping[str, Function]) -> list[str]:
    """The functions of which git at this revision is not, file for file, what is live."""
    there = reader.reader(context).at(revision, slugs)
    return [slug for slug in slugs if not _same(context, there.get(slug), live.get(slug))]


def _same(context: Context, ours: source.Source | None, live: Function | None) -> bool:
    if ours is None or live is None:
        return ours is None and live is None
    return snapshots.same_files(ours, snapshots.from_body(snapshots.download(context, live), live))
