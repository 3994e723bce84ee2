"""How long a write to the shared refs is tried: bounded in failures in a row and in time over all tries."""

from __future__ import annotations

from migration.base.clock import Clock
from migration.base.errors import CutoverError
from migration.base.retry import Retry
from migration.git.refs import Raced

FAILURES = 12  # in a row
# Any part of the wait may be left out: racers who wait equally long meet again.
_RACE = Retry(first=0.3, longest=2.0, jitter=1.0)


class Tries:
    """Counts the tries of one write. A lost race counts as a failure unless the ref was seen to move.

    Each method that takes an error raises one once `failures` in a row or `seconds` are used up. `cause` is the
    text of the last failure, None after a race that another process won.
    """

    def __init__(self, clock: Clock, seconds: float, failures: int = FAILURES) -> None:
        self.clock = clock
        self.failures = failures
        self.until = clock.monotonic() + seconds
        self.count = 0
        self.cause: CutoverError | None = None

    def failed(self, error: CutoverError) -> None:
        """The remote did not answer, or answered with an error."""
        self.count += 1
        self.cause = error
        if self.count >= self.failures or self.clock.monotonic() > self.until:
            raise error

    def raced(self, error: Raced, moved: bool) -> None:
        """The push was rejected; `moved`: another process has moved the ref since."""
        if not moved:
            self.failed(error.refusal())
            return
        self.lost()
        if self.clock.monotonic() > self.until:
            raise error

    def lost(self) -> None:
        """Another process was first, as it should be: the remote writes."""
        self.count, self.cause = 0, None

    def pause(self) -> None:
        """Wait a random time, longer after each failure: up to 2 s."""
        self.clock.sleep(_RACE.backoff(max(self.count, 1)))
