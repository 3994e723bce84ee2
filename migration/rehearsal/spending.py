"""What a worker has used of the platform's limits: processor, time on the wall, log lines. No clock of its own.

https://supabase.com/docs/guides/functions/limits
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from migration.rehearsal.options import Limits

_WINDOW = 10.0  # seconds in which log lines are counted
_REMEMBERED = 1_000  # requests whose lines are counted


@dataclass
class Spending:
    """One worker's; `born` and every `now` are seconds of one clock, `cpu` are seconds of its processor time.

    Requests share a worker here, where the platform gives each its own time: the processor time of those under way is
    held against the sum of what they may use, the lines of each against a limit of its own.
    """

    limits: Limits
    born: float
    _since: float = 0.0
    _requests: int = 0
    _lines: dict[str, deque[float]] = field(default_factory=dict)

    def request(self, first: bool, cpu: float | None) -> None:
        """A request begins; `first`: none was under way."""
        if first:
            self._since, self._requests = cpu or 0.0, 0
        self._requests += 1

    def processor(self, cpu: float | None) -> float:
        """The share of their processor time that the requests since the worker last had none have used."""
        allowed = self.limits.cpu_limit * self._requests
        return (cpu - self._since) / allowed if allowed and cpu is not None else 0.0

    def age(self, now: float) -> float:
        """The share of its time on the wall that has passed."""
        return (now - self.born) / self.limits.wall_clock if self.limits.wall_clock else 0.0

    def left(self, now: float) -> float:
        """Seconds until its time on the wall is over; an hour without a limit."""
        return max(0.0, self.limits.wall_clock - (now - self.born)) if self.limits.wall_clock else 3600.0

    def line(self, execution: str, now: float) -> bool:
        """Whether this log line of a request is kept; those beyond the limit are lost, as on the platform."""
        if not self.limits.log_events:
            return True
        while len(self._lines) >= _REMEMBERED and execution not in self._lines:
            del self._lines[next(iter(self._lines))]
        kept = self._lines.setdefault(execution, deque())
        while kept and now - kept[0] >= _WINDOW:
            kept.popleft()
        if len(kept) >= self.limits.log_events:
            return False
        kept.append(now)
        return True
