"""A clock for tests: a day passes in a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migration.base.clock import Clock


class VirtualClock(Clock):
    """Time that passes only when someone sleeps."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._elapsed += max(seconds, 0.0)
        self.slept += max(seconds, 0.0)
