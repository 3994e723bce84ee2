from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.config.settings import Price
from migration.costs.totals import Totals, total

PRICE = Price(input=0.6, cached_input=0.15, output=2.5)
COUNTS = st.integers(0, 10**9)
SIZES = st.dictionaries(st.integers(-2_000, 500), st.integers(1, 1_000), max_size=5)
ANY = st.builds(Totals, COUNTS, COUNTS, COUNTS, COUNTS, input=COUNTS, output=COUNTS, logged=COUNTS, sizes=SIZES)


@given(st.lists(ANY, max_size=4))
def test_sums_do_not_depend_on_the_order(parts: list[Totals]) -> None:
    assert total(parts) == total(parts[::-1])


@given(ANY)
def test_a_record_brings_back_the_same_totals(found: Totals) -> None:
    assert Totals.of(json.loads(json.dumps(found.record()))) == found


def test_counts_that_come_as_strings_are_numbers() -> None:
    assert Totals.of({"requests": "7", "sizes": [["-3", "2"]]}) == Totals(requests=7, sizes={-3: 2})


def test_the_price_is_for_a_million_tokens_and_cached_input_is_part_of_input() -> None:
    found = Totals(input=1_000_000, cached=400_000, output=100_000)
    assert found.cost(PRICE) == pytest.approx(0.6 * 0.6 + 0.4 * 0.15 + 0.1 * 2.5)


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert Totals().quantile(0.5) is None


def test_classes_hold_every_line_once() -> None:
    """At most so many classes of equal ratio, from the cheapest line to the dearest, each next to the last."""
    found = Totals(sizes={-1200: 3, -1100: 5, -1003: 1}).classes(24)
    assert sum(many for _, _, many in found) == 9 and len(found) <= 24
    assert all(high == low for (_, high, _), (low, _, _) in pairwise(found))
    assert len({round(high / low, 9) for low, high, _ in found}) == 1
    assert found[0][2] == 3 and found[-1][2] == 1 and Totals().classes(24) == []
