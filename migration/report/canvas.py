"""The few shapes that results are drawn with: a sentence, a table, the next command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Data = Mapping[str, Any]
GOOD, BAD, UNSURE = "green", "bold red", "yellow"
_WORDS = {
    "pass": GOOD, "live": GOOD, "rolled_back": GOOD, "✓": GOOD, "yes": GOOD, "same": "dim",
    "fail": BAD, "error": BAD, "no": BAD, "✗": BAD, "unfinished": BAD, "drifted": UNSURE,
    "inconclusive": UNSURE, "unproven": UNSURE, "ungated": UNSURE, "restored": UNSURE, "warning": UNSURE,
}  # fmt: skip


class Canvas:
    """Text in, lines out; nothing is wrapped when the output is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def table(self, rows: Iterable[Sequence[str]], *heads: str) -> None:
        """Columns that hold nothing are left out."""
        cells = [list(row) for row in rows]
        used = [n for n, head in enumerate(heads) if not cells or any(row[n] for row in cells) or not head]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for n in used:
            table.add_column(heads[n], overflow="fold", no_wrap=n != used[-1])
        for row in cells:
            table.add_row(*[Text(row[n], style=_WORDS.get(row[n], "")) for n in used])
        self._console.print(table)

    def then(self, data: Data) -> None:
        """The commands to type next."""
        for step in data.get("next") or ():
            self.say(f"→ {step}", "cyan")


def yes(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def money(value: float | None, places: int = 4) -> str:
    return "?" if value is None else f"${value:,.{places}f}"


def short(text: str | None, length: int = 9) -> str:
    return (text or "")[:length]


def when(text: str | None) -> str:
    """An ISO time to the minute, in UTC."""
    return (text or "")[:16].replace("T", " ")
