"""Services that fail for good: nothing is repeated, so that a test does not wait for them."""

from __future__ import annotations

from typing import Any

from migration.base.retry import Retry

_PAUSE = Retry.pause


def _never(*_: Any) -> None:
    return None


def repeating(on: bool) -> None:
    """Turn the retries of all clients of this process on or off."""
    Retry.pause = _PAUSE if on else _never  # type: ignore[method-assign, assignment]
