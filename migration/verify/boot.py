"""What a function logged instead of starting. The platform's row about it belongs to no request."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.secrets_type import mask
from migration.config import logsql
from migration.logs.names import Names
from migration.logs.reader import LogReader

if TYPE_CHECKING:
    from migration.context import Context

_POLL = 0.5  # seconds between two looks
_MOST = 100  # rows: a worker that does not start is tried again and again
_FAILED = logsql.equal("event_type", "BootFailure")


def failures(context: Context, slugs: Collection[str], since: datetime, patience: float) -> dict[str, str]:
    """The newest row of a failed start by slug, from `since` on, once each has one or `patience` (seconds) ends.

    CutoverError where the names or the logs cannot be read.
    """
    names, reader = Names.of(context), LogReader.of(context, patience)
    fid = logsql.attribute("function_id")
    ids = names.ids(names.known(slugs))
    if not ids:
        return {}
    where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("function_id", *ids), _FAILED)
    end = context.clock.monotonic() + patience
    while True:
        until = context.clock.now() + timedelta(minutes=1)
        rows = reader.rows(
            where, since, until, columns=f"event_message, {fid} as function_id", newest_first=True, limit=_MOST
        )
        lines: dict[str, str] = {}
        for row in rows:
            lines.setdefault(names.slug(str(row["function_id"])), mask(str(row["event_message"]).strip()))
        if len(lines) >= len(set(slugs)) or context.clock.monotonic() >= end:
            return lines
        context.clock.sleep(_POLL)
