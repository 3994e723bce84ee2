"""A rate limiter of our own side, so that a service's limit is not met in the first place."""

from __future__ import annotations

import threading
from collections import deque

from migration.base.clock import Clock

SLOWEST = 2  # queries a minute that are left, however often the server refuses
AFTER_REFUSAL = 9  # queries a minute after the first 429, where there was no limit before


class RateLimiter:
    """At most `per_minute` queries in any 60 seconds; None for no limit. A 429 from the server pauses it."""

    def __init__(self, clock: Clock, per_minute: int | None) -> None:
        self.clock = clock
        self.per_minute = per_minute
        self.spent = 0
        self._sent: deque[float] = deque()
        self._paused = float("-inf")
        self._turn = threading.Lock()

    def wait(self) -> float:
        """Seconds until a query may be sent."""
        now = self.clock.monotonic()
        while self._sent and self._sent[0] <= now - 60:
            self._sent.popleft()
        full = self.per_minute is not None and len(self._sent) >= self.per_minute
        return max(0.0, self._paused - now, self._sent[0] + 60 - now if full else 0.0)

    def take(self) -> None:
        """Waits for its turn and counts the query."""
        while (wait := self._try()) > 0:
            self.clock.sleep(wait)

    def _try(self) -> float:
        """Takes a turn if there is one: 0.0, else the seconds until it is worth asking again."""
        with self._turn:
            wait = self.wait()
            if wait <= 0:
                self._sent.append(self.clock.monotonic())
                self.spent += 1
            return wait

    def pause(self, seconds: float) -> None:
        """After a 429: no query for `seconds`, and a slightly lower rate from then on."""
        self._paused = self.clock.monotonic() + seconds
        self.per_minute = max(SLOWEST, (self.per_minute or AFTER_REFUSAL) - 1)
