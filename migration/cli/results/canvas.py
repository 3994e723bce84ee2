"""The shapes that results are drawn with: a sentence, a table, the next command."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from migration.base.clock import minute
from migration.base.command import Step, Steps, lines
from migration.base.numbers import dollars
from migration.cli.sink import gate

Data = Mapping[str, Any]
_GAP = 2
_GLUE, _INDENT = " · ", "  "  # of a row that is a stack
_TALL = 3  # lines of a row; a stack is easier to read than taller ones
_PIECE = 200  # rows of a table that are drawn at once
GOOD, BAD, UNSURE = "green", "bold red", "yellow"
_WORDS = {
    "pass": GOOD, "live": GOOD, "rolled back": GOOD, "✓": GOOD, "yes": GOOD, "same": "dim",
    "fail": BAD, "error": BAD, "no": BAD, "✗": BAD, "unfinished": BAD, "drifted": UNSURE,
    "inconclusive": UNSURE, "unproven": UNSURE, "ungated": UNSURE, "restored": UNSURE, "warning": UNSURE,
}  # fmt: skip


class Canvas:
    """Text in, lines out; without a terminal nothing is wrapped."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str, style: str = "") -> None:
        """A sentence; a terminal gets whole words on each line, indented as the first one."""
        plain = gate(text)
        if self._console.is_terminal:
            plain = folded(plain, self._console.width)
        self._console.print(Text(plain, style=style), soft_wrap=True)

    def copy(self, text: str, style: str = "") -> None:
        """What a person may copy, such as a command or a diff: no line break of ours."""
        self._console.print(Text(gate(text), style=style), soft_wrap=True)

    def print(self, text: Text) -> None:
        """Text whose parts went through the gate."""
        self._console.print(text, soft_wrap=True)

    def table(self, rows: Iterable[Sequence[str]], *heads: str) -> None:
        """Columns that hold nothing are left out, and a table without rows is. Nothing is cut: where the words do not
        fit beside each other, or only in more lines than that takes, each row is a stack of lines, one a column."""
        cells = [[gate(cell) for cell in row] for row in rows]
        used = [n for n, head in enumerate(heads) if any(row[n] for row in cells) or not head]
        if not cells:
            return
        columns = [[heads[n], *(row[n] for row in cells)] for n in used]
        room = self._console.width - _GAP * (len(columns) - 1)
        widths = _widths(columns, room)
        most = min(len(columns), _TALL) * len(cells)
        if sum(widths) > room or (sum(widths) == room and _height(columns, widths) > most):
            self._stacked(columns)
            return
        rest = list(zip(*(column[1:] for column in columns), strict=True))
        titles = [column[0] for column in columns]
        for start in range(0, len(rest), _PIECE):
            self._print_rows(titles if not start else None, widths, rest[start : start + _PIECE])

    def _print_rows(self, heads: Sequence[str] | None, widths: Sequence[int], rows: Sequence[Sequence[str]]) -> None:
        """A piece of a table: rich keeps all of a table that it draws."""
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_header=bool(heads))
        for place, width in enumerate(widths):
            table.add_column(heads[place] if heads else "", overflow="fold", width=width)
        for row in rows:
            table.add_row(*[Text(cell, style=_WORDS.get(cell, "")) for cell in row])
        self._console.print(table)

    def _stacked(self, columns: Sequence[Sequence[str]]) -> None:
        """A row is its first cell, then `head cell` of the others, as many on a line as fit, the next ones indented.

        A column without a head, such as a mark, stands before the first one that has a head."""
        if not columns[0][0] and len(columns) > 1:
            marked = [f"{mark} {cell}".strip() for mark, cell in zip(columns[0], columns[1], strict=True)]
            columns = [marked, *columns[2:]]
        heads = ["", *(f"{column[0]} ".lstrip() for column in columns[1:])]
        for row in list(zip(*columns, strict=True))[1:]:
            line = Text()
            for head, cell in zip(heads, row, strict=True):
                if cell:
                    line = self._packed(line, head, cell)
            self.print(line)

    def _packed(self, line: Text, head: str, cell: str) -> Text:
        """The line with one more cell, or a new one where it does not fit; a long cell is folded."""
        style = _WORDS.get(cell, "" if line.plain else "bold")
        glue = _GLUE if line.plain.strip() else ""
        if glue and cell_len(line.plain + glue + head + cell) > self._console.width:
            self.print(line)
            line, glue = Text(_INDENT), ""
        first, *more = _wrapped(head + cell, self._console.width - cell_len(line.plain + glue))
        line.append(glue, "dim").append(first[: len(head)], "dim").append(first[len(head) :], style)
        for part in more:
            self.print(line)
            line = Text(_INDENT).append(part, style)
        return line

    def then(self, data: Data) -> None:
        """The commands to type next."""
        for step in data.get("next") or ():
            self.hint(step)

    def hint(self, step: Step | Steps, indent: str = "") -> None:
        """What to type, and what to do before."""
        for line in lines(step.steps if isinstance(step, Steps) else [step]):
            self.copy(f"{indent}{line}".replace("\n", "\\n"), "cyan")


def folded(text: str, width: int) -> str:
    """Each line of the text in lines of whole words, indented as it was; a longer word is not cut."""
    folds = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip(" "))]
        parts = textwrap.wrap(
            line, max(width, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        folds += parts if cell_len(line) > width else [line]
    return "\n".join(folds)


def _wrapped(text: str, room: int) -> list[str]:
    """Lines of whole words; a word that is longer than the room has a line of its own."""
    if not text:
        return []
    return textwrap.wrap(text, max(room, 10), break_long_words=False, break_on_hyphens=False) or [""]


def _height(columns: Sequence[Sequence[str]], widths: Sequence[int]) -> int:
    """How many lines the rows take when each column is that wide."""
    heights = (
        [len(_wrapped(cell, width)) if cell_len(cell) > width else 1 for cell in column[1:]]
        for column, width in zip(columns, widths, strict=True)
    )
    return sum(map(max, zip(*heights, strict=True)))


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Cells for each column: the widest give way first, down to their longest words."""
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    while sum(widths) > room and widths != least:
        n = max((n for n, width in enumerate(widths) if width > least[n]), key=widths.__getitem__)
        widths[n] -= 1
    return widths


def yes(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def money(value: float | None, places: int = 4) -> str:
    return "?" if value is None else dollars(value, places)


def short(text: str | None, length: int = 9) -> str:
    return (text or "")[:length]


def when(text: str | None) -> str:
    """An ISO time to the minute, in UTC."""
    return minute(text or "")


def version(number: int | None) -> str:
    return "absent" if number is None else f"v{number}"


def side(row: Data | None) -> str:
    return version(row.get("version")) if row else "absent"
