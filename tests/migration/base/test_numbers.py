"""Numbers as people read them."""

from __future__ import annotations

import pytest

from migration.base.numbers import at_most, dollars


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "$0.00"), (0.004, "$0.01"), (0.07, "$0.07"), (0.071, "$0.08"), (1234.5, "$1,234.50")]
)
def test_the_most_is_rounded_up(amount: float, shown: str) -> None:
    assert at_most(amount) == shown


def test_small_amounts_keep_their_digits() -> None:
    assert (dollars(0.0018), dollars(0.000026), dollars(0)) == ("$0.0018", "$0.000026", "$0.0000")
