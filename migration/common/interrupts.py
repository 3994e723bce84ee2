"""One orderly way out for SIGINT, SIGTERM and SIGHUP.

The first signal raises `Interrupted` in the main thread, so that `finally` runs. The second one leaves at once
and says what was left.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from migration.errors import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _State:
    def __init__(self) -> None:
        self.heard = ""
        self.left = "Nothing was changed."
        self.exit_code = 130


_state = _State()


def install() -> None:
    """Take the three signals over; call it once, from the main thread."""
    for number in SIGNALS:
        signal.signal(number, _heard)


def between(left: str, exit_code: int = 5) -> None:
    """From here on an interrupted run leaves something: what, in a sentence that names the next command."""
    _state.left, _state.exit_code = left, exit_code


def settled() -> None:
    """Nothing would be left behind any more."""
    between("Nothing was left half done.", 130)


def left() -> tuple[str, int]:
    """What an interruption would leave now, and its exit code."""
    return _state.left, _state.exit_code


def _heard(number: int, _frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    if _state.heard:
        sys.stderr.write(f"\n{_state.left}\n")
        sys.stderr.flush()
        os._exit(_state.exit_code)
    _state.heard = name
    raise Interrupted(name)
