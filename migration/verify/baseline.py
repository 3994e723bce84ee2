"""The baseline: what the code at `app.base` did while it was live, kept in the ledger as numbers.

"Before" always means that code, however many deployments followed it: the version before a hotfix is the new code too.
Logs are kept for days, a migration may take weeks, so the first deployment measures it before anything changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checks.evidence import Artifacts, Missing, Spend, Traffic

if TYPE_CHECKING:
    from migration.ledger.deployments import Deployment, History, Record

RECORD = "baseline"


@dataclass(frozen=True)
class BaseCode:
    """The versions of the code at app.base by slug, and the deployment that replaced them (None: they are live)."""

    versions: Mapping[str, int]
    replaced: Deployment | None


@dataclass(frozen=True)
class BaselineFigures:
    """What was measured of it."""

    traffic: tuple[Traffic, ...]
    spend: Spend | Missing
    artifacts: Artifacts | Missing


def base_code(history: History, base: str, functions: Sequence[str]) -> BaseCode | None:
    """Where the ledger knows it: as a deployment of that revision, else as what the first deployment replaced.

    `functions`: those that the migration carries; a deployment of an untouched one alone does not count.
    """
    carried = set(functions)
    stayed = [one for one in history.deployments if one.stayed and one.kind == "deploy" and carried & set(one.slugs)]
    own = [n for n, one in enumerate(stayed) if same(one.revision, base)]
    if own:
        code, later = stayed[own[-1]], stayed[own[-1] + 1 :]
        versions = {change.slug: change.after["version"] for change in code.functions if change.after}
    elif stayed:
        later = stayed[:1]
        versions = {change.slug: change.before["version"] for change in later[0].functions if change.before}
    else:
        return None
    return BaseCode({slug: int(version) for slug, version in versions.items() if version}, later[0] if later else None)


def known(history: History, base: str) -> BaselineFigures | None:
    """The figures that the ledger holds of this base."""
    for record in reversed(history.records):
        if record.get("record") == RECORD and (same(str(record.get("revision")), base) or not base):
            try:
                return _figures(record)
            except (TypeError, ValueError, KeyError, AttributeError):
                continue
    return None


def _figures(record: Record) -> BaselineFigures:
    traffic = tuple(
        Traffic(
            str(row["function"]),
            {int(status): int(n) for status, n in row["statuses"].items()},
            {float(seconds): int(n) for seconds, n in row["seconds"].items()},
        )
        for row in record["traffic"]
    )
    spend, artifacts = record.get("spend"), record.get("artifacts")
    return BaselineFigures(
        traffic,
        Spend(**_numbers(spend)) if spend else Missing("the usage lines of the code before were not read"),
        Artifacts(**_numbers(artifacts)) if artifacts else Missing("no smoke case was run before"),
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if isinstance(value, int | float)}


def same(one: str, other: str) -> bool:
    """Whether two revisions are the same commit, one of them perhaps abbreviated."""
    return bool(one and other) and (one.startswith(other) or other.startswith(one))


def until(code: BaseCode, default: datetime) -> datetime:
    """When the base's code was replaced."""
    return datetime.fromisoformat(code.replaced.at) if code.replaced else default
