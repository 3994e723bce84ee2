"""The SQL files of `supabase/migrations` that come with a change: each applied, not applied, or unknown.

Cutover applies none: it names them, with the order that is safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.command import sh
from migration.base.errors import CutoverError

if TYPE_CHECKING:
    from migration.context import Context

FOLDER = "supabase/migrations"
# The CLI takes the digits before the first underscore for the version and passes over other names.
_FILE = re.compile(rf"{FOLDER}/(\d+)_[^/]*\.sql")


@dataclass(frozen=True)
class SqlFile:
    """`applied`: whether the database has this version; None where it could not be read. `edited`: it existed before
    the range and was changed in it, which a database that has it does not notice."""

    file: str
    applied: bool | None
    edited: bool = False


def read(context: Context, base: str, head: str) -> tuple[list[SqlFile], str]:
    """The files of base..head in the order in which they are applied, and why the database could not be asked."""
    statuses = context.repository.statuses(base, head, [FOLDER])
    added = _named(path for path, status in statuses.items() if status == "A")
    edited = _named(path for path, status in statuses.items() if status == "M")
    if not added and not edited:
        return [], ""
    applied, why = None, ""
    try:
        applied = context.supabase.migrations()
    except CutoverError as error:
        why = error.message
    versions = {**added, **edited}
    return [
        SqlFile(path, None if applied is None else version in applied, path in edited)
        for path, version in sorted(versions.items(), key=lambda each: int(each[1]))
    ], why


def notes(files: Sequence[SqlFile], why: str) -> list[str]:
    """What a person must do about them, and in which order."""
    lines = []
    if missing := _names(one for one in files if one.applied is False):
        push = sh("supabase", "db", "push")
        text = f"SQL not applied yet: {missing}. Apply it before the deploy ({push}), written so that what is"
        lines.append(f"{text} live works with it too: a rollback leaves the database as it is.")
    if edited := _names(one for one in files if one.applied and one.edited):
        lines.append(
            f"SQL edited after it was applied: {edited}. The database has the earlier text; add a new file instead."
        )
    if unknown := _names(one for one in files if one.applied is None):
        lines.append(f"SQL in this change: {unknown}. Whether it is applied is unknown: {why}")
    return lines


def _named(paths: Iterable[str]) -> dict[str, str]:
    matches = ((path, _FILE.fullmatch(path)) for path in paths)
    return {path: match[1] for path, match in matches if match}


def _names(files: Iterable[SqlFile]) -> str:
    return ", ".join(one.file.removeprefix(f"{FOLDER}/") for one in files)
