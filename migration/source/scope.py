"""Which files the git half of a rollback takes back, and whether git then says what is live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.clients.supabase_types import Function
from migration.git import revert
from migration.git.revert import RevertRange
from migration.source import snapshots
from migration.source.functions_config import CONFIG
from migration.source.reader import Absent, Reader, reader

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import History
    from migration.source.source import Source


@dataclass(frozen=True)
class Scope:
    """The range, and the shared files that stay because another function's live source holds their new text."""

    range: RevertRange
    shared: Mapping[str, str]  # path to the other function


def of(
    context: Context, base: str, revision: str, slugs: Sequence[str], live: Mapping[str, Function],
    deployment: str, whole: bool,
) -> Scope:  # fmt: skip
    """The files of these functions before and after. Refused when a commit of the range cannot be fetched."""
    repository = context.repository
    revert.bring(repository, remote(context), [base, revision])
    files = sources(reader(context), base, revision, slugs)[0]
    changed = set(repository.changed(base, revision, sorted(files))) if files else set()
    shared = _shared(context, changed, revision, slugs, live)
    paths = tuple(sorted(files - set(shared)))
    commits = revert.touching(repository, base, revision, sorted(changed)) if changed else ()
    return Scope(RevertRange(base, revision, paths, commits, whole, tuple(slugs), deployment), shared)


def with_renamed(
    context: Context, base: str, revision: str, slugs: Sequence[str], history: History, live: Mapping[str, Function]
) -> tuple[str, ...]:
    """These functions, and those that the range took out of git while they stayed live: what a rename leaves behind
    is still answering, so its files come back with the rollback of the new name."""
    own = [slug for slug in history.slugs if slug in live and slug not in slugs]
    if not own:
        return tuple(slugs)
    revert.bring(context.repository, remote(context), [base, revision])
    before, after = reader(context).at(base, own), reader(context).tried_at(revision, own)
    return (*slugs, *(slug for slug in own if slug in before and isinstance(after[slug], Absent)))


def sources(own: Reader, base: str, revision: str, slugs: Sequence[str]) -> tuple[set[str], set[str]]:
    """The files of these functions before and after, the settings too where they differ; and who is there after."""
    before, after = (own.at(commit, slugs) for commit in (base, revision))
    files = {path for side in (before, after) for one in side.values() for path in one.tracked}
    if any(_settings(before.get(slug)) != _settings(after.get(slug)) for slug in slugs):
        files.add(CONFIG)
    return files, set(after)


def differing(context: Context, commit: str, restored: Mapping[str, Source | None]) -> list[str]:
    """The functions for which git at this commit is not what is live again: there `plan` would not say same."""
    there = reader(context).at(commit, list(restored))
    return [slug for slug, wanted in restored.items() if _digest(there.get(slug)) != _digest(wanted)]


def remote(context: Context) -> str | None:
    """The git remote that is pushed to; None when the repository has none."""
    return context.remote if context.remote in context.repository.remotes() else None


def _shared(
    context: Context, changed: set[str], revision: str, slugs: Sequence[str], live: Mapping[str, Function]
) -> dict[str, str]:
    """Changed files that another function imports, where what is live of that function has the new text."""
    others = [slug for slug in live if slug not in slugs]
    if not changed or not others:
        return {}
    holders: dict[str, str] = {}
    for slug, theirs in reader(context).at(revision, others).items():
        shared = changed & set(theirs.tracked)
        held = _hashes(context, live[slug]) if shared else set()
        holders |= {path: slug for path in shared if theirs.tracked[path] in held}
    return holders


def _hashes(context: Context, function: Function) -> set[str]:
    """SHA-256 of each file that is live, wherever the platform put it; nothing where it cannot be read."""
    try:
        return set(snapshots.from_body(snapshots.download(context, function), function).hashes.values())
    except CutoverError:
        return set()


def _settings(source: Source | None) -> object:
    return source.metadata() if source else None


def _digest(source: Source | None) -> str | None:
    return source.digest if source else None
