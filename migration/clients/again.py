"""Repeating a read that failed in a way that may pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from migration.base.errors import ApiError, Unknown, Unreachable

T = TypeVar("T")


def retrying(call: Callable[[], T], *, attempts: int = 6, seconds: float = 60.0, wait: float = 0.25) -> T:
    """Repeat a read that met 429, 5xx or a broken connection: `attempts` and `seconds` both bound it.

    `Retry-After` is obeyed when it fits into what is left of `seconds`; a longer one fails at once.
    """
    end = time.monotonic() + seconds

    def pause(error: Exception) -> bool | float:
        if isinstance(error, ApiError) and (error.status == 429 or error.status >= 500):
            asked = error.retry_after
            return True if asked is None else asked if time.monotonic() + asked <= end else False
        return isinstance(error, Unreachable | Unknown)

    try:
        return call()
    except Exception as error:  # counted as the first attempt, if it may be repeated
        if pause(error) is False:
            raise
        failed: Exception | None = error
    import stamina  # only a failure needs it

    stamina.instrumentation.set_on_retry_hooks([])  # else it writes of its own to stderr
    for attempt in stamina.retry_context(
        on=pause, attempts=attempts, timeout=seconds, wait_initial=wait, wait_max=16 * wait, wait_jitter=wait
    ):
        with attempt:
            if failed is not None:
                first, failed = failed, None
                raise first
            return call()
    raise AssertionError("stamina ends with a result or an error")
