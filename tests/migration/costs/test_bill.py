from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base.errors import ConfigError
from migration.clients.openrouter import Activity, KeyInfo
from migration.costs import bill

SUNDAY = date(2026, 11, 22)
DAY = timedelta(days=1)


def context(activity: list[Activity] | None = None) -> Any:
    """A provider whose key spent $1 today, $2 this week and $3 this month."""
    key = KeyInfo(label="k", usage=100.0, usage_daily=1.0, usage_weekly=2.0, usage_monthly=3.0)
    provider = SimpleNamespace(key=lambda: key, manages=activity is not None, activity=lambda: activity)
    return SimpleNamespace(provider=provider)


def of(day: date, usage: float, model: str = "kimi") -> Activity:
    return Activity(day, model, "p", usage, 2, 10, 5, 0)


@pytest.mark.parametrize(
    ("since", "cost"),
    [(SUNDAY, 1.0), (SUNDAY - 6 * DAY, 2.0), (SUNDAY.replace(day=1), 3.0), (SUNDAY - 2 * DAY, None)],
)
def test_a_key_alone_tells_of_today_this_week_and_this_month(since: date, cost: float | None) -> None:
    found = bill.read(context(), "kimi", since, SUNDAY)
    assert (found.cost, found.month) == (cost, 3.0)
    assert bool(found.notes) == (cost is None)


def test_activity_fills_in_the_completed_days_for_the_model_under_any_dated_name() -> None:
    rows = [of(SUNDAY - DAY, 5.0, "kimi-20251106"), of(SUNDAY - DAY, 7.0, "other"), of(SUNDAY - 9 * DAY, 9.0)]
    found = bill.read(context(rows), "kimi", SUNDAY - 2 * DAY, SUNDAY)
    assert (found.cost, found.others, found.requests, found.tokens) == (6.0, 7.0, 2, 15)


def test_activity_of_today_is_not_counted_twice() -> None:
    assert bill.read(context([of(SUNDAY, 5.0)]), "kimi", SUNDAY - DAY, SUNDAY).cost == 1.0


def test_beyond_thirty_days_the_bill_is_unknown_and_says_so() -> None:
    found = bill.read(context([]), "kimi", SUNDAY - 40 * DAY, SUNDAY)
    assert found.cost is None and "last 30 days" in found.notes[0]


def test_a_missing_key_is_a_note() -> None:
    class Keyless:
        @property
        def provider(self) -> Any:
            raise ConfigError("OPENROUTER_K2T_KEY is not set")

    found = bill.read(Keyless(), "kimi", SUNDAY, SUNDAY)  # type: ignore[arg-type]
    assert found.cost is None and "OPENROUTER_K2T_KEY" in found.notes[0]
