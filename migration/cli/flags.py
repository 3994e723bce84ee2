"""The values of flags. Invoke passes text on, and would answer a word in place of a number with a traceback."""

from __future__ import annotations

import math

from migration.base.command import Do
from migration.base.errors import Refused

MOST = 1_000_000_000  # no flag means more, and what is far above it overflows where it is used


def whole(flag: str, text: str, example: str = "20", most: int = MOST) -> int | None:
    """None for no text. Refused for anything but a whole number from 0 to `most`."""
    value = number(flag, text, example, most)
    if value is not None and value != int(value):
        raise Refused(f"--{flag} {text[:40]} is not a whole number.", Do(f"write it like --{flag} {example}"))
    return None if value is None else int(value)


def number(flag: str, text: str, example: str = "0.50", most: int = MOST) -> float | None:
    """None for no text. Refused for anything but a number from 0 to `most`."""
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not 0 <= value <= most:
        text = f"--{flag} {text[:40]} is not a number from 0 to {most:,}."
        raise Refused(text, Do(f"write it like --{flag} {example}"))
    return value


def names(flag: str, text: str) -> list[str]:
    """The words between commas; none for no text. Refused for commas alone."""
    listed = [name.strip() for name in text.split(",") if name.strip()]
    if text and not listed:
        raise Refused(f"--{flag} {text} names nothing.", Do(f"write it like --{flag} one,another"))
    return listed
