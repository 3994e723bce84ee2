"""Ends the workers of a sandbox that was killed.

Run as a program of its own, it reads `+PID` and `-PID` lines until the sandbox's end of the pipe closes, then kills
what is left. Nothing inside a killed process can clean up, and a worker in an endless loop cannot notice by itself
that its parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable


class Reaper:
    """The sandbox's end of it; started with the first worker."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def add(self, pid: int) -> None:
        self._say(f"+{pid}\n")

    def remove(self, pid: int) -> None:
        self._say(f"-{pid}\n")

    def stop(self) -> None:
        if self._process:
            self._process.communicate()
            self._process = None

    def _say(self, line: str) -> None:
        if self._process is None:
            command = [sys.executable, "-I", "-S", __file__]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdin
        self._process.stdin.write(line)
        self._process.stdin.flush()


def reap(lines: Iterable[str]) -> None:
    alive: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        alive.add(pid) if line[0] == "+" else alive.discard(pid)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    reap(iter(sys.stdin.readline, ""))
