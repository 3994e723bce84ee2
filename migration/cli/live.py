"""Progress on a terminal: the lines in colour, and below them what is still going on, redrawn in place."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from migration.cli.lines import Lines, Parts, words


class Board(Lines):
    """A live line per step and function that is under way."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
        self._console = console
        self._open: dict[tuple[str, str], str] = {}
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        super().step(name, subject, detail)
        self._open[name, subject] = detail
        self._live.start()

    def close(self) -> None:
        """Stop redrawing, so that a question or the result can be printed."""
        self._open.clear()
        self._live.stop()

    def _line(self, kind: str, name: str, subject: str, detail: str, seconds: float | None) -> None:
        self._open.pop((name, subject), None)
        super()._line(kind, name, subject, detail, seconds)

    def _print(self, parts: Parts) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=True, highlight=False)

    def _table(self) -> Table:
        table: Any = Table.grid(padding=(0, 1))
        now = time.monotonic()
        for (name, subject), detail in list(self._open.items()):
            took = now - self._began.get((name, subject), now)
            table.add_row(Text.assemble(("… ", "cyan"), *words(name, subject, detail, took)))
        return table  # type: ignore[no-any-return]
