"""How long ids are shown: short enough for a line, long enough to be typed after `--request`."""

from __future__ import annotations

SHORT = 8  # characters


def shortened(id_: str) -> str:
    """The first characters of an id; the last ones of a UUID of version 7, which begins with the time."""
    return id_[-SHORT:] if len(id_) == 36 and id_[14] == "7" else id_[:SHORT]
