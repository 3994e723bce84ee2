"""One answer to "may this request be sent again?", and one way to repeat a call.

What a request does decides: a read may always be repeated; a change only where the failed try
cannot have done anything, or where doing it twice is the same as doing it once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from migration.base.clock import Clock
from migration.base.errors import ApiError, Oversized, Unknown, Unreachable

T = TypeVar("T")
# read: changes nothing. same: changes, and twice is the same as once. once: changes, and twice may do it twice.
Effect = Literal["read", "same", "once"]
# Request timeout, too early, too many requests: statuses below 500 that say "later", not "no".
LATER = frozenset({408, 425, 429})
_NOT_DONE = frozenset({425, 429})  # answered before the request was carried out


def transient(error: BaseException | None) -> bool:
    """Whether the same request may succeed later: broken connections, overload, rate limits; no refusals."""
    if isinstance(error, ApiError):
        return error.status in LATER or error.status >= 500
    return isinstance(error, Unreachable | Unknown) and not isinstance(error, Oversized)


def repeatable(error: BaseException | None, effect: Effect = "read") -> bool:
    """Whether a request with this effect may be sent again after it failed so, without reading anything back."""
    if not transient(error):
        return False
    if effect != "once":
        return True
    return error.status in _NOT_DONE if isinstance(error, ApiError) else isinstance(error, Unreachable)


@dataclass(frozen=True)
class Retry:
    """Repeats a call within `attempts` and within `seconds`. Waits double from `first` to `longest` seconds, and
    are shortened by a random share of up to `jitter`, so that two who failed together do not come back together.

    `Retry-After` is obeyed where it fits into what is left of `seconds`, or of `later`, which counts for it alone and
    for any number of attempts; a longer one fails at once.
    """

    clock: Clock = field(default_factory=Clock)
    attempts: int = 6
    seconds: float = 60.0
    first: float = 0.25
    longest: float = 4.0
    later: float = 0.0
    jitter: float = 0.3

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1), where the answer names no time."""
        doubled = self.first * 2.0 ** min(attempt - 1, 60)
        return min(self.longest, doubled) * random.uniform(1 - self.jitter, 1.0)

    def pause(self, error: BaseException | None, attempt: int, effect: Effect = "read") -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1); None when it must not be sent again."""
        if attempt >= self.attempts or not repeatable(error, effect):
            return None
        if isinstance(error, ApiError) and error.retry_after is not None:
            return error.retry_after
        return self.backoff(attempt)

    def __call__(self, call: Callable[[], T], effect: Effect = "read") -> T:
        """The result of the first call that succeeds; the last error when none may follow."""
        began, attempt = self.clock.monotonic(), 0
        while True:
            attempt += 1
            try:
                return call()
            except Exception as error:
                patience = self.seconds
                if self.later and isinstance(error, ApiError) and error.retry_after is not None:
                    patience, attempt = max(self.seconds, self.later), 1  # only the time bounds what it asks for
                wait = self.pause(error, attempt, effect)
                if wait is None or self.clock.monotonic() + wait > began + patience:
                    raise
            self.clock.sleep(wait)
