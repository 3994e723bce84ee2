"""Answers that smoke cases and soaks got, kept on this machine for the criteria that judge what callers receive."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.evidence import Artifacts, Offender

if TYPE_CHECKING:
    from migration.context import Context

_KEPT = 5_000
_ROOM = 2_000_000


@dataclass(frozen=True)
class Sample:
    """One answer: `ok` says that it met every expectation, `artifact` whether it held a valid one (None: not asked)."""

    at: datetime
    function: str
    case: str
    ok: bool
    status: int
    seconds: float
    artifact: bool | None = None
    execution: str = ""
    detail: str = ""

    @property
    def delivered(self) -> bool:
        return self.artifact is not None and 200 <= self.status < 300


def record(context: Context, samples: Iterable[Sample]) -> None:
    """Append; the oldest are forgotten. A machine that cannot keep them only judges with less evidence."""
    path = file(context)
    lines = [json.dumps(asdict(one) | {"at": one.at.isoformat()}, ensure_ascii=False) for one in samples]
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _ROOM:
            _write(path, path.read_text().splitlines()[-_KEPT:])
        with path.open("a") as out:
            out.writelines(f"{line}\n" for line in lines)


def recent(context: Context, since: datetime, until: datetime) -> list[Sample]:
    """Samples of a span of time, oldest first; lines that cannot be read are passed over."""
    try:
        lines = file(context).read_text().splitlines()
    except OSError:
        return []
    found = [sample for line in lines if (sample := _read(line)) is not None]
    return [sample for sample in found if since <= sample.at < until]


def file(context: Context) -> Path:
    return context.state / "samples" / f"{context.environment.name}.jsonl"


def artifacts(samples: Iterable[Sample]) -> Artifacts:
    """The samples that asked for an artifact, counted."""
    asked = [sample for sample in samples if sample.artifact is not None]
    bad = tuple(Offender(one.execution, one.function, f"{one.case}: {one.detail or one.status}")
                for one in asked if not one.ok or not one.artifact)  # fmt: skip
    delivered = [one for one in asked if one.delivered]
    valid = sum(bool(one.artifact) for one in delivered)
    return Artifacts(len(asked), sum(one.ok for one in asked), len(delivered), valid, bad)


def _write(path: Path, lines: list[str]) -> None:
    new = path.with_suffix(".new")
    new.write_text("".join(f"{line}\n" for line in lines))
    new.replace(path)


def _read(line: str) -> Sample | None:
    try:
        found = json.loads(line)
        return Sample(**{**found, "at": datetime.fromisoformat(found["at"])})
    except (ValueError, TypeError, KeyError):
        return None
