"""What a service says of its rate limit in the headers of every answer, remembered by endpoint."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field, replace
from typing import Any

from migration.base.clock import Clock
from migration.clients.http import Answer, Http

_PART = re.compile(r"/(functions|projects)/(?!deploy$)[^/]+")


@dataclass(frozen=True)
class Quota:
    """One endpoint in its running window: calls allowed, calls left, seconds until it begins anew; `own` are ours.

    `at`: when the answer came, by the clock's `monotonic`.
    """

    endpoint: str
    limit: int
    left: int
    reset: int
    own: int = 1
    at: float = field(default=0.0, compare=False)

    @property
    def others(self) -> int:
        """What was left for us when we came: calls left, with ours given back."""
        return self.left + self.own


class Metered(Http):
    """An Http that keeps the newest `quotas` by endpoint; empty for a service that sends no X-RateLimit headers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.quotas: dict[str, Quota] = {}
        self._writing = threading.Lock()

    def request(self, method: str, path: str, **request: Any) -> Answer:
        answer = super().request(method, path, **request)
        fresh = read(f"{method} {endpoint(path)}", answer)
        if fresh:
            with self._writing:
                known = self.quotas.get(fresh.endpoint)
                same = known is not None and fresh.left < known.left  # else a new window has begun
                self.quotas[fresh.endpoint] = replace(fresh, own=known.own + 1) if known and same else fresh
        return answer


def endpoint(path: str) -> str:
    """The route of a path: names of projects and functions do not matter to a limit."""
    return _PART.sub(r"/\1/…", path.split("?")[0])


def read(name: str, answer: Answer) -> Quota | None:
    """None without the three headers `X-RateLimit-Limit`, `-Remaining` and `-Reset`, or when one is not a number."""
    given = [answer.headers.get(f"x-ratelimit-{word}", "") for word in ("limit", "remaining", "reset")]
    if not all(text.strip().isdecimal() for text in given):
        return None
    limit, left, reset = map(int, given)
    return Quota(name, limit, left, reset, at=Clock().monotonic())
