"""What `costs` answers, frozen: the shapes that the console, `--json` and the HTML report show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from migration.costs.projection import Gauge, Projection
from migration.costs.reconcile import Difference


@dataclass(frozen=True)
class Tokens:
    """`input` includes `cached`, `output` includes `reasoning`."""

    input: int
    cached: int
    output: int
    reasoning: int

    @property
    def total(self) -> int:
        return self.input + self.output

    def as_json(self) -> dict[str, int]:
        return {**vars(self), "total": self.total}


@dataclass(frozen=True)
class Line:
    """One day, function or hour; money in USD."""

    key: str
    requests: int
    retries: int
    tokens: Tokens
    cost: float
    logged_cost: float


@dataclass(frozen=True)
class Artifact:
    """USD: `mean` of a successful request, waste included; `median` and `p95` of a usage line (within 0.5 %)."""

    mean: float | None
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Part:
    """Where a stretch of time was answered from: `logs` or `ledger`."""

    source: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class CostReport:
    """Money in USD. `cost` is by tokens at the configured price, `logged_cost` what the lines claim.

    `provider_cost` is for the whole UTC days from `provider_since`, None where the provider does not tell;
    `lines` are usage lines, `retries` repeated attempts and `retry_share` those of each request.
    """

    since: datetime
    until: datetime
    by: str
    requests: int
    succeeded: int
    lines: int
    retries: int
    retry_share: float | None
    tokens: Tokens
    cost: float
    logged_cost: float
    provider_cost: float | None
    provider_since: date
    provider_basis: str
    per_artifact: Artifact
    rows: tuple[Line, ...]
    differences: tuple[Difference, ...]
    projection: Projection
    budget: Gauge
    sources: tuple[Part, ...]
    notes: tuple[str, ...]
