"""What flags hold: Invoke hands text over, and would answer a word for a number with a traceback."""

from __future__ import annotations

import math

from migration.base.errors import Refused


def whole(flag: str, text: str) -> int | None:
    """None for no text. Refused for what is no whole number, or below zero."""
    found = number(flag, text, "20")
    if found is not None and found != int(found):
        raise Refused(f"--{flag} {text} is not a whole number", f"write it like --{flag} 20")
    return None if found is None else int(found)


def number(flag: str, text: str, example: str = "0.50") -> float | None:
    """None for no text. Refused for what is no number, or below zero."""
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not 0 <= found < math.inf:
        raise Refused(f"--{flag} {text} is not a number from 0 upwards", f"write it like --{flag} {example}")
    return found


def names(flag: str, text: str) -> list[str]:
    """The words between commas; none for no text. Refused for commas alone."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if text and not found:
        raise Refused(f"--{flag} {text} names nothing", f"write it like --{flag} one,another")
    return found
