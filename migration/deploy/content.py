"""Whose code is live where no record names its version: its files tell, compared with git's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError, ServiceFailed
from migration.clients.supabase_types import Function
from migration.git import reversal
from migration.source import downloaded, scope, snapstore, source

if TYPE_CHECKING:
    from migration.context import Context


def same(context: Context, live: Function, revision: str, digest: Any) -> bool:
    """Whether what is live is this source of this revision. ServiceFailed where that could not be read: not knowing it
    makes it nobody else's."""
    if not digest or not here(context, revision):
        return False
    try:
        body = downloaded.from_body(snapstore.download(context, live), live)
        held = source.at_revision(context.repository, revision, [live.slug], context.state).get(live.slug)
    except ServiceFailed as error:
        text = f"Whose version {live.version} of {live.slug} is could not be told: {error.message}"
        raise ServiceFailed(text, error.hint or "inv status", **error.data) from error
    return held is not None and held.digest == digest and downloaded.same_files(held, body)


def here(context: Context, revision: str) -> bool:
    """Whether this clone has the revision, after asking the remote for it."""
    if context.repository.revision(revision) is None and not context.ledger.offline:
        with contextlib.suppress(CutoverError):
            reversal.have(context.repository, scope.remote(context), [revision])
    return context.repository.revision(revision) is not None
