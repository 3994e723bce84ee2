"""What is watched: the functions of one deployment as they are live, and the criteria that can alarm about them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base.command import inv
from migration.base.errors import CutoverError, Refused
from migration.config import signals
from migration.watch import judge
from migration.watch.model import WatchState
from migration.watch.rows import RowQuery

if TYPE_CHECKING:
    from migration.config.settings import Config
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History

ALPHA = 0.05  # the chance of a false alarm in a whole watch
RECENT = timedelta(hours=1)  # a deployment that ended so lately is watched from its end
_SLOW = 8.0  # seconds


@dataclass(frozen=True)
class WatchSubject:
    """What is judged by slug as (function id, version), which of them are migrated, and what the ledger expects of
    those; `listed` are the versions that the platform says are live."""

    deployment: Deployment
    live: Mapping[str, tuple[str, int]]
    listed: Mapping[str, int]
    expected: Mapping[str, int]
    migrated: Sequence[str]
    unchanged: Sequence[str]


def live_deployment(context: Context, history: History) -> Deployment:
    """The deployment whose code is live. Refused where Cutover has deployed nothing, or it was rolled back."""
    if history.live is None:
        env = context.environment.name
        text = "Nothing that Cutover deployed is live"
        raise Refused(f"{text} in {env}: there is nothing to watch.", inv("deploy"))
    return history.live


def of(context: Context, history: History, deployment: Deployment) -> WatchSubject:
    """As the platform lists it now. ServiceFailed without an answer."""
    live = {function.slug: function for function in context.supabase.functions()}
    config = context.config.migration
    migrated = [slug for slug in config.functions if slug in live]
    expected = {slug: left.version for slug in config.functions if (left := history.left(slug)) and left.version}
    functions = {slug: (live[slug].id, expected.get(slug, live[slug].version)) for slug in migrated}
    unchanged = [slug for slug in config.unchanged if slug in live]
    functions |= {slug: (live[slug].id, live[slug].version) for slug in unchanged}
    versions = {slug: one.version for slug, one in live.items()}
    return WatchSubject(deployment, functions, versions, expected, migrated, unchanged)


def criteria(config: Config, subject: WatchSubject) -> list[tuple[str, str]]:
    """(criterion, function) of everything that can alarm: the criteria of config.yaml that a watch can test.

    An advisory criterion cannot alarm. success_rate is always tested: it is what a watch is for.
    """
    chosen = {name for name, one in config.criteria.named.items() if not one.advisory}
    names = ["success_rate", *(name for name in ("no_503", "response_time", "no_errors_in_logs") if name in chosen)]
    if usage_of(config):
        names += ["cost_logged"] if "cost_logged" in chosen else []
        names += ["cost_per_request"] if "cost_per_request" in chosen and dearest(config) and _priced(config) else []
    alone = config.criteria.named["unchanged"].function if "unchanged" in chosen else None
    slugs = [slug for slug in subject.unchanged if "unchanged" in chosen and alone in (None, slug)]
    return [*((name, "") for name in names), *(("unchanged", slug) for slug in slugs)]


def usage_of(config: Config) -> signals.Pattern | None:
    """The usage signal; None where costs cannot be read from the logs."""
    try:
        return signals.usage(config)
    except CutoverError:
        return None


def _priced(config: Config) -> bool:
    """Whether a usage line says what a request cost: by itself, or by its tokens and a price."""
    usage = usage_of(config)
    return usage is not None and ("cost" in usage.regex.groupindex or bool(config.target and config.target.price))


def dearest(config: Config) -> float | None:
    """What one request may cost in USD, where config.yaml says so."""
    criterion = config.criteria.named.get("cost_per_request")
    return criterion.max if criterion else None


def wanted(config: Config, subject: WatchSubject, state: WatchState) -> RowQuery:
    """What to read of the logs."""
    time = config.criteria.named.get("response_time")
    target = config.target
    slow = (time.p95 if time else None) or _SLOW
    return RowQuery(
        subject.live, state.started, timedelta(seconds=state.every), usage_of(config),
        "cost_logged" in config.criteria.named, target.price if target else None, slow, dearest(config),
    )  # fmt: skip


def begin(context: Context, subject: WatchSubject, span: float, every: float) -> WatchState:
    """A new watch. It begins with the end of the deployment where that was lately, else now."""
    now, config = context.clock.now(), context.config
    names = criteria(config, subject)
    limits = {name: config.watch.limit(name) for name, _ in names}
    started = _started(subject.deployment, now)
    return WatchState(
        f"w-{secrets.token_hex(4)}", context.environment.name, subject.deployment.id, subject.deployment.revision,
        started, now + timedelta(seconds=span), span, every, ALPHA, started, judge.begin(names, limits, ALPHA),
        versions=dict(subject.expected),
    )  # fmt: skip


def _started(deployment: Deployment, now: datetime) -> datetime:
    ended = datetime.fromisoformat(deployment.outcome_at) if deployment.outcome_at else now
    begun = ended if timedelta() <= now - ended < RECENT else now
    return begun.replace(microsecond=0)
