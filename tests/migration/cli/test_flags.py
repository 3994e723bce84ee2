from __future__ import annotations

import pytest

from migration.base.errors import Refused
from migration.cli import flags


def test_a_flag_takes_numbers_from_zero_and_nothing_is_none() -> None:
    assert flags.whole("limit", "7") == 7 and flags.whole("limit", "") is None
    assert flags.number("max-cost", "0.25") == 0.25


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1.5"])
def test_anything_else_is_refused_with_the_flag_and_an_example(text: str) -> None:
    with pytest.raises(Refused, match=f"--limit {text}") as refused:
        flags.whole("limit", text)
    assert "--limit 20" in refused.value.hint


def test_names_stand_between_commas_and_commas_alone_name_nothing() -> None:
    assert flags.names("only", " a, b,") == ["a", "b"] and flags.names("only", "") == []
    with pytest.raises(Refused, match="--only , names nothing"):
        flags.names("only", ",")
