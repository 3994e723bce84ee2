"""A staged version that nobody activated: it makes every further staging answer 409."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from migration.base.errors import ApiError, ServiceFailed
from migration.base.failpoint import failpoint
from migration.clients.supabase_types import Function

if TYPE_CHECKING:
    from migration.context import Context


class Stranded(ServiceFailed):
    """A staged version that nobody activated stands in the way, and it is not ours to activate."""


def settling(live: Function) -> dict[str, Any]:
    """Names the version that must be waiting, since staging answers 409 while this one is live."""
    return {"id": live.id, "slug": live.slug, "name": live.name, "status": "ACTIVE", "version": live.version + 1}


def settle(context: Context, live: Function) -> None:
    """Activate a stranded version that is ours; Stranded when the platform refuses that too."""
    failpoint("settle.send")
    try:
        context.supabase.activate([settling(live)])
    except ApiError as error:
        if error.status in (408, 429) or error.status >= 500:
            raise
        raise Stranded(*way_out(context, live, f"and the platform will not activate it ({error.message})")) from None
    failpoint("settle.sent")


def way_out(context: Context, live: Function, why: str) -> tuple[str, str]:
    """The message and the hint for a stranded version that we leave alone."""
    base = f"{context.environment.api_url}/v1/projects/{context.environment.project_ref}/functions"
    body = json.dumps([settling(live)])
    text = f"{live.slug}: a staged version {live.version + 1} waits on the platform, {why}. Nothing was done about it."
    ways = f"activate it with: PUT {base} {body}; or delete the function and deploy it again (it is away meanwhile)"
    return text, ways
