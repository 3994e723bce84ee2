"""Sums of requests, tokens and dollars that can be added up: over windows, hours, functions and days."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from migration.config.settings import Price
from migration.costs.usage_query import NANO, STEPS, SUMS

MILLION = 1_000_000


@dataclass(frozen=True)
class Totals:
    """What one query adds up. Money as billionths of a dollar; `sizes` counts costs by steps of half a percent.

    `lines` are usage lines (several a request when attempts were repeated), `unmatched` lines that look like one,
    `implausible` those with numbers that no request has, which count nowhere else,
    `tokenless` those without token counts, whose claimed cost (`assumed`) stands in; `decimals` of the claimed cost.
    """

    requests: int = 0
    succeeded: int = 0
    retries: int = 0
    lines: int = 0
    unmatched: int = 0
    tokenless: int = 0
    unpriced: int = 0
    implausible: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    logged: int = 0
    assumed: int = 0
    decimals: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Totals:
        """Of a query's row or a ledger record: counts may be strings, sizes pairs or a mapping."""
        sizes = row.get("sizes") or {}
        pairs = sizes.items() if isinstance(sizes, Mapping) else sizes
        return cls(
            **{name: int(row.get(name) or 0) for name in (*SUMS, "decimals")},
            sizes={int(size): int(count) for size, count in pairs},
        )

    def __add__(self, other: Totals) -> Totals:
        sums = {name: getattr(self, name) + getattr(other, name) for name in SUMS}
        sizes = dict(Counter(self.sizes) + Counter(other.sizes))
        return Totals(**sums, decimals=max(self.decimals, other.decimals), sizes=sizes)

    @property
    def logged_cost(self) -> float:
        """USD, as the log lines claim."""
        return self.logged / NANO

    @property
    def claimed(self) -> float | None:
        """USD as the log lines claim; None where no line names a cost."""
        return self.logged_cost if self.lines > self.unpriced else None

    @property
    def measured(self) -> bool:
        """Whether anything says what the requests cost; what was not asked for cost nothing."""
        return bool(self.lines) or not self.requests

    def cost(self, price: Price) -> float:
        """USD by tokens; a line without tokens counts as what it claims."""
        fresh = self.input - self.cached
        by_tokens = fresh * price.input + self.cached * price.cached_input + self.output * price.output
        return by_tokens / MILLION + self.assumed / NANO

    def quantile(self, share: float) -> float | None:
        """USD of one usage line, within half a percent; None without lines."""
        wanted = math.ceil(share * sum(self.sizes.values()))
        seen = 0
        for size in sorted(self.sizes):
            seen += self.sizes[size]
            if seen >= wanted:
                return math.exp((size + 0.5) / STEPS)
        return None

    def classes(self, most: int) -> list[tuple[float, float, int]]:
        """(from, to, lines) in USD: `most` classes of equal ratio or fewer, from the cheapest line to the dearest."""
        if not self.sizes:
            return []
        first, last = min(self.sizes), max(self.sizes)
        width = math.ceil((last - first + 1) / most)
        counts: Counter[int] = Counter()
        for size, count in self.sizes.items():
            counts[(size - first) // width] += count
        edges = [math.exp((first + n * width) / STEPS) for n in range((last - first) // width + 2)]
        return [(low, high, counts[n]) for n, (low, high) in enumerate(pairwise(edges))]

    def record(self) -> dict[str, Any]:
        """For the ledger: what `of` reads again, without zeros."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "sizes"}
        kept = {name: value for name, value in plain.items() if value}
        return kept | ({"sizes": [[size, count] for size, count in sorted(self.sizes.items())]} if self.sizes else {})


def total(parts: Iterable[Totals]) -> Totals:
    whole = Totals()
    for part in parts:
        whole += part
    return whole
