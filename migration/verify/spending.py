"""What a soak has spent so far: by the provider's own counter, and by a cautious guess for what it may not hold yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from migration.base.clock import Clock
from migration.base.errors import CutoverError

if TYPE_CHECKING:
    from migration.context import Context

LAG = 60.0  # seconds after which the provider has booked a request
_EVERY = 3.0  # seconds between two readings
_UNIT = 0.005  # USD a request, where config.yaml expects nothing else


class Meter:
    """`read` gives the key's spend in USD since ever, None where nobody can be asked; `unit` is a request's guess."""

    def __init__(self, read: Callable[[], float | None], unit: float, clock: Clock) -> None:
        self._read = read
        self._unit = unit
        self._clock = clock
        self._first = read()
        self._asked = clock.monotonic()
        self._young: deque[float] = deque()
        self._old = 0
        self.booked = 0.0

    @property
    def measured(self) -> bool:
        """Whether the provider has booked anything of ours."""
        return self.booked > 0

    @property
    def requests(self) -> int:
        return self._old + len(self._young)

    @property
    def cost(self) -> float:
        """USD spent: booked if anything is, else the guess."""
        return self.booked if self.measured else self.requests * self._unit

    def count(self) -> None:
        """A request was answered."""
        self._young.append(self._clock.monotonic())

    def covers(self, limit: float, flying: int) -> bool:
        """Whether one more request surely stays within the limit, with `flying` ones not yet answered."""
        self._age()
        unbooked = len(self._young) if self.measured else self.requests
        return max(self.booked, 0.0) + (unbooked + flying + 1) * self._unit <= limit + 1e-9

    def refresh(self, now: bool = False) -> None:
        """Read the counter again, at most every three seconds unless `now`."""
        if self._first is None or (not now and self._clock.monotonic() - self._asked < _EVERY):
            return
        self._asked = self._clock.monotonic()
        found = self._read()
        if found is not None:
            self.booked = max(self.booked, found - self._first)

    def _age(self) -> None:
        old = self._clock.monotonic() - LAG
        while self._young and self._young[0] <= old:
            self._young.popleft()
            self._old += 1


def of(context: Context) -> Meter:
    """The meter of a run: the provider's key if there is one, else a guess for every request."""
    wanted = context.config.criteria.named.get("cost_per_artifact")
    unit = (wanted.mean or wanted.at_most) if wanted else None

    def read() -> float | None:
        if not context.environment.provider_key or context.config.provider is None:
            return None
        try:
            return context.provider.key().usage
        except CutoverError:
            return None

    return Meter(read, unit or _UNIT, context.clock)
