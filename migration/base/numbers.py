"""Numbers as people read them."""

from __future__ import annotations


def count(many: int, thing: str) -> str:
    """1 request, 2 requests."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def size(many: int) -> str:
    """120 B, 17 kB."""
    return f"{many} B" if many < 1000 else f"{many / 1000:.0f} kB"
