from __future__ import annotations

from datetime import date

import pytest

from migration.config.settings import Price
from migration.costs import reconcile
from migration.costs.bill import Bill
from migration.costs.totals import Totals

PRICE = Price(input=0.6, cached_input=0.15, output=2.5)
DAY = date(2026, 11, 22)


def totals(lines: int = 100, claim: float | None = None, decimals: int = 6, **more: int) -> Totals:
    """So many requests of 1,000 tokens in and 1,000 out: $0.0031 each."""
    found = Totals(requests=lines, succeeded=lines, lines=lines, input=1_000 * lines, output=1_000 * lines)
    claimed = 0.0031 * lines if claim is None else claim
    values = {**vars(found), "logged": round(claimed * 1e9), "decimals": decimals} | more
    return Totals(**values)


def bill(cost: float | None, tokens: int | None = None) -> Bill:
    return Bill(DAY, DAY, cost, tokens=tokens, tokens_cost=cost or 0.0)


def words(found: reconcile.Difference | None) -> str:
    assert found is not None
    return "; ".join(cause.text for cause in found.causes)


def test_what_agrees_within_a_percent_needs_no_words() -> None:
    [claimed, billed] = reconcile.differences(totals(), totals(), PRICE, bill(0.312))
    assert claimed.within and not claimed.causes
    assert billed.within and not billed.causes and billed.share == pytest.approx(0.002 / 0.31)


def test_a_provider_that_does_not_tell_is_not_compared() -> None:
    assert len(reconcile.differences(totals(), totals(), PRICE, bill(None))) == 1


def test_rounding_of_claimed_costs_is_named() -> None:
    found = reconcile.claimed(totals(claim=0.30, decimals=3), PRICE)
    assert "rounded to 3 decimals" in words(found)
    assert found.unexplained == pytest.approx(0) and not found.within


def test_a_bill_within_the_rounding_says_nothing_of_the_price() -> None:
    """Requests without a usage line are in the bill too: that it meets rounded log lines by chance proves no price."""
    rounded, paid = totals(claim=0.314, decimals=4), bill(0.3145)
    (claimed, billed) = reconcile.differences(rounded, rounded, PRICE, paid)
    assert "rounded to 4 decimals" in words(claimed) and "out of date" not in words(billed)
    assert reconcile.billed_price(rounded, PRICE, paid) == 1.0


def test_the_runbooks_mistake_is_recognized() -> None:
    """It prices all input at $0.15, the price of cached input."""
    wrong = (100_000 * 0.15 + 100_000 * 2.5) / 1e6
    assert "all input at the price of cached input" in words(reconcile.claimed(totals(claim=wrong), PRICE))


def test_cached_input_at_full_price_is_recognized() -> None:
    full = (100_000 * 0.6 + 100_000 * 2.5) / 1e6
    assert "cached input at full price" in words(reconcile.claimed(totals(claim=full, cached=90_000), PRICE))


def test_other_prices_are_given_as_a_factor() -> None:
    assert "by a factor of 2.00" in words(reconcile.claimed(totals(claim=0.62), PRICE))


def test_lines_that_name_no_cost_are_counted() -> None:
    found = reconcile.claimed(totals(claim=0.155, unpriced=50), PRICE)
    assert words(found) == "50 lines log no cost" and found.unexplained == pytest.approx(0)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"unmatched": 20}, "20 lines look like usage, but signals.usage does not match them"),
        ({"requests": 120, "succeeded": 120}, "20 successful requests have no usage line"),
        ({"retries": 20}, "20 retries may have been billed without a usage line"),
    ],
)
def test_what_is_missing_explains_a_higher_bill(more: dict[str, int], text: str) -> None:
    found = reconcile.billed(totals(**more), PRICE, bill(0.31 * 1.2))
    assert text in words(found) and found is not None
    assert found.unexplained == pytest.approx(0, abs=1e-9)


def test_another_price_is_told_from_missing_lines_by_the_tokens() -> None:
    found = reconcile.billed(totals(), PRICE, bill(0.62, tokens=200_000))
    assert found is not None and "a token is billed at 2.00 of the price" in words(found)
    assert [cause.cost for cause in found.causes] == [pytest.approx(0.31)] and found.unexplained == pytest.approx(0)


def test_price_missing_lines_and_the_rest_have_a_share_each() -> None:
    """100 lines of $0.0031; the provider saw 130 requests' tokens at twice the price, 20 requests lack their line."""
    found = reconcile.billed(totals(requests=120, succeeded=120), PRICE, bill(0.31 * 1.3 * 2, tokens=260_000))
    assert found is not None
    price, missing = found.causes
    assert price.cost == pytest.approx(0.31 * 1.3) and "2.00" in price.text
    assert missing.cost == pytest.approx(20 * 0.0031) and missing.text.startswith("20 successful")
    assert found.unexplained == pytest.approx(10 * 0.0031)


def test_a_bill_that_agrees_with_the_log_lines_blames_the_configured_price() -> None:
    found = reconcile.billed(totals(claim=0.62), PRICE, bill(0.62))
    assert "the price in config.yaml is out of date" in words(found)


def test_a_bill_below_the_tokens_is_a_lower_price() -> None:
    assert "charged less per token" in words(reconcile.billed(totals(), PRICE, bill(0.2)))


def test_what_nothing_explains_is_left_as_unexplained() -> None:
    found = reconcile.billed(totals(), PRICE, bill(0.62))
    assert found is not None and found.unexplained == pytest.approx(0.31)
    assert "another client uses the same key" in words(found)


def test_a_bill_without_any_line_is_a_whole_difference() -> None:
    found = reconcile.billed(Totals(), PRICE, bill(0.5))
    assert found is not None and found.share == 1.0
