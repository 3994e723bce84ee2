"""What a verb prints: results, progress, questions and errors, for a person, a pipe or a script."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import runlog
from migration.base.command import CURRENT, Do, Step, lines
from migration.base.errors import Interrupted, Refused
from migration.base.plain import Lazily, plain
from migration.cli.progress import Lines
from migration.cli.sink import Masked, gate, one_line, pieces
from migration.cli.waiting import ASKS

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """With `json`, stdout carries JSON and nothing else; prose and progress go to stderr."""

    def __init__(self, verb: str, root: Path = Path(), *, json: bool = False) -> None:
        self.verb = verb
        self.root = root
        self.json = json
        self._stdout = Masked(sys.stdout)
        self._stream = Masked(sys.stderr) if json else self._stdout
        self._observer: Lines | None = None

    @cached_property
    def console(self) -> Console:
        """Where people read. rich is imported when something is drawn there, not for lines in a pipe."""
        from migration.cli.terminal import console

        return console(self._stream)

    @cached_property
    def errors(self) -> Console:
        from migration.cli.terminal import console

        return console(Masked(sys.stderr), soft_wrap=True)

    @property
    def observer(self) -> Lines:
        if self._observer is None:
            self._observer = self._live() if self._stream.isatty() or os.environ.get("FORCE_COLOR") else None
        if self._observer is None:
            self._observer = Lines(self._stream)
        return self._observer

    def _live(self) -> Lines | None:
        from migration.cli.terminal import LiveLines

        return LiveLines(self.console, ASKS.get(self.verb, "")) if self.console.is_terminal else None

    def begin(self) -> None:
        """A first line at once, for someone at a terminal: whom the verb asks. The answers take a second or more."""
        if self.json or not sys.stderr.isatty():
            return
        where = f" on {CURRENT.env}" if CURRENT.env else ""
        config = os.environ.get("CUTOVER_CONFIG")
        asks = f": {ASKS[self.verb]}" if self.verb in ASKS else ""
        with contextlib.suppress(OSError, ValueError):
            text = gate(f"… {self.verb}{where}{f', {config}' if config else ''}{asks}")
            lines = textwrap.wrap(text, shutil.get_terminal_size().columns, break_on_hyphens=False)
            Masked(sys.stderr).write("\n".join(lines) + "\n")
            sys.stderr.flush()

    def result(self, result: Any) -> None:
        """The verb's result, drawn for a person or as one JSON object."""
        self.quiet()
        if self.json:
            self.line(result, int(getattr(result, "exit_code", 0)))
        else:
            self.show(self.verb, result)

    @contextlib.contextmanager
    def unmasked(self) -> Iterator[None]:
        """For the sandbox's own keys, made up for use on this machine: the only ones that are printed."""
        self._stdout.masks = False
        try:
            yield
        finally:
            self._stdout.masks = True

    def show(self, kind: str, result: Any) -> None:
        """Draw something for a person; with `json` it goes to stderr, where prose goes."""
        from migration.cli.results.draw import draw

        self.quiet()
        draw(kind, plain(result), self.console)

    def each(self, kind: str, event: Any) -> None:
        """One event of a stream, at once."""
        if self.json:
            self.line(event)
        else:
            self.show(kind, event)

    def stream(self, kind: str, events: Iterable[Any], none: str = "No lines found.") -> None:
        """Each event as it comes; without one, `none` on stderr."""
        event = None
        for event in events:
            self.each(kind, event)
        if event is None:
            self.quiet()
            self.errors.print(none, markup=False, highlight=False)

    def line(self, value: Any, code: int = 0) -> None:
        """One JSON object on a line of its own, at once; docs/schema/ has its schema."""
        head = {"schema": f"cutover/{self.verb}/1", "env": CURRENT.env or None, "exit_code": code}
        data = {**head, **plain(value)}
        if any(isinstance(inner, Lazily) for inner in data.values()):
            for piece in pieces(data):
                self._stdout.write(piece)
            self._stdout.write("\n")
        else:
            self._stdout.write(one_line(data) + "\n")
        self._stdout.flush()

    def error(self, message: str, steps: Sequence[Step], code: int, data: dict[str, Any]) -> None:
        runlog.record(f"error: {message}")
        self.quiet()
        self.errors.print(
            self._folded(message), style="bold red" if self.errors.is_terminal else None, markup=False, emoji=False
        )
        for line in lines(steps):
            self.errors.print(gate(line).replace("\n", "\\n"))
        if self.json:
            hint = "\n".join(map(str, steps))
            self.line({"error": {"message": message, "hint": hint, "exit_code": code, **data}}, code)

    def _folded(self, text: str) -> str:
        """Whole words on each line of a terminal; what holds a command to copy is left as it is."""
        plain = gate(text)
        if not self.errors.is_terminal or f"{CURRENT.prefix} " in plain:
            return plain
        from migration.cli.results.canvas import folded

        return folded(plain, self.errors.width)

    def aside(self, text: str) -> None:
        """A line for people beside the result, on stderr."""
        with contextlib.suppress(OSError, ValueError):
            self.quiet()
            self.errors.print(gate(text), style="dim" if self.errors.is_terminal else None)

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """A line from the terminal, not shown where `hidden`. Refused when there is none."""
        self.quiet()
        if not sys.stdin.isatty():
            name = question.partition(" ")[0]
            if hidden:
                raise Refused(f"Not a terminal: cannot ask for {name}.", Do("set it in .env"))
            raise Refused("Not a terminal: nothing can be asked.", Do("run it in a terminal"))
        if hidden:
            with contextlib.suppress(EOFError):
                return getpass.getpass(f"{question} ", sys.stderr).strip()
            return ""
        _forget_typed()
        self.errors.print(gate(question), end=" ")
        try:
            return input().strip()
        except EOFError:
            self.errors.print()
            return ""
        except Interrupted:
            self.errors.print()  # what follows does not begin on the question's line
            raise

    def quiet(self) -> None:
        """Take the live view away; the next step brings it back."""
        if self._observer is not None:
            self._observer.close()

    def flush(self) -> None:
        """What is buffered; an error in writing it is met here and not when Python ends."""
        self._stdout.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.quiet()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue


def _forget_typed() -> None:
    """Discard what was typed before the question was shown: it cannot be the answer."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import termios

        with contextlib.suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
