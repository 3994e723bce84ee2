"""What is judged: the live functions, what was live before, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.verify import samples
from migration.verify.baseline import BaselineFigures, base_code, known, until
from migration.verify.samples import PastCode, Sample

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History


@dataclass(frozen=True)
class Subject:
    """What is judged: the live functions, and the versions of app.base by slug, which were live until `changed`.

    `baseline`: what the ledger knows of those.
    """

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
    baseline: BaselineFigures | None = None


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
    found = deployment or (_first(history) if history else None)
    code = base_code(history, context.config.app.base or "", context.config.migration.functions) if history else None
    replaced = code.replaced if code else None
    base = context.config.app.base or (found.base_revision if found else "") or ""
    now = context.clock.now()
    start = datetime.fromisoformat(deployment.at) if deployment else since
    return Subject(
        live,
        code.versions if code and replaced else {},
        start,
        now + timedelta(seconds=1),
        until(code, since) if code else since,
        base,
        gate,
        given,
        {one.slug: one for one in listed} if listed is not None else None,
        f"deployment {deployment.id}" if deployment else "",
        samples.past(history, replaced) if history and replaced else PastCode(),
        known(history, context.config.app.base or "") if history else None,
    )


def _first(history: History) -> Deployment | None:
    """The first deployment that stayed: what was before it is what was before the migration."""
    return next((one for one in history.deployments if one.kind == "deploy" and one.stayed), None)


def _history(context: Context) -> History | None:
    try:
        return context.ledger.history()
    except CutoverError as error:
        context.observer.warn(f"cannot read the ledger, so nothing is compared with before: {error.message}")
        return None
