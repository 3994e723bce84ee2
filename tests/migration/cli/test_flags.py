"""The values of flags, hostile ones among them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.base import durations
from migration.base.errors import Refused
from migration.cli import flags
from migration.cli.flags import MOST


def test_a_flag_takes_numbers_from_zero_and_nothing_is_none() -> None:
    assert flags.whole("limit", "7") == 7 and flags.whole("limit", "") is None
    assert flags.number("max-cost", "0.25") == 0.25


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1.5"])
def test_anything_else_is_refused_with_the_flag_and_an_example(text: str) -> None:
    with pytest.raises(Refused, match=f"--limit {text}") as refused:
        flags.whole("limit", text)
    assert "--limit 20" in refused.value.hint


def test_port_beyond_the_last_is_refused() -> None:
    with pytest.raises(Refused, match="--port 65536 is not a number from 0 to 65,535") as refused:
        flags.whole("port", "65536", "54999", most=65_535)
    assert "--port 54999" in refused.value.hint


def test_names_stand_between_commas_and_commas_alone_name_nothing() -> None:
    assert flags.names("only", " a, b,") == ["a", "b"] and flags.names("only", "") == []
    with pytest.raises(Refused, match="--only , names nothing"):
        flags.names("only", ",")


HOSTILE = st.one_of(
    st.text(max_size=60), st.floats().map(str), st.integers().map(str), st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.from_regex(r"\A\d{1,30}(\.\d{1,30})?(ms|[dhms])\Z"),
    st.sampled_from(["1e308", "-0", "nan", "inf", "9999-12-31", "9999-12-31T23:59:59-23:59", ",,"]),
    st.sampled_from(["0001-01-01T00:00+14:00", "3660d", "\ud800", "\x00"]),
)  # fmt: skip
NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)


@given(HOSTILE)
def test_hostile_values_are_refused_or_used(text: str) -> None:
    """Whatever a flag holds, it is a value within bounds or a refusal in one sentence; never an exception of ours."""
    survives(text)


def survives(text: str) -> None:
    calls = (lambda: flags.whole("limit", text), lambda: flags.number("max-cost", text),
             lambda: flags.names("only", text),
             lambda: durations.parse(text), lambda: durations.moment(text, NOW))  # fmt: skip
    for call in calls:
        with contextlib.suppress(Refused):
            value = call()
            if isinstance(value, datetime):
                assert 1970 < value.year < 2028 and value.tzinfo is UTC
            elif isinstance(value, int | float):
                assert 0 <= value <= MOST
