"""Progress without a terminal: one plain line when a step ends, for pipes, CI logs and files."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

from migration.base import runlog
from migration.base.durations import show
from migration.base.progress import Observer
from migration.cli.sink import gate

Parts = list[tuple[str, str]]  # texts, each with its style; without a terminal the styles are dropped
_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "unsure": ("?", "yellow")}


class TextStream(Protocol):
    """Where the lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...


class Lines(Observer):
    """Plain lines. rich is not imported for them: twenty uploads can end at once, and the activation waits for them."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._began: dict[tuple[str, str], float] = {}
        self._guard = threading.Lock()

    def step(self, name: str, subject: str = "", detail: str = "") -> None:  # noqa: ARG002
        self._began.setdefault((name, subject), time.monotonic())

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        self._line("done", name, subject, detail, seconds)

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        self._line("failed", name, subject, detail, None)

    def unsure(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        self._line("unsure", name, subject, detail, seconds)

    def note(self, text: str) -> None:
        self._show([(text, "dim")])

    def warn(self, text: str) -> None:
        self._show([(f"! {text}", "yellow")])

    def close(self) -> None:
        """Plain lines leave nothing to clear away."""

    def _line(self, kind: str, name: str, subject: str, detail: str, seconds: float | None) -> None:
        began = self._began.pop((name, subject), None)
        elapsed = seconds if seconds is not None else time.monotonic() - began if began is not None else None
        mark, colour = _MARKS[kind]
        self._show([(f"{mark} ", colour), *words(name, subject, detail, elapsed)])

    def _show(self, parts: Parts) -> None:
        """A reader who left decides nothing: the verb goes on, and its result meets the same closed pipe."""
        runlog.record("".join(text for text, _ in parts))
        with self._guard, contextlib.suppress(OSError, ValueError):
            self._print([(gate(text), style) for text, style in parts])

    def _print(self, parts: Parts) -> None:
        self._stream.write("".join(text for text, _ in parts) + "\n")
        self._stream.flush()


def words(name: str, subject: str, detail: str, seconds: float | None) -> Parts:
    """A step in words: its name, the function, the detail, the time."""
    parts = [(name, ""), (f" {subject}" * bool(subject), "bold"), (f"  {detail}" * bool(detail), "")]
    timed = seconds is not None and seconds >= 0.05
    return [*parts, (f"  {show(seconds)}" if timed and seconds else "", "dim")]
