"""Progress on a terminal: a live line per step and function; plain lines anywhere else."""

from __future__ import annotations

import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from migration.common.durations import show
from migration.common.progress import Observer

_MARKS = {"step": ("…", "cyan"), "done": ("✓", "green"), "failed": ("✗", "red")}


class Lines(Observer):
    """One line when a step ends; for pipes, CI logs and files."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began: dict[tuple[str, str], float] = {}
        self._guard = threading.Lock()

    def step(self, name: str, subject: str = "", detail: str = "") -> None:  # noqa: ARG002
        self._began.setdefault((name, subject), time.monotonic())

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        self._line("done", name, subject, detail, seconds)

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        self._line("failed", name, subject, detail, None)

    def note(self, text: str) -> None:
        self._say(Text(text, style="dim"))

    def warn(self, text: str) -> None:
        self._say(Text(f"! {text}", style="yellow"))

    def _line(self, kind: str, name: str, subject: str, detail: str, seconds: float | None) -> None:
        began = self._began.pop((name, subject), None)
        took = seconds if seconds is not None else time.monotonic() - began if began is not None else None
        mark, colour = _MARKS[kind]
        self._say(Text.assemble((f"{mark} ", colour), _words(name, subject, detail, took)))

    def _say(self, text: Text) -> None:
        with self._guard:
            if self._console.is_terminal:
                self._console.print(text, soft_wrap=True, highlight=False)
            else:  # without rich's layout: twenty uploads end at once, and the activation waits behind their lines
                self._console.file.write(f"{text.plain}\n")
                self._console.file.flush()


class Board(Lines):
    """The same, with what is still going on shown below and redrawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._open: dict[tuple[str, str], str] = {}
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=8, transient=True)
        self._live.start()

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        super().step(name, subject, detail)
        self._open[name, subject] = detail

    def close(self) -> None:
        """Stop redrawing, so that a question or the result can be printed."""
        self._open.clear()
        self._live.stop()

    def _line(self, kind: str, name: str, subject: str, detail: str, seconds: float | None) -> None:
        self._open.pop((name, subject), None)
        super()._line(kind, name, subject, detail, seconds)

    def _table(self) -> Table:
        table: Any = Table.grid(padding=(0, 1))
        now = time.monotonic()
        for (name, subject), detail in list(self._open.items()):
            took = now - self._began.get((name, subject), now)
            table.add_row(Text.assemble(("… ", "cyan"), _words(name, subject, detail, took)))
        return table  # type: ignore[no-any-return]


def _words(name: str, subject: str, detail: str, seconds: float | None) -> Text:
    text = Text(name)
    if subject:
        text.append(f" {subject}", style="bold")
    if detail:
        text.append(f"  {detail}")
    if seconds is not None and seconds >= 0.05:
        text.append(f"  {show(seconds)}", style="dim")
    return text
