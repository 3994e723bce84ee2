"""Time as the phases see it, so that a test can make a day pass in a moment."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def minute(text: str) -> str:
    """An ISO time to the minute, in UTC, for people."""
    return text[:16].replace("T", " ")


class Clock:
    """Real time. `monotonic` is in seconds and goes on counting while the machine sleeps, where the system can."""

    _id = getattr(time, "CLOCK_BOOTTIME", None)
    slept = 0.0  # seconds of `sleep` so far, of all threads: what a step spent waiting

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic() if self._id is None else time.clock_gettime(self._id)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
            self.slept += seconds
