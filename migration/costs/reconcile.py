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


def differences(asked: Totals, whole: Totals, price: Price, bill: Bill) -> tuple[Difference, ...]:
    """The claimed costs of the asked range, and the bill for its whole UTC days where there is one."""
    found = (claimed(asked, price), billed(whole, price, bill))
    return tuple(each for each in found if each is not None)


def claimed(found: Totals, price: Price) -> Difference:
    """What the log lines claim, against their own tokens at the configured price."""
    cost = found.cost(price)
    rest = found.logged_cost - cost
    causes = []
    if found.unpriced:
        causes.append(Cause(f"{found.unpriced} lines log no cost", -cost * found.unpriced / max(found.lines, 1)))
        rest -= causes[-1].cost or 0.0
    rounding = min(abs(rest), _rounding(found))
    if abs(rest) > TOLERANCE * cost and rounding > TOLERANCE * cost:
        causes.append(Cause(f"logged costs are rounded to {found.decimals} decimals", _signed(rounding, rest)))
        rest -= _signed(rounding, rest)
    if abs(rest) > TOLERANCE * max(cost, 1e-12):
        causes.append(Cause(_price_words(found, price), rest))
        rest = 0.0
    return _difference("logged", cost, found.logged_cost, causes, rest)


def billed(found: Totals, price: Price, bill: Bill) -> Difference | None:
    """The provider's bill, against the tokens of the same UTC days; None when the provider does not report one."""
    if bill.cost is None:
        return None
    cost = found.cost(price)
    gap = bill.cost - cost
    if abs(gap) <= TOLERANCE * max(cost, bill.cost):
        return _difference("provider", cost, bill.cost, [], gap)
    drift = list(_drift(found, bill, cost, gap))
    volume = gap - sum(cause.cost or 0 for cause in drift)
    mean = cost / found.lines if found.lines else 0.0
    causes = [*drift, *_missing(found, mean, volume)]
    rest = gap - sum(cause.cost or 0 for cause in causes)
    if not causes:
        causes = [Cause("another client uses the same key, or lines were lost: see the provider's activity page")]
    return _difference("provider", cost, bill.cost, causes, rest)


def _missing(found: Totals, mean: float, gap: float) -> list[Cause]:
    """Lines that should be there and are not: each at the mean cost of those that are, up to the gap."""
    bare = max(found.succeeded - found.lines - found.unmatched, 0)
    retried = found.retries if found.lines < found.requests + found.retries else 0
    known = [
        (
            found.unmatched,
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


def billed_price(found: Totals, price: Price, bill: Bill) -> float:
    """What the provider charges per token, as a multiple of the configured price; 1.0 where it is not known.

    By the provider's own tokens where it reports them (their mix of input, cached input and output is taken to be that
    of the logs), else by the log lines where they add up to the bill.
    """
    cost, logged, tokens = found.cost(price), found.logged_cost, found.input + found.output
    if not cost or bill.cost is None:
        return 1.0
    if bill.tokens and bill.tokens_cost and tokens:
        factor = (bill.tokens_cost / bill.tokens) / (cost / tokens)
    elif logged and abs(bill.cost - logged) <= TOLERANCE * logged:
        factor = bill.cost / cost
    else:
        return 1.0
    return factor if abs(factor - 1) > TOLERANCE else 1.0


def _drift(found: Totals, bill: Bill, cost: float, gap: float) -> list[Cause]:
    """Another price, with the dollars that it makes: by the provider's own tokens where it reports them."""
    logged, tokens = found.logged_cost, found.input + found.output
    if bill.tokens and bill.tokens_cost and tokens and cost:
        factor = (bill.tokens_cost / bill.tokens) / (cost / tokens)
        if abs(factor - 1) <= TOLERANCE:
            return []
        text = f"a token is billed at {factor:.2f} of the price in config.yaml: see the provider's price list"
        return [Cause(text, (bill.cost or 0.0) * (1 - 1 / factor))]
    if logged and abs((bill.cost or 0.0) - logged) <= TOLERANCE * logged and abs(logged - cost) > TOLERANCE * cost:
        return [Cause("the bill equals what the log lines say: the price in config.yaml is out of date", gap)]
    return [Cause("the provider charged less per token than the price in config.yaml", gap)] if gap < 0 else []


def _price_words(found: Totals, price: Price) -> str:
    """Which mistake the claimed costs look like."""
    as_cached = (found.input * price.cached_input + found.output * price.output) / MILLION
    uncached = (found.input * price.input + found.output * price.output) / MILLION
    for cost, text in ((as_cached, "all input at the price of cached input"), (uncached, "cached input at full price")):
        if cost and abs(found.logged_cost - cost) <= max(TOLERANCE * cost, _rounding(found)):
            return f"the log lines price {text}"
    factor = found.logged_cost / found.cost(price) if found.cost(price) else 0.0
    return f"the log lines use other prices than the price in config.yaml (by a factor of {factor:.2f})"


def _rounding(found: Totals) -> float:
    """The most that rounding each claimed cost can make up."""
    return (found.lines - found.unpriced) * 0.5 * 10.0**-found.decimals if found.decimals else 0.0


def _signed(size: float, like: float) -> float:
    return size if like >= 0 else -size


def _difference(between: str, cost: float, other: float, causes: list[Cause], rest: float) -> Difference:
    share = (other - cost) / cost if cost else 0.0 if other == 0 else 1.0
    return Difference(between, cost, other, share, tuple(causes), rest)
