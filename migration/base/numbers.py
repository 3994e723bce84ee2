"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def count(many: int, thing: str) -> str:
    """1 request, 2 requests."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def size(many: int) -> str:
    """120 B, 17 kB."""
    return f"{many} B" if many < 1000 else f"{many / 1000:.0f} kB"
