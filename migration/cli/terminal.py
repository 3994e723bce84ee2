"""rich's console as we use it: masked, nothing highlighted, and a reader who leaves is no failed test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from migration.cli.sink import Masked

_WIDE = 400  # where there is no terminal nothing is wrapped to fit one


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader has gone (`| head`): rich would exit 1, which here means a test that failed."""
        raise BrokenPipeError


def console(stream: Masked, soft_wrap: bool = False) -> Console:
    """A console on this stream."""
    file: Any = stream
    width = None if stream.isatty() or soft_wrap else _WIDE
    return _Console(file=file, highlight=False, width=width, soft_wrap=soft_wrap)
