"""Streams of which nobody reads the other end."""

from __future__ import annotations


class Gone:
    """A pipe whose reader leaves after some writes."""

    def __init__(self, after: int = 0) -> None:
        self.left = after

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return len(text)

    def flush(self) -> None: ...
