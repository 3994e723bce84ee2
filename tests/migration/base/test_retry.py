"""Who may be sent again, and when: one table, and the loop that follows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migration.base.errors import ApiError, Refused, ServiceFailed, Unknown, Unreachable
from migration.base.retry import Effect, Retry, repeatable, transient
from tests.support.clock import VirtualClock


def status(number: int, wait: float | None = None) -> ApiError:
    return ApiError("no", status=number, body="", operation="x", retry_after=wait)


# error: read, same, once
TABLE: list[tuple[Exception, bool, bool, bool]] = [
    (Unreachable("nothing was sent"), True, True, True),
    (Unknown("sent, no answer"), True, True, False),
    (status(408), True, True, False),
    (status(425), True, True, True),
    (status(429), True, True, True),
    (status(500), True, True, False),
    (status(502), True, True, False),
    (status(503), True, True, False),
    (status(400), False, False, False),
    (status(401), False, False, False),
    (status(404), False, False, False),
    (status(409), False, False, False),
    (ServiceFailed("another one failed"), False, False, False),
    (Refused("not confirmed"), False, False, False),
    (ValueError("a mistake of ours"), False, False, False),
]


@pytest.mark.parametrize("error,read,same,once", TABLE, ids=lambda value: str(getattr(value, "status", value)))
def test_may_be_sent_again(error: Exception, read: bool, same: bool, once: bool) -> None:
    """A change that may have been carried out is never sent again blindly."""
    effects: tuple[Effect, ...] = ("read", "same", "once")
    assert [repeatable(error, effect) for effect in effects] == [read, same, once]
    assert transient(error) == read


def failing(*errors: Exception) -> Callable[[], int]:
    left = list(errors)

    def call() -> int:
        if left:
            raise left.pop(0)
        return len(left) + 7

    return call


@pytest.mark.parametrize("error", [status(429), status(502), status(429, 21.0), Unreachable("x"), Unknown("y")])
def test_reads_are_repeated(error: ServiceFailed) -> None:
    clock = VirtualClock()
    assert Retry(clock)(failing(error, error)) == 7
    assert clock.monotonic() == 42 or 0.3 < clock.monotonic() < 0.8


def test_attempts_are_bounded() -> None:
    clock = VirtualClock()
    with pytest.raises(Unreachable, match="third"):
        Retry(clock, attempts=3)(failing(*(Unreachable(name) for name in ("first", "second", "third", "fourth"))))


def test_seconds_are_bounded() -> None:
    """A wait that does not fit is not begun: the caller learns at once."""
    clock = VirtualClock()
    with pytest.raises(ApiError):
        Retry(clock, seconds=60)(failing(status(429, 3600.0)))
    assert clock.monotonic() == 0
    with pytest.raises(ApiError):
        Retry(clock, attempts=1000, seconds=60)(failing(*[status(503)] * 1000))
    assert 50 < clock.monotonic() <= 60


@pytest.mark.parametrize("error", [status(401), status(404), ServiceFailed("z"), ValueError("w")])
def test_refusals_end_at_once(error: Exception) -> None:
    clock = VirtualClock()
    with pytest.raises(type(error)):
        Retry(clock)(failing(error))
    assert clock.monotonic() == 0


def test_lost_change_is_not_repeated() -> None:
    with pytest.raises(Unknown):
        Retry(VirtualClock())(failing(Unknown("sent")), "once")


@pytest.mark.parametrize(("policy", "lower", "upper"), [
    (Retry(first=0.25, longest=4.0), [0.175, 0.35, 0.7, 1.4, 2.8, 2.8], [0.25, 0.5, 1, 2, 4, 4]),
    (Retry(first=0.3, longest=2.0, jitter=1.0), [0, 0, 0, 0, 0, 0], [0.3, 0.6, 1.2, 2, 2, 2]),
])  # fmt: skip
def test_backoff_doubles_to_the_longest(policy: Retry, lower: list[float], upper: list[float]) -> None:
    """Each wait doubles up to `longest` and is shortened by at most the share `jitter`, for any attempt number."""
    for attempt, (low, high) in enumerate(zip(lower, upper, strict=True), 1):
        waits = [policy.backoff(attempt) for _ in range(50)]
        assert low <= min(waits) and max(waits) <= high and len(set(waits)) > 1
    assert policy.backoff(100_000) <= policy.longest
