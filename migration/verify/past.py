"""What callers got from the code that was live before: answers kept on this machine, else what its own gate counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from checks.evidence import Artifacts, Missing
from migration.ledger.deployments import UNDONE
from migration.verify import samples

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History
    from migration.verify.smoke import SmokeResult

LONGEST = timedelta(days=30)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Past:
    """When the code before was live and nothing was being changed, and what the gate that let it in counted."""

    spans: tuple[Span, ...] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)


def of(history: History, found: Deployment) -> Past:
    """The past of one deployment. Code that was tried and taken back meanwhile is no part of it."""
    before = history.live_before(found.id)
    return Past(tuple(_spans(history, found, before.id if before else None)), before.gate if before else {})


def artifacts(context: Context, past: Past) -> Artifacts | Missing:
    """The artifacts that the code before delivered."""
    if not past.spans:
        return Missing("no earlier version is recorded")
    kept = samples.recent(context, past.spans[-1][1] - LONGEST, past.spans[-1][1])
    found = samples.artifacts([one for one in kept if any(start <= one.at < end for start, end in past.spans)])
    return found if found.delivered else _gated(past.gate) or Missing("no smoke case was run before")


def counted(answers: SmokeResult | Mapping[str, Any] | None) -> dict[str, int]:
    """What a gate's smoke cases counted, for the ledger: another machine knows it from there."""
    if answers is None or isinstance(answers, Mapping):
        return {}
    found = asdict(samples.artifacts(answers.samples))
    return {name: count for name, count in found.items() if isinstance(count, int)}


def _gated(gate: Mapping[str, Any]) -> Artifacts | None:
    found = gate.get("artifacts")
    if not found:
        return None
    tried, worked, delivered, valid = (int(found.get(name, 0)) for name in ("tried", "worked", "delivered", "valid"))
    return Artifacts(tried, worked, delivered, valid)


def _spans(history: History, found: Deployment, wanted: str | None) -> Iterator[Span]:
    live, since = None, datetime.min.replace(tzinfo=UTC)
    for one in history.deployments:
        begins = datetime.fromisoformat(one.at)
        if live == wanted and since < begins:
            yield since, begins
        if one.id == found.id:
            return
        since = datetime.fromisoformat(one.outcome_at) if one.outcome_at else datetime.max.replace(tzinfo=UTC)
        if one.kind == "rollback" and one.outcome in UNDONE:
            live = one.to
        elif one.stayed:
            live = one.id
