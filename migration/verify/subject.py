"""What is judged: the live functions, what was live before, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.verify import samples
from migration.verify.samples import PastCode, Sample

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History


@dataclass(frozen=True)
class Subject:
    """What is judged: the live functions, and what was live before (versions by slug) until `changed`."""

    live: Mapping[str, Function]
    before: Mapping[str, int]
    since: datetime
    until: datetime
    changed: datetime
    base: str = ""
    gate: bool = False
    samples: Sequence[Sample] | None = None
    listed: Mapping[str, Function] | None = None
    words: str = field(default="")
    past: PastCode = field(default_factory=PastCode)


def subject(
    context: Context,
    since: datetime,
    deployment: Deployment | None,
    *,
    gate: bool = False,
    given: Sequence[Sample] | None = None,
    listed: Sequence[Function] | None = None,
) -> Subject:
    """The live versions of the configured functions, kept to one deployment where one is named."""
    live = {function.slug: function for function in context.supabase.functions()}
    history = None if gate and deployment else _history(context)
    found = deployment or (history.live if history else None)
    before = (
        {change.slug: int(change.before["version"]) for change in found.functions if change.before} if found else {}
    )
    base = (found.base_revision if found else "") or context.config.app.base or ""
    now = context.clock.now()
    changed = datetime.fromisoformat(found.at) if found else since
    start = changed if deployment else since
    known = {one.slug: one for one in listed} if listed is not None else None
    words = f"deployment {deployment.id}" if deployment else ""
    then = samples.past(history, found) if history and found else PastCode()
    return Subject(live, before, start, now + timedelta(seconds=1), changed, base, gate, given, known, words, then)


def _history(context: Context) -> History | None:
    try:
        return context.ledger.history()
    except CutoverError as error:
        context.observer.warn(f"cannot read the ledger, so nothing is compared with before: {error.message}")
        return None
