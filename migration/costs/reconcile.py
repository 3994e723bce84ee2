"""Why the tokens, the log lines and the provider's bill differ: every difference over one percent, with its causes."""

from __future__ import annotations

from dataclasses import dataclass

from migration.base.command import inv
from migration.config.settings import Price
from migration.costs.bill import Bill
from migration.costs.totals import MILLION, Totals

TOLERANCE = 0.01


@dataclass(frozen=True)
class Cause:
    """One reason; `cost` in USD of the difference where it is known, always with the difference's sign."""

    text: str
    cost: float | None = None


@dataclass(frozen=True)
class Difference:
    """`other` minus `cost` in USD, and as a share of `cost`; `unexplained` is what the causes leave."""

    between: str
    cost: float
    other: float
    share: float
    causes: tuple[Cause, ...]
    unexplained: float

    @property
    def within(self) -> bool:
        return abs(self.share) <= TOLERANCE


def differences(window: Totals, whole: Totals, price: Price, bill: Bill) -> tuple[Difference, ...]:
    """The claimed costs of the asked range, and the bill for its whole UTC days where there is one."""
    pairs = (claimed(window, price), billed(whole, price, bill))
    return tuple(each for each in pairs if each is not None)


def claimed(totals: Totals, price: Price) -> Difference:
    """What the log lines claim, against their own tokens at the configured price."""
    cost = totals.cost(price)
    rest = totals.logged_cost - cost
    causes = []
    if totals.unpriced:
        causes.append(Cause(f"{totals.unpriced} lines log no cost", -cost * totals.unpriced / max(totals.lines, 1)))
        rest -= causes[-1].cost or 0.0
    rounding = min(abs(rest), _rounding(totals))
    if abs(rest) > TOLERANCE * cost and rounding > TOLERANCE * cost:
        causes.append(Cause(f"logged costs are rounded to {totals.decimals} decimals", _signed(rounding, rest)))
        rest -= _signed(rounding, rest)
    if abs(rest) > TOLERANCE * max(cost, 1e-12):
        causes.append(Cause(_price_words(totals, price), rest))
        rest = 0.0
    return _difference("logged", cost, totals.logged_cost, causes, rest)


def billed(totals: Totals, price: Price, bill: Bill) -> Difference | None:
    """The provider's bill, against the tokens of the same UTC days; None when the provider does not report one."""
    if bill.cost is None:
        return None
    cost = totals.cost(price)
    gap = bill.cost - cost
    if abs(gap) <= TOLERANCE * max(cost, bill.cost):
        return _difference("provider", cost, bill.cost, [], gap)
    drift = list(_drift(totals, bill, cost, gap))
    volume = gap - sum(cause.cost or 0 for cause in drift)
    mean = cost / totals.lines if totals.lines else 0.0
    causes = [*drift, *_missing(totals, mean, volume)]
    rest = gap - sum(cause.cost or 0 for cause in causes)
    if not causes:
        causes = [Cause("another client uses the same key, or lines were lost: see the provider's activity page")]
    return _difference("provider", cost, bill.cost, causes, rest)


def _missing(totals: Totals, mean: float, gap: float) -> list[Cause]:
    """Lines that should be there and are not: each at the mean cost of those that are, up to the gap."""
    bare = max(totals.succeeded - totals.lines - totals.unmatched, 0)
    retried = totals.retries if totals.lines < totals.requests + totals.retries else 0
    known = [
        (
            totals.unmatched,
            f"lines look like usage, but signals.usage does not match them: {inv('logs', explain=True)} shows them",
        ),
        (bare, "successful requests have no usage line (late, or dropped at the platform's log limits)"),
        (max(retried - bare, 0), "retries may have been billed without a usage line"),
    ]
    left = max(gap, 0.0)
    causes = []
    for count, text in known:
        if count and left > 0:
            cost = min(left, count * mean)
            left -= cost
            causes.append(Cause(f"{count} {text}", cost))
    return causes


def billed_price(totals: Totals, price: Price, bill: Bill) -> float:
    """What the provider charges per token, as a multiple of the configured price; 1.0 where it is not known.

    By the provider's own tokens where it reports them (their mix of input, cached input and output is taken to be that
    of the logs), else by the log lines where they add up to the bill.
    """
    cost, logged, tokens = totals.cost(price), totals.logged_cost, totals.input + totals.output
    if not cost or bill.cost is None:
        return 1.0
    if bill.tokens and bill.tokens_cost and tokens:
        factor = (bill.tokens_cost / bill.tokens) / (cost / tokens)
    elif _other_prices(totals, cost) and abs(bill.cost - logged) <= TOLERANCE * logged:
        factor = bill.cost / cost
    else:
        return 1.0
    return factor if abs(factor - 1) > TOLERANCE else 1.0


def _drift(totals: Totals, bill: Bill, cost: float, gap: float) -> list[Cause]:
    """Another price, with the dollars that it makes: by the provider's own tokens where it reports them."""
    logged, tokens = totals.logged_cost, totals.input + totals.output
    if bill.tokens and bill.tokens_cost and tokens and cost:
        factor = (bill.tokens_cost / bill.tokens) / (cost / tokens)
        if abs(factor - 1) <= TOLERANCE:
            return []
        text = f"a token is billed at {factor:.2f} of the price in config.yaml: see the provider's price list"
        return [Cause(text, (bill.cost or 0.0) * (1 - 1 / factor))]
    if _other_prices(totals, cost) and abs((bill.cost or 0.0) - logged) <= TOLERANCE * logged:
        return [Cause("the bill equals what the log lines say: the price in config.yaml is out of date", gap)]
    return [Cause("the provider charged less per token than the price in config.yaml", gap)] if gap < 0 else []


def _other_prices(totals: Totals, cost: float) -> bool:
    """Whether the claimed costs differ from those by tokens by more than their rounding can."""
    return totals.logged_cost > 0 and abs(totals.logged_cost - cost) > max(TOLERANCE * cost, _rounding(totals))


def _price_words(totals: Totals, price: Price) -> str:
    """Which mistake the claimed costs look like."""
    as_cached = (totals.input * price.cached_input + totals.output * price.output) / MILLION
    uncached = (totals.input * price.input + totals.output * price.output) / MILLION
    for cost, text in ((as_cached, "all input at the price of cached input"), (uncached, "cached input at full price")):
        if cost and abs(totals.logged_cost - cost) <= max(TOLERANCE * cost, _rounding(totals)):
            return f"the log lines price {text}"
    factor = totals.logged_cost / totals.cost(price) if totals.cost(price) else 0.0
    return f"the log lines use other prices than the price in config.yaml (by a factor of {factor:.2f})"


def _rounding(totals: Totals) -> float:
    """The most that rounding each claimed cost can make up."""
    return (totals.lines - totals.unpriced) * 0.5 * 10.0**-totals.decimals if totals.decimals else 0.0


def _signed(size: float, like: float) -> float:
    return size if like >= 0 else -size


def _difference(between: str, cost: float, other: float, causes: list[Cause], rest: float) -> Difference:
    share = (other - cost) / cost if cost else 0.0 if other == 0 else 1.0
    return Difference(between, cost, other, share, tuple(causes), rest)
