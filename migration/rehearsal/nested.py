"""Calls of functions by functions: so many a minute in one chain of requests, then the platform lets none out.

https://supabase.com/docs/guides/functions/recursive-functions and
https://github.com/supabase/edge-runtime/blob/main/ext/runtime/rate_limit.rs
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers

CHAIN = b"x-sandbox-chain"  # which chain a function's call belongs to: the preload module sends it
LIMITED = b"x-sandbox-limited"  # milliseconds until the chain may go on: the preload module throws them
_MINUTE = 60.0


class NestedCalls:
    """The calls of each chain in its running minute; `most` 0 counts nothing."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._chains: dict[str, tuple[float, int]] = {}

    def wait(self, chain: str) -> int | None:
        """Count a call; the milliseconds until the minute is over where it is one too many."""
        now = self._now()
        ends, count = self._chains.get(chain, (0.0, 0))
        if now >= ends:
            self._chains = {key: held for key, held in self._chains.items() if held[0] > now}
            ends, count = now + _MINUTE, 0
        if self._most and count >= self._most:
            return max(1, round((ends - now) * 1000))
        self._chains[chain] = ends, count + 1
        return None


def chain(headers: Headers) -> str | None:
    """Of a call that a function sent."""
    return headers.get(CHAIN.decode())


def trace(headers: Headers) -> list[tuple[bytes, bytes]]:
    """A `traceparent` for a request that came without one: https://www.w3.org/TR/trace-context."""
    given = headers.get("traceparent", "").split("-")
    if len(given) >= 4 and len(given[1]) == 32:
        return []
    return [(b"traceparent", f"00-{uuid.uuid4().hex}-{os.urandom(8).hex()}-01".encode())]
