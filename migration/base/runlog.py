"""The log of one run: every step, HTTP request and git command with its status and milliseconds, secrets masked.

It is for the question "what did it do?" after a failure. Nothing depends on it: where it cannot be written, it is not.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from migration.base.files import keep_newest
from migration.base.gate import ANYWHERE
from migration.base.secrets_type import mask

KEPT = 50  # logs of former runs
_OURS = re.compile(r"\d{8}-\d{6}-.+\.log")  # the folder may be a link to one that holds logs of others
_LONGEST = 500  # characters of a line


class RunLog:
    """One file, made at the first line; `echo` shows each line as it is written."""

    def __init__(self, folder: Path, verb: str, echo: bool = False) -> None:
        self._folder = folder
        self._verb = verb
        self._echo = echo
        self._file: TextIO | None = None
        self._broken = False
        self._guard = threading.Lock()
        self.path: Path | None = None

    def write(self, text: str) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
        line = f"{now}Z {_plain(mask(text))[:_LONGEST]}\n"
        with self._guard, contextlib.suppress(OSError, ValueError):
            if self._echo:
                sys.stderr.write(line)
            if self._file is None and not self._broken:
                self._broken = True  # unless it can be opened
                self._file = self._open()
                self._broken = False
            if self._file is not None:
                self._file.write(line)

    def _open(self) -> TextIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        keep_newest(self._folder, _OURS, KEPT - 1)
        self.path = self._folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{self._verb}.log"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


_run: RunLog | None = None


def begin(folder: Path, verb: str, echo: bool = False) -> RunLog:
    """From here on what is recorded goes to a new file in the folder."""
    global _run
    _run = RunLog(folder, verb, echo)
    return _run


def end() -> None:
    global _run
    _run = None


def record(text: str) -> None:
    """A line of the log; nothing outside a run."""
    if _run is not None:
        _run.write(text)


def _plain(text: str) -> str:
    """Nothing that a terminal or a CI server obeys; a line begins with its time."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return ANYWHERE.sub("# #", shown)
