"""The words of a mistake: a value as its writer knows it, and the key that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

# A ${NAME} without a value stays in the text between these two signs (private use) until a verb needs it.
OPEN, CLOSE = "\ue000", "\ue001"
_SHOWN = 60  # characters of a value


def plain(text: str) -> str:
    """The text with its waiting variables as they were written."""
    return text.replace(OPEN, "${").replace(CLOSE, "}")


def shown(value: Any) -> str:
    """A value for a message: as config.yaml has it, on one line, and not all of a long one."""
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(plain(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def guess(name: str, known: Collection[str]) -> str:
    """What may have been meant, else all that is known, as the end of a sentence; empty when nothing is."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""
