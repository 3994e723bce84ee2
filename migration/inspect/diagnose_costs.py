"""Why requests cost more than they may: the share of retries, thinking, long answers, cache misses and prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from migration.base.command import Do, inv, steps
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding
from migration.clients.openrouter import MILLION
from migration.config import logsql, signals
from migration.config.settings import Price
from migration.inspect.examination import Examination
from migration.providers.openrouter import SAMPLE, Tokens
from migration.verify import readings

NAMES = ("input", "cached", "output", "reasoning", "cost")
PRICE = "set the provider's price and criteria.cost_per_request in config.yaml to what it costs now"
FEW = 3  # successes; a mean of fewer says nothing


@dataclass(frozen=True)
class UsageSums:
    """Sums of the usage lines of a span: tokens, and USD as logged; `good` counts successful requests."""

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
class CostCause:
    """One reason: USD in the span, what it is, and what to do about it."""

    usd: float
    what: str
    fix: str


def find(exam: Examination) -> Iterator[Finding]:
    """Only where a mean is configured, and only when enough requests exceed it."""
    criterion = exam.context.config.criteria.named.get("cost_per_request")
    settings = exam.context.config.target
    if criterion is None or criterion.mean is None or settings is None or settings.price is None or not exam.migrated:
        return
    total = sums(exam)
    if total is None or total.good < FEW or total.mean <= criterion.mean:
        return
    reasons = sorted(causes(total, settings.price), key=lambda each: -each.usd)
    shares = [
        f"{each.usd / total.cost:.0%} {each.what} (${each.usd:.4f})"
        for each in reasons
        if each.usd > 0.005 * total.cost
    ]
    mean = f"${total.mean:.4f} mean of {total.good} requests, at most ${criterion.mean:.4f} expected"
    evidence = f"{mean}; of ${total.cost:.4f}: {', '.join(shares) or 'nothing stands out'}"
    worth = [each.fix for each in reasons[:2] if each.usd > 0.05 * total.cost]
    in_code = [Do("commit and push"), inv("deploy")] if set(worth) - {PRICE} else [inv("costs")]
    fix = steps(*map(Do, worth), *in_code)
    yield Finding("costs", "requests cost more than expected", evidence, fix, "warning")


def sums(exam: Examination) -> UsageSums | None:
    """The sums over the live versions; None without a usable signal `usage`. Raises what the log endpoint does."""
    if "usage" not in exam.context.config.signals:
        return None
    usage = signals.usage(exam.context.config)
    scope = exam.scope()
    line = logsql.both(logsql.source(logsql.FUNCTION), scope.where, usage.sql)
    columns = ", ".join(f"sum({signals.number(usage, name)}) as {name}" for name in NAMES)
    total: dict[str, float] = dict.fromkeys(("lines", *NAMES), 0.0)
    until = exam.now + timedelta(minutes=1)
    for row in exam.logs.aggregate(f"count() as lines, {columns}", line, exam.since, until):
        total = {name: total[name] + float(row[name] or 0) for name in total}
    good = sum(_served(each.statuses) for each in readings.traffic(exam.logs, scope))
    reasoning = total["reasoning"] if "reasoning" in usage.regex.groupindex else _thought(exam, total["output"])
    return UsageSums(
        good, int(total["lines"]), int(total["input"]), int(total["cached"]), int(total["output"]),
        None if reasoning is None else int(reasoning), total["cost"],
    )  # fmt: skip


def causes(total: UsageSums, price: Price) -> Iterator[CostCause]:
    """The parts of a bill that a healthy request would not have; they need not add up to all of it."""
    each = total.cost / total.lines if total.lines else 0.0
    wasted = max(total.lines - total.good, 0)
    what = f"retries ({wasted} of {total.lines} answers led to no success)"
    shown = inv("logs", signal="retry", since="1h")
    yield CostCause(wasted * each, what, f"fix what makes the functions retry ({shown})")
    thought = total.reasoning or 0
    if total.reasoning is not None:
        dollars = thought * price.output / MILLION
        yield CostCause(
            dollars, f"thinking ({thought} of {total.output} output tokens)", "lower max_tokens in the functions"
        )
    spoken = total.output - thought
    usual = total.lines * SAMPLE.output
    what = f"long answers ({spoken // max(total.lines, 1)} tokens each, {SAMPLE.output} expected)"
    fix = "lower max_tokens if answers are too long, raise temperature slightly against verbosity"
    yield CostCause(max(spoken - usual, 0) * price.output / MILLION, what, fix)
    missed = (total.input - total.cached) * (price.input - price.cached_input) / MILLION
    yield CostCause(
        missed, f"cache misses ({total.cached} of {total.input} input tokens were cached)", "cache common prompts"
    )
    expected = Tokens(total.input, total.cached, total.output).cost(price)
    drift = total.cost - expected
    what = f"a higher price than configured (${expected:.4f} by the configured price)"
    yield CostCause(max(drift, 0.0), what, PRICE)


def _thought(exam: Examination, output: float) -> float | None:
    """Where the lines do not log it: the share of thinking that the provider counted on the last completed days."""
    if not exam.context.reports_usage:
        return None
    client = exam.context.provider
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
