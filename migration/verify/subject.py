"""What is judged: the live functions, what was live before, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.verify import samples
from migration.verify.baseline import BaselineFigures, base_code, known, same, until
from migration.verify.samples import PastCode, Sample

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History


@dataclass(frozen=True)
class Subject:
    """What is judged: the live functions, and the versions of app.base by slug, which were live until `changed`.

    `baseline`: what the ledger knows of those. `over`: the code is not live any more, so that nothing can be added.
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
    over: bool = False


def subject(
    context: Context,
    since: datetime,
    deployment: Deployment | None,
    *,
    gate: bool = False,
    given: Sequence[Sample] | None = None,
    listed: Sequence[Function] | None = None,
) -> Subject:
    """The live versions of the configured functions, kept to one deployment where one is named.

    Where a rollback has made the base's code live again, the code that it took back, while that was live: the criteria
    are those of the migration, and figures of the old code would say nothing of it.
    """
    live = {function.slug: function for function in context.supabase.functions()}
    history = None if gate and deployment else _history(context)
    own = context.config.migration.functions
    undone = rolled_back(history, context.config.app.base or "", own) if history and not gate else None
    if history is not None and undone is not None and deployment is None:
        return _past_subject(context, history, undone, live, since)
    judged = deployment or (_first(history) if history else None)
    code = base_code(history, context.config.app.base or "", own) if history else None
    replaced = code.replaced if code else None
    base = context.config.app.base or (judged.base_revision if judged else "") or ""
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
        f"deployment {deployment.id}" if deployment else _words(history, since, now),
        samples.past(history, replaced) if history and replaced else PastCode(),
        known(history, context.config.app.base or "") if history else None,
    )


def _words(history: History | None, since: datetime, now: datetime) -> str:
    """The deployment that is live and the span that is judged of it; empty where nothing was deployed with Cutover."""
    end = "%H:%M:%S" if since.date() == now.date() else "%Y-%m-%d %H:%M:%S"
    live = history.live if history else None
    return f"deployment {live.id}, {since:%Y-%m-%d %H:%M:%S} to {now:{end}} UTC" if live else ""


@dataclass(frozen=True)
class UndoneDeployment:
    """The newest deployment of the migration, and the rollback that took it back to the base's code."""

    deployment: Deployment
    rollback: Deployment

    @property
    def end(self) -> datetime:
        """When its code was last live."""
        return datetime.fromisoformat(self.rollback.outcome_at or self.rollback.at)


def rolled_back(history: History, base: str, functions: Sequence[str]) -> UndoneDeployment | None:
    """None where the migration's code is live, or was never. After a hotfix is undone, the migration still is."""
    live = history.live
    if live is not None and not same(live.revision, base):
        return None
    carried = set(functions)
    newest = (one for one in reversed(history.deployments) if one.kind == "deploy" and one.stayed)
    deployment = next((one for one in newest if carried & set(one.slugs)), None)
    by = history.undone(deployment.id) if deployment else None
    return UndoneDeployment(deployment, by) if deployment and by else None


def _past_subject(
    context: Context, history: History, undone: UndoneDeployment, live: Mapping[str, Function], since: datetime
) -> Subject:
    """The versions that the rollback took back. A span that begins after it is moved to the end of their time."""
    code, by, end = undone.deployment, undone.rollback, undone.end
    began = datetime.fromisoformat(code.at)
    start = since if since < end else max(began, end - (context.clock.now() - since))
    own = {slug: _as_left(history, by, live[slug]) for slug in by.slugs if slug in live}
    first = _first(history) or code
    words = f"deployment {code.id} while it was live, until {end:%Y-%m-%d %H:%M:%S} UTC"
    context.observer.note(
        f"{code.id} is no longer live: {by.id} rolled it back. It is judged up to then, {end:%H:%M:%S}Z."
    )
    base = context.config.app.base or first.base_revision or ""
    before = base_code(history, base, context.config.migration.functions)
    return Subject(
        {**live, **own},
        before.versions if before else {},
        start,
        end,
        until(before, since) if before else since,
        base,
        words=words,
        past=samples.past(history, before.replaced) if before and before.replaced else PastCode(),
        baseline=known(history, context.config.app.base or ""),
        over=True,
    )


def _as_left(history: History, rollback: Deployment, function: Function) -> Function:
    """A function as it was live when a rollback began."""
    left = history.left(function.slug, rollback.id)
    maker = history.find(left.deployment) if left else None
    if left is None or left.version is None or maker is None:
        return function
    activated = datetime.fromisoformat(maker.at).timestamp() * 1000
    return replace(function, version=left.version, updated_at=round(activated))


def _first(history: History) -> Deployment | None:
    """The first deployment that stayed: what was before it is what was before the migration."""
    return next((one for one in history.deployments if one.kind == "deploy" and one.stayed), None)


def _history(context: Context) -> History | None:
    try:
        return context.ledger.history()
    except CutoverError as error:
        context.observer.warn(f"cannot read the ledger, so nothing is compared with before: {error.message}")
        return None
