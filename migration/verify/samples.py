"""Answers that smoke cases and soaks got, kept on this machine for the criteria that judge what callers receive."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.evidence import Artifacts, Missing, Offender, SentAnswers
from migration.base import durable
from migration.ledger.deployments import UNDONE

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History

_KEPT = 5_000  # samples
_ROOM = 2_000_000  # bytes of the file before the oldest are dropped
LONGEST = timedelta(days=30)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Sample:
    """One answer: `ok`: it met every expectation. `artifact`: it held a valid one (None: the case expects none).
    `cause` of a failure, where it has a type: unreachable, or the code in the answer, in small letters."""

    at: datetime
    function: str
    case: str
    ok: bool
    status: int
    seconds: float
    artifact: bool | None = None
    execution: str = ""
    detail: str = ""
    cause: str = ""

    @property
    def delivered(self) -> bool:
        return self.artifact is not None and 200 <= self.status < 300


def record(context: Context, samples: Iterable[Sample]) -> None:
    """Append; the oldest are dropped. A file that cannot be written only means less evidence later."""
    path = file(context)
    lines = [json.dumps(asdict(one) | {"at": one.at.isoformat()}, ensure_ascii=False) for one in samples]
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _ROOM:
            _write(path, path.read_text().splitlines()[-_KEPT:])
        with path.open("a") as out:
            out.writelines(f"{line}\n" for line in lines)


def recent(context: Context, since: datetime, until: datetime) -> list[Sample]:
    """Samples of a span of time, oldest first; unreadable lines are skipped."""
    try:
        lines = file(context).read_text().splitlines()
    except OSError:
        return []
    known = [sample for line in lines if (sample := _read(line)) is not None]
    return [sample for sample in known if since <= sample.at < until]


def file(context: Context) -> Path:
    return context.state / "samples" / f"{context.environment.name}.jsonl"


def sent(samples: Sequence[Sample]) -> SentAnswers:
    """All samples, counted by whether they met every expectation."""
    bad = tuple(
        Offender(one.execution, one.function, f"{one.case}: {one.detail or one.status}")
        for one in samples
        if not one.ok
    )
    return SentAnswers(len(samples), len(samples) - len(bad), bad)


def artifacts(samples: Iterable[Sample]) -> Artifacts:
    """The samples of cases that expect an artifact, counted."""
    tried = [sample for sample in samples if sample.artifact is not None]
    bad = tuple(
        Offender(one.execution, one.function, f"{one.case}: {one.detail or one.status}")
        for one in tried
        if not one.ok or not one.artifact
    )
    delivered = [one for one in tried if one.delivered]
    valid = sum(bool(one.artifact) for one in delivered)
    return Artifacts(len(tried), sum(one.ok for one in tried), len(delivered), valid, bad)


def _write(path: Path, lines: list[str]) -> None:
    durable.write(path, "".join(f"{line}\n" for line in lines).encode(), sync=False)


def _read(line: str) -> Sample | None:
    try:
        fields = json.loads(line)
        return Sample(**{**fields, "at": datetime.fromisoformat(fields["at"])})
    except (ValueError, TypeError, KeyError):
        return None


# What callers got from the code that was live before: samples of this machine, else what its own gate counted.


@dataclass(frozen=True)
class PastCode:
    """When the code before was live and nothing was being changed, and what the gate that let it in counted."""

    spans: tuple[Span, ...] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)


def past(history: History, deployment: Deployment) -> PastCode:
    """The code before one deployment, without the time in which other code was tried and restored."""
    before = history.live_before(deployment.id)
    spans = tuple(_spans(history, deployment, before.id if before else None))
    return PastCode(spans, before.gate if before else {})


def artifacts_before(context: Context, code: PastCode, cases: Collection[str] = ()) -> Artifacts | Missing:
    """The artifacts that the code before delivered: by the same `cases` as those of the code now (empty: by all)."""
    if not code.spans:
        return Missing("no earlier version is recorded")
    last = code.spans[-1][1]
    known = [one for one in recent(context, last - LONGEST, last) if not cases or one.case in cases]
    counted = artifacts([one for one in known if any(start <= one.at < end for start, end in code.spans)])
    return counted if counted.delivered else _of_gate(code.gate) or Missing("no smoke case was run before")


def counts(samples: Iterable[Sample]) -> dict[str, int]:
    """What a gate's smoke cases delivered, for the ledger: other machines read it there."""
    return {name: count for name, count in asdict(artifacts(samples)).items() if isinstance(count, int)}


def _of_gate(gate: Mapping[str, Any]) -> Artifacts | None:
    known = gate.get("artifacts")
    if not known:
        return None
    tried, worked, delivered, valid = (int(known.get(name, 0)) for name in ("tried", "worked", "delivered", "valid"))
    return Artifacts(tried, worked, delivered, valid)


def _spans(history: History, deployment: Deployment, wanted: str | None) -> Iterator[Span]:
    live, since = None, datetime.min.replace(tzinfo=UTC)
    for one in history.deployments:
        begins = datetime.fromisoformat(one.at)
        if live == wanted and since < begins:
            yield since, begins
        if one.id == deployment.id:
            return
        since = datetime.fromisoformat(one.outcome_at) if one.outcome_at else datetime.max.replace(tzinfo=UTC)
        if one.kind == "rollback" and one.outcome in UNDONE:
            live = one.to
        elif one.stayed:
            live = one.id
