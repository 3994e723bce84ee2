"""A soak's dollar cap holds whether or not the provider tells what it has booked, and however late it does."""

from __future__ import annotations

from migration.verify.soak_requests import LAG, SpendMeter
from tests.support.clock import VirtualClock


def meter(*readings: float | None, unit: float = 0.01) -> tuple[SpendMeter, VirtualClock]:
    """Each reading is given once, the last one for ever."""
    left = list(readings)
    clock = VirtualClock()
    return SpendMeter(lambda: left.pop(0) if len(left) > 1 else left[0], unit, clock), clock


def spend(found: SpendMeter, limit: float) -> int:
    """How many requests go out one after another before the meter says stop."""
    sent = 0
    while found.covers(limit, 0) and sent < 10_000:
        found.count()
        sent += 1
    return sent


def test_without_a_provider_to_ask_every_request_is_counted_at_the_guess() -> None:
    found, _ = meter(None)
    assert spend(found, 0.10) == 10
    assert (found.measured, round(found.cost, 6)) == (False, 0.10)


def test_requests_under_way_are_paid_too() -> None:
    found, _ = meter(None)
    assert found.covers(0.03, 2)
    assert not found.covers(0.03, 3)


def test_what_was_booked_replaces_the_guess_once_it_must_be_complete() -> None:
    found, clock = meter(5.0, 5.04)
    for _ in range(20):
        found.count()
    clock.sleep(LAG)
    found.refresh()
    assert (found.measured, round(found.cost, 6)) == (True, 0.04)
    assert found.covers(0.05, 0)
    assert not found.covers(0.05, 1)


def test_young_requests_count_at_the_guess_on_top_of_what_is_booked() -> None:
    found, clock = meter(5.0, 5.04)
    found.count()
    clock.sleep(LAG)
    found.refresh()
    found.count()
    found.count()
    assert found.covers(0.07, 0)
    assert not found.covers(0.069, 0)


def test_a_provider_that_is_not_heard_changes_nothing() -> None:
    found, clock = meter(5.0, None)
    found.count()
    clock.sleep(LAG)
    found.refresh()
    assert (found.measured, found.cost) == (False, 0.01)


def test_it_is_not_asked_at_every_request() -> None:
    readings = iter(range(100))
    clock = VirtualClock()
    found = SpendMeter(lambda: float(next(readings)), 0.01, clock)
    for _ in range(50):
        found.count()
        found.refresh()
    assert found.booked == 0
    clock.sleep(3)
    found.refresh()
    assert found.booked == 1
    found.refresh(now=True)
    assert found.booked == 2
