"""What a person, a pipe or a script gets to see of a verb."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..common.finding import lines
from ..errors import Refused
from .lines import Lines
from .sink import Masked, one_line, plain

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """With `json`, stdout carries JSON and nothing else; prose and progress go to stderr."""

    def __init__(self, verb: str, *, json: bool = False) -> None:
        self.verb = verb
        self.json = json
        self._stdout = Masked(sys.stdout)
        self._stream = Masked(sys.stderr) if json else self._stdout
        self._observer: Lines | None = None

    @cached_property
    def console(self) -> Console:
        """Where people read; rich is imported when something is drawn there, and not for lines in a pipe."""
        from .terminal import console

        return console(self._stream)

    @cached_property
    def errors(self) -> Console:
        from .terminal import console

        return console(Masked(sys.stderr), soft_wrap=True)

    @property
    def observer(self) -> Lines:
        if self._observer is None:
            self._observer = self._board() if self._stream.isatty() or os.environ.get("FORCE_COLOR") else None
        if self._observer is None:
            self._observer = Lines(self._stream)
        return self._observer

    def _board(self) -> Lines | None:
        from .live import Board

        return Board(self.console) if self.console.is_terminal else None

    def result(self, result: Any) -> None:
        """The verb's result, drawn for a person or as one JSON object."""
        self.quiet()
        if self.json:
            self.line(result)
        else:
            self.show(self.verb, result)

    @contextlib.contextmanager
    def unmasked(self) -> Iterator[None]:
        """For the sandbox's own keys, made up to be used: the only ones that are printed."""
        self._stdout.masks = False
        try:
            yield
        finally:
            self._stdout.masks = True

    def show(self, kind: str, result: Any) -> None:
        """Draw something for a person; with `json` it goes to stderr, where prose goes."""
        from .console import draw

        self.quiet()
        draw(kind, plain(result), self.console)

    def each(self, kind: str, event: Any) -> None:
        """One event of a stream, at once."""
        if self.json:
            self.line(event)
        else:
            self.show(kind, event)

    def stream(self, kind: str, events: Iterable[Any]) -> None:
        """Each event as it comes; that there was none is said beside what goes to a pipe."""
        event = None
        for event in events:
            self.each(kind, event)
        if event is None:
            self.quiet()
            self.errors.print("No line was found.")

    def line(self, value: Any) -> None:
        """One JSON object on a line of its own, at once."""
        self._stdout.write(one_line(value) + "\n")
        self._stdout.flush()

    def error(self, message: str, hint: str, code: int, data: dict[str, Any]) -> None:
        self.quiet()
        self.errors.print(message, style="bold red" if self.errors.is_terminal else None, markup=False)
        for line in lines(hint):
            self.errors.print(line, markup=False)
        if self.json:
            self.line({"error": {"message": message, "hint": hint, "exit_code": code, **data}})

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """A line from the terminal, not shown where `hidden`. Refused when there is none."""
        self.quiet()
        if not sys.stdin.isatty():
            raise Refused("there is no terminal to ask on", "set it in .env" if hidden else "")
        if hidden:
            with contextlib.suppress(EOFError):
                return getpass.getpass(f"{question} ", sys.stderr).strip()
            return ""
        _forget_typed()
        self.errors.print(question, end=" ", markup=False)
        try:
            return input().strip()
        except EOFError:
            return ""

    def quiet(self) -> None:
        """Take the live view away; the next step brings it back."""
        if self._observer is not None:
            self._observer.close()

    def close(self) -> None:
        self.quiet()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue


def _forget_typed() -> None:
    """What was typed before the question was there is no answer to it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import termios

        with contextlib.suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
