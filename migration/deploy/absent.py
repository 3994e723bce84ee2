"""Configured functions that the app has no files of: their creation was rolled back, or somebody made a mistake."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from migration.base.errors import Refused
from migration.deploy.planned import Item
from migration.source.source import Absent, Source

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import History

Read = Mapping[str, Source | Refused]


def judge(context: Context, found: Read, live: Mapping[str, Function], history: History) -> dict[str, Source | Refused]:
    """What was read, without the functions that are nowhere; a refusal says so where a function is still live."""
    judged: dict[str, Source | Refused] = {}
    for slug, result in found.items():
        if isinstance(result, Absent) and slug in live:
            judged[slug] = _left_behind(context, result, live[slug])
        elif not (isinstance(result, Absent) and _deleted(history, slug)):
            judged[slug] = result
    return judged


def item(slug: str) -> Item:
    """A function that is nowhere, as the plan tells of it: there is nothing to do."""
    return Item(slug, "same", "it is neither in the app nor on the platform", Source(slug, "", {}), None, None)


def _deleted(history: History, slug: str) -> bool:
    """Whether the last thing that happened to it was that we deleted it, and not that its name was mistyped."""
    left = history.left(slug)
    return left is not None and left.version is None


def _left_behind(context: Context, error: Absent, live: Function) -> Absent:
    path = error.data["path"]
    text = f"{live.slug}: {path} does not exist, and version {live.version} of {live.slug} is still on the platform."
    mend = f"Put the file back, or take {live.slug} out of migration.functions in config.yaml."
    return Absent(f"{text} {mend}", f"git -C {shlex.quote(str(context.app))} log --oneline -- {shlex.quote(path)}")
