"""Why an artifact costs more than it may: which share retries, thinking, long answers, cache misses and prices have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from migration.base.errors import CutoverError, ServiceFailed
from migration.base.finding import Finding, then
from migration.config import logsql, signals
from migration.config.settings import Price
from migration.inspect.look import Look
from migration.providers.openrouter import MILLION, SAMPLE, Tokens
from migration.verify import readings

NAMES = ("input", "cached", "output", "reasoning", "cost")
PRICE = "set provider.price and criteria.cost_per_artifact in config.yaml to what it costs now"
FEW = 3  # artifacts below which a mean says nothing


@dataclass(frozen=True)
class Bill:
    """What the usage lines of a span add up to: tokens, USD by their own word; `good` successful requests."""

    good: int
    lines: int
    input: int
    cached: int
    output: int
    reasoning: int | None
    cost: float

    @property
    def mean(self) -> float:
        """USD for one success, waste included."""
        return self.cost / self.good if self.good else 0.0

    @property
    def tokens(self) -> Tokens:
        """Of one success."""
        return (
            Tokens(self.input // self.good, self.cached // self.good, self.output // self.good) if self.good else SAMPLE
        )


@dataclass(frozen=True)
class Cause:
    """One reason: USD in the span, what it is, what the runbook says to do about it."""

    usd: float
    what: str
    fix: str


def find(look: Look) -> Iterator[Finding]:
    """Only where a mean is asked for, and only when it is exceeded by enough artifacts to say so."""
    criterion = look.context.config.criteria.named.get("cost_per_artifact")
    settings = look.context.config.provider
    if criterion is None or criterion.mean is None or settings is None or not look.migrated:
        return
    found = bill(look)
    if found is None or found.good < FEW or found.mean <= criterion.mean:
        return
    reasons = sorted(causes(found, settings.price), key=lambda each: -each.usd)
    shares = [
        f"{each.usd / found.cost:.0%} {each.what} (${each.usd:.4f})"
        for each in reasons
        if each.usd > 0.005 * found.cost
    ]
    counted = f"${found.mean:.4f} on average of {found.good} artifacts, at most ${criterion.mean:.4f} wanted"
    evidence = f"{counted}; of ${found.cost:.4f}: {', '.join(shares) or 'nothing stands out'}"
    worth = [each.fix for each in reasons[:2] if each.usd > 0.05 * found.cost]
    again = "inv costs" if worth == [PRICE] else "inv deploy"
    fix = then("; ".join(worth) + ("" if again == "inv costs" else ", git push"), again) if worth else "inv costs"
    yield Finding("costs", "artifacts cost more than expected", evidence, fix, "warning")


def measured(look: Look) -> Tokens:
    """Tokens of one artifact as they were of late; the runbook's sample where nothing was measured."""
    try:
        found = bill(look) if look.migrated else None
    except CutoverError:
        return SAMPLE
    return found.tokens if found is not None and found.good >= FEW else SAMPLE


def bill(look: Look) -> Bill | None:
    """The sums over the live versions; None without a usable signal `usage`. Raises what the log endpoint does."""
    if "usage" not in look.context.config.signals:
        return None
    usage = signals.usage(look.context.config)
    scope = look.scope()
    line = logsql.both(logsql.source(logsql.FUNCTION), scope.where, usage.sql)
    sums = ", ".join(f"sum({signals.number(usage, name)}) as {name}" for name in NAMES)
    total: dict[str, float] = dict.fromkeys(("lines", *NAMES), 0.0)
    until = look.now + timedelta(minutes=1)
    for row in look.reader.aggregate(f"count() as lines, {sums}", line, look.since, until):
        total = {name: total[name] + float(row[name] or 0) for name in total}
    good = sum(_served(each.statuses) for each in readings.traffic(look.reader, scope))
    reasoning = total["reasoning"] if "reasoning" in usage.regex.groupindex else _thought(look, total["output"])
    return Bill(
        good, int(total["lines"]), int(total["input"]), int(total["cached"]), int(total["output"]),
        None if reasoning is None else int(reasoning), total["cost"],
    )  # fmt: skip


def causes(found: Bill, price: Price) -> Iterator[Cause]:
    """The parts of a bill that a healthy artifact would not have; they need not add up to all of it."""
    each = found.cost / found.lines if found.lines else 0.0
    wasted = max(found.lines - found.good, 0)
    what = f"retries ({wasted} of {found.lines} answers gave no artifact)"
    yield Cause(
        wasted * each, what, "mend what makes the functions retry (inv logs --signal retry --since 1h shows it)"
    )
    thought = found.reasoning or 0
    if found.reasoning is not None:
        dollars = thought * price.output / MILLION
        yield Cause(
            dollars, f"thinking ({thought} of {found.output} output tokens)", "lower max_tokens in the functions"
        )
    spoken = found.output - thought
    usual = found.lines * SAMPLE.output
    what = f"long answers ({spoken // max(found.lines, 1)} tokens each, {SAMPLE.output} expected)"
    fix = "lower max_tokens if artifacts are too long, raise temperature slightly against verbosity"
    yield Cause(max(spoken - usual, 0) * price.output / MILLION, what, fix)
    missed = (found.input - found.cached) * (price.input - price.cached_input) / MILLION
    yield Cause(
        missed, f"cache misses ({found.cached} of {found.input} input tokens were cached)", "cache common prompts"
    )
    expected = Tokens(found.input, found.cached, found.output).cost(price)
    drift = found.cost - expected
    what = f"a higher price than configured (${expected:.4f} by provider.price)"
    yield Cause(max(drift, 0.0), what, PRICE)


def _thought(look: Look, output: float) -> float | None:
    """Where the lines do not say it: the share of thinking that the provider counted on the last completed days."""
    client = look.context.provider
    if not client.manages:
        return None
    try:
        rows = client.activity()
    except ServiceFailed:
        return None
    spoken = sum(row.completion_tokens for row in rows)
    return output * sum(row.reasoning_tokens for row in rows) / spoken if spoken else None


def _served(statuses: Mapping[int, int]) -> int:
    return sum(count for status, count in statuses.items() if 200 <= status < 400)
