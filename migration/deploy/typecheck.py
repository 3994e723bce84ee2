"""`deno check` beside a deploy: it only ever warns, and only a person about to decide waits for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING

from migration.deploy.plan import PlannedFunction
from migration.source import deno, graph, importmap

if TYPE_CHECKING:
    from migration.context import Context

LATER = 0.5  # seconds in which a quick deploy is over: it would be slowed down for a warning that comes too late


class TypeCheck:
    """Checks the functions whose imports are all local; one process for all that share an import map.

    `asks`: a person decides with its help, so it begins at once; else it begins later, in idle time.
    """

    def __init__(self, context: Context, items: tuple[PlannedFunction, ...], asks: bool) -> None:
        self.context, self.asks = context, asks
        self.running: list[subprocess.Popen[str]] = []
        self._over, self._guard = False, threading.Lock()
        self._groups: dict[str, list[PlannedFunction]] = {}
        for item in items:
            if item.source.local:
                self._groups.setdefault(item.source.import_map, []).append(item)
        self._timer = threading.Timer(LATER, self._begin)
        self._timer.daemon = True
        if asks:
            self._begin()
        else:
            self._timer.start()

    def wait(self, seconds: float) -> None:
        """Let it come to an end, for a person who is about to decide."""
        for child in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)

    def report(self) -> None:
        """Warn of what was found so far, and end what still runs."""
        self._timer.cancel()
        with self._guard:
            self._over, ended, self.running = True, self.running, []
        for child in ended:
            if child.poll() is None:
                child.kill()
                threading.Thread(target=child.communicate, daemon=True).start()
            elif child.returncode:
                lines = [line.strip() for line in child.communicate()[1].splitlines() if line.strip()]
                self.context.observer.warn(f"deno check does not pass: {'; '.join(lines[:2])}")

    def _begin(self) -> None:
        with self._guard:
            if not self._over:
                self.running = [self._start(path, group) for path, group in self._groups.items()]

    def _start(self, path: str, items: list[PlannedFunction]) -> subprocess.Popen[str]:
        app = self.context.app.resolve()
        options = graph.map_options(importmap.load(app / path) if path else None, self.context.state)
        entrypoints = [str(app / item.source.entrypoint) for item in items]
        argv = [deno.executable(), "check", "--quiet", "--no-lock", *options, *entrypoints]
        env = deno.environment(self.context.state / "deno")
        child = subprocess.Popen(
            argv, env=env, cwd=app, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        if not self.asks:
            _stand_back(child.pid)
        return child


def _stand_back(pid: int) -> None:
    """Only idle time is for it."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
