"""The result of `inv costs`: what the terminal, `--json` and the HTML report show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from migration.costs.prices import Unsourced
from migration.costs.projection import Gauge, Projection
from migration.costs.reconcile import Difference


@dataclass(frozen=True)
class TokenCounts:
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
class CostLine:
    """One day, function, hour or model (its `requests` are its usage lines); money in USD, None where requests were
    answered and no usage line says what they cost."""

    key: str
    requests: int
    retries: int
    tokens: TokenCounts
    cost: float | None
    logged_cost: float | None


@dataclass(frozen=True)
class RequestCost:
    """USD as billed: `mean` of a request that logged usage, retries included; `median` and `p95` of a usage line.

    The quantiles are exact within 0.5%.
    """

    mean: float | None
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class SizeClass:
    """Usage lines that cost from `least` up to `most`, in USD as billed."""

    least: float
    most: float
    lines: int


@dataclass(frozen=True)
class SourceSpan:
    """A span of time and the source of its figures: `logs` or `ledger`."""

    source: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class CostReport:
    """Money in USD. `cost` is computed from tokens at the configured price, None where no request has a usage line;
    `logged_cost` is the sum in the log lines, None where no line has a cost.

    `provider_cost` covers the whole UTC days from `provider_since`, None where the provider does not report it;
    `distribution`: usage lines by what they cost, at most 24 classes of equal ratio.
    `unsourced`: figures that nothing reports, and why.
    `lines` are usage lines, `retries` repeated attempts and `retry_share` repeated attempts per request.
    """

    since: datetime
    until: datetime
    by: str
    requests: int
    succeeded: int
    lines: int
    retries: int
    retry_share: float | None
    tokens: TokenCounts
    cost: float | None
    logged_cost: float | None
    provider_cost: float | None
    provider_since: date
    provider_basis: str
    per_request: RequestCost
    rows: tuple[CostLine, ...]
    differences: tuple[Difference, ...]
    projection: Projection
    budget: Gauge
    sources: tuple[SourceSpan, ...]
    notes: tuple[str, ...]
    distribution: tuple[SizeClass, ...] = ()
    unsourced: tuple[Unsourced, ...] = ()
