"""What a rollback would do to git, and what it would leave alone: said before anybody agrees to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError, ServiceFailed
from migration.base.numbers import count
from migration.deploy import drift
from migration.git import reversal
from migration.source import scope

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.git.reversal import Range
    from migration.ledger.deployments import History
    from migration.rollback.aim import Aim
    from migration.rollback.target import Target


@dataclass(frozen=True)
class Half:
    """What shall become of git: `whole` commits go back or only the functions' files; `later`: nothing now."""

    whole: bool = False
    later: bool = False


def git(context: Context, target: Target, remote: str | None, half: Half) -> tuple[list[str], list[str]]:
    """The files that git will take back, and what of the range stays."""
    if target.work == "none":
        return [], []
    if half.later:
        return [], ["Git stays as it is for now (--restore-only): inv rollback then makes it agree."]
    if not target.base or not target.revision:
        return [], ["Git stays as it is: nobody knows which revision was live before (set app.base in config.yaml)."]
    repository = context.repository
    try:
        reversal.have(repository, remote, [target.base, target.revision])
        found = scope.of(context, target.base, target.revision, target.slugs, {}, "", half.whole).found
        everything = repository.changed(target.base, target.revision)
        taken = _taken(context, found, everything)
    except CutoverError as error:
        return [], [error.message]
    return taken, list(_left(everything, taken, half.whole))


def _taken(context: Context, found: Range, everything: Sequence[str]) -> list[str]:
    """The functions' files of the range, or all files of the commits that touched one of those."""
    repository, files = context.repository, set(found.files)
    if found.whole:
        for commit in found.commits:
            parents = repository.parents(commit)
            files |= set(repository.changed(parents[0], commit)) if parents else set()
    return [path for path in everything if path in files]


def _left(everything: Sequence[str], taken: Sequence[str], whole: bool) -> Iterator[str]:
    """What of the range a rollback leaves alone."""
    rest = [path for path in everything if path not in taken]
    databases = [path for path in rest if path.startswith("supabase/migrations/")]
    if databases:
        yield f"Not undone: database migrations, {', '.join(databases)}."
    others = len(rest) - len(databases)
    if others:
        also = "" if whole else " (--scope commit takes back whole commits)"
        yield f"Not undone in git: {count(others, 'other file')} changed since{also}."


def strangers(aims: Sequence[Aim]) -> list[str]:
    """Somebody else's code that would be replaced."""
    found = {one.slug: one.live.version for one in aims if one.foreign and one.live}
    said = f"Somebody else deployed {drift.named(found)} since: that code is kept in git's remote, and replaced."
    return [said] if found else []


def around(context: Context, history: History, live: Mapping[str, Function], target: Target) -> list[str]:
    """What else a person should know: who is at work, what nobody could hear, what is live that is not ours."""
    found, ledger = [], context.ledger
    if ledger.offline:
        found.append(f"The ledger is as this clone last knew it: {ledger.offline}")
    elif (holder := context.lock.holder(fresh=False)) is not None and not holder.stale:
        found.append(f"The lock is held by {holder}.")
    others = drift.versions(history, live, target.slugs) if target.work == "git" and target.pending is None else {}
    if others:
        found.append(f"Somebody else deployed {drift.named(others)} since: that stays live, and only git goes back.")
    return found


def secrets(context: Context, target: Target) -> list[str]:
    """Secrets that changed since the oldest deployment that is taken back."""
    if not target.undone or not target.undone[-1].secrets:
        return []
    try:
        now = {secret.name: secret.digest for secret in context.supabase.secrets()}
    except ServiceFailed:
        return ["Whether secrets have changed since could not be seen."]
    then = target.undone[-1].secrets
    gone = sorted(name for name in then if name not in now)
    changed = sorted(name for name in then if name in now and now[name] != then[name])
    words = {"are gone": gone, "have changed": changed}
    return [f"Not undone: secrets that {what} since: {', '.join(names)}." for what, names in words.items() if names]
