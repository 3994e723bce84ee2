"""What the provider booked since a moment, from readings that earlier runs left behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from migration.clients.openrouter import KeyInfo
from migration.config.environment import Environment
from migration.config.settings import Config
from migration.context import Context
from migration.verify import measure
from tests.support.built import built
from tests.support.clock import VirtualClock


@dataclass
class Key:
    """A key whose counters a test sets."""

    usage: float = 5.0
    daily: float | None = 0.5
    weekly: float | None = 2.0
    label: str = "sk-or-v1-abc...123"

    def key(self) -> KeyInfo:
        raw = {
            "label": self.label,
            "usage": self.usage,
            "usage_daily": self.daily,
            "usage_weekly": self.weekly,
            "usage_monthly": 4.0,
        }
        return KeyInfo(**raw)  # type: ignore[arg-type]


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def context(tmp_path: Path, key: Key) -> Context:
    config = built(
        Config,
        {
            "migration": {"name": "test", "functions": ["make"]},
            "app": {"path": "app"},
            "environments": {"prod": {"url": "http://127.0.0.1:9"}},
        },
    )
    environment = Environment("prod", "http://127.0.0.1:9")
    found = Context(config, environment, tmp_path, tmp_path / "app", clock=VirtualClock())
    found.__dict__["provider"] = key
    return found


def test_from_an_earlier_reading_it_is_exactly_what_came_since(context: Context, key: Key) -> None:
    measure.read_key(context)
    context.clock.sleep(60)
    key.usage = 5.25
    assert measure.booked_since(context, context.clock.now()) == (0.25, "since our reading of 12:00:00 UTC")


def test_the_newest_reading_before_the_span_is_taken_and_none_within_it(context: Context, key: Key) -> None:
    for spent in (5.0, 5.1, 5.2):
        key.usage = spent
        measure.read_key(context)
        context.clock.sleep(600)
    start = context.clock.now() - timedelta(seconds=900)
    assert measure.booked_since(context, start)[0] == pytest.approx(0.1)


def test_a_reading_of_another_key_is_none_of_this_one(context: Context, key: Key) -> None:
    measure.read_key(context)
    key.label, key.usage, key.daily = "sk-or-v1-def...456", 0.3, 0.3
    assert measure.booked_since(context, context.clock.now()) == (0.3, "today, UTC")


@pytest.mark.parametrize(
    ("hours", "expected"), [(1, (0.5, "today, UTC")), (40, (2.0, "this week")), (200, (4.0, "this month"))]
)
def test_without_a_reading_the_provider_s_own_spans_serve(
    context: Context, hours: float, expected: tuple[float, str]
) -> None:
    """The clock stands at noon of Sunday, November 22."""
    assert measure.booked_since(context, context.clock.now() - timedelta(hours=hours)) == expected


def test_a_span_that_begins_before_all_of_them_is_covered_by_the_key_s_lifetime(context: Context) -> None:
    assert measure.booked_since(context, context.clock.now() - timedelta(days=60)) == (5.0, "in the key's lifetime")


def test_a_span_the_provider_does_not_tell_is_covered_by_the_next_longer_one(context: Context, key: Key) -> None:
    key.daily = None
    assert measure.booked_since(context, context.clock.now() - timedelta(hours=1)) == (2.0, "this week")


def test_a_torn_file_of_readings_is_no_reading(context: Context) -> None:
    measure.read_key(context)
    next((context.state / "usage").iterdir()).write_text("[[")
    assert measure.booked_since(context, context.clock.now() - timedelta(hours=1))[1] == "today, UTC"
