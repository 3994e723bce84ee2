"""One orderly way out for SIGINT, SIGTERM and SIGHUP.

The first signal raises `Interrupted` in the main thread, so that `finally` runs. The second one leaves at once
and says what was left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

from migration.base.command import Step, lines
from migration.base.errors import Interrupted
from migration.base.gate import gate

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True)
class Left:
    """What an interruption leaves behind, in a sentence, and what to type then."""

    message: str = "Nothing was changed."
    steps: tuple[Step, ...] = ()
    exit_code: int = 130


class _State:
    def __init__(self) -> None:
        self.received = ""
        self.left = Left()


_state = _State()


def install() -> None:
    """Take the three signals over, from the main thread, for a verb that has left nothing behind yet."""
    _state.left = Left()
    for number in SIGNALS:
        signal.signal(number, _receive)


def between(message: str, *steps: Step, exit_code: int = 5) -> None:
    """From here on an interrupted run leaves something behind."""
    _state.left = Left(message, steps, exit_code)


def settled() -> None:
    """Nothing would be left behind any more."""
    _state.left = Left("Nothing was left half done.")


def left() -> Left:
    """What an interruption would leave now."""
    return _state.left


def _receive(number: int, _frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    if _state.received:
        shown = [gate(text).replace("\n", "\\n") for text in (_state.left.message, *lines(_state.left.steps))]
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a closed stream, or one that is being written to
            sys.stderr.write("\n".join(["", *shown, ""]))
            sys.stderr.flush()
        os._exit(_state.left.exit_code)
    _state.received = name
    raise Interrupted(name)
