"""What a terminal shows: rich's console as we use it, and the steps that are under way, redrawn in place."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from migration.base.command import CURRENT
from migration.cli.progress import Lines, Parts, words
from migration.cli.sink import OUTPUT, gate

if TYPE_CHECKING:
    from migration.cli.sink import Masked

_PATIENCE = 1.0  # seconds without a step after which what the verb waits for is shown, with how long it has
_WIDE = 400  # without a terminal nothing is wrapped to fit one


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader left (`| head`): rich would exit 1, which here means that a test failed."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE), OUTPUT)


def console(stream: Masked, soft_wrap: bool = False) -> Console:
    """A console on this stream, nothing highlighted."""
    file: Any = stream
    width = None if stream.isatty() or soft_wrap else _WIDE
    return _Console(file=file, highlight=False, markup=False, emoji=False, width=width, soft_wrap=soft_wrap)


class LiveLines(Lines):
    """The lines in colour, and below them one line per step and function that is under way.

    `asks`: what the verb waits for before its first step.
    """

    def __init__(self, console: Console, asks: str = "") -> None:
        super().__init__(console.file)
        self._console = console
        self._open: dict[tuple[str, str], str] = {}
        self._asks, self._asked = asks, time.monotonic()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)
        if asks:
            self._live.start()

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        super().step(name, subject, detail)
        self._open[name, subject] = detail
        self._live.start()

    def close(self) -> None:
        """Stop redrawing, so that a question or the result can be printed."""
        self._open.clear()
        self._asks = ""
        self._live.stop()

    def _line(self, kind: str, name: str, subject: str, detail: str, seconds: float | None) -> None:
        self._open.pop((name, subject), None)
        super()._line(kind, name, subject, detail, seconds)

    def _print(self, parts: Parts) -> None:
        """Whole words on each line, but for a command that may be copied.

        Under the lock of the redrawing: it counts the lines under way, and between counting and writing none may be
        added, or a line that is done is drawn over and one that is under way stays.
        """
        copied = any(f"{CURRENT.prefix} " in text for text, _ in parts)
        with self._live._lock:
            self._console.print(Text.assemble(*parts), soft_wrap=copied, highlight=False)

    def _table(self) -> Table:
        table: Any = Table.grid(padding=(0, 1))
        now = time.monotonic()
        if self._asks and not self._open and now - self._asked >= _PATIENCE:
            table.add_row(Text.assemble(("… ", "cyan"), *words(self._asks, "", "", now - self._asked)))
        for (name, subject), detail in list(self._open.items()):
            elapsed = now - self._began.get((name, subject), now)
            parts = [(gate(text), style) for text, style in words(name, subject, detail, elapsed)]
            table.add_row(Text.assemble(("… ", "cyan"), *parts))
        return table  # type: ignore[no-any-return]
