from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migration.base.durations import moment, parse, show
from migration.base.errors import Refused


@pytest.mark.parametrize(
    "text,seconds", [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("500ms", 0.5), (20, 20)]
)
def test_durations_are_read_as_people_write_them(text: str | int, seconds: float) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["24:00", "-5m", "junk", "", "5 minutes", "1h-30m", "h", "1h 30m", True]
    + [pytest.param(part * 10_000, id=f"ten thousand {part}") for part in ("1", "1s", "1.")],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="is not a duration") as refused:
        parse(text)
    assert len(refused.value.message) < 110


@pytest.mark.parametrize(
    "value", [-1, -0.5, float("inf"), float("nan"), pytest.param(10**400, id="huge"), "999999999d", "3661d"]
)
def test_what_no_clock_can_wait_for_is_refused(value: str | float) -> None:
    with pytest.raises(Refused, match="not a duration between 0s and ten years"):
        parse(value)


@pytest.mark.parametrize(
    "seconds,text",
    [
        (0.42, "0.4s"),
        (0, "0s"),
        (5, "5s"),
        (9.96, "10s"),
        (59.7, "1m"),
        (200, "3m20s"),
        (300, "5m"),
        (3605, "1h"),
        (7500, "2h05m"),
        (86400, "24h"),
        (90000, "25h"),
        (172800, "2d"),
        (273600, "3d4h"),
    ],
)
def test_they_are_shown_short(seconds: float, text: str) -> None:
    assert show(seconds) == text


def test_a_moment_is_a_duration_back_or_a_time() -> None:
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert moment("2h", now) == datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    assert moment("2026-11-20", now) == datetime(2026, 11, 20, tzinfo=UTC)
    assert moment("2026-11-20T10:00+02:00", now) == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    for text in ("yesterday", "99999999d", "1" * 100_000, "0001-01-01T00:00:00+14:00"):
        with pytest.raises(Refused):
            moment(text, now)


@pytest.mark.parametrize("text", ["2038-01-20", "1969-12-31", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_too_far_away_is_called_a_time(text: str) -> None:
    """`2038-01-20` was "neither a duration nor a time"."""
    with pytest.raises(Refused, match="is not between 1971 and a year from now"):
        moment(text, datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
