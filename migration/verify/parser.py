"""Deno's own parser for code that a model wrote: one child, kept for the run, that never executes what it reads."""

from __future__ import annotations

import atexit
import contextlib
import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Literal

from migration.base.command import inv
from migration.base.errors import ServiceFailed
from migration.source import deno

SCRIPT = Path(__file__).with_suffix(".ts")
_OPTIONS = ("--no-check", "--no-remote", "--no-npm", "--no-config", "--no-lock", "--no-prompt")
_SECONDS = 20.0
_ANSWER = "@@"

Language = Literal["tsx", "javascript"]


@dataclass(frozen=True)
class Module:
    """What Deno makes of a module: the first error or None, what it imports in any way, whether it has a default."""

    error: str | None
    imports: tuple[str, ...]
    default_export: bool


class Parser:
    """Starts Deno at the first request and again after it broke; safe to use from several threads."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._turn = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._answers: Queue[str | None] = Queue()

    def parse(self, code: str, language: Language = "tsx") -> Module:
        """Parses, strips types and compiles. ServiceFailed when Deno does not answer; Refused without Deno."""
        with self._turn:
            answer = self._ask(json.dumps({"code": code, "language": language}))
        return Module(answer["error"], tuple(answer["imports"]), answer["defaultExport"])

    def warm(self) -> None:
        """Start Deno now, so that the first answer does not wait for it."""
        with self._turn:
            self._running()

    def close(self) -> None:
        with self._turn:
            self._stop()

    def _ask(self, line: str) -> dict[str, Any]:
        child = self._running()
        assert child.stdin is not None
        try:
            child.stdin.write(line + "\n")
            child.stdin.flush()
            answer = self._answers.get(timeout=_SECONDS)
        except (OSError, Empty):
            answer = None
        if answer is None:
            self._stop()
            raise ServiceFailed("Deno could not parse an artifact: it ended or did not answer.", inv("smoke"))
        module: dict[str, Any] = json.loads(answer)
        return module

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            self._stop()
            self._child = subprocess.Popen(
                [deno.executable(), "test", *_OPTIONS, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=deno.environment(self._cache), encoding="utf-8", start_new_session=True,
            )  # fmt: skip
            self._answers = Queue()
            threading.Thread(target=_read, args=(self._child, self._answers), daemon=True).start()
        return self._child

    def _stop(self) -> None:
        """The child ends when its stdin does; one that hangs is killed."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]
        try:
            child.wait(1.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _read(child: subprocess.Popen[str], answers: Queue[str | None]) -> None:
    """Answers stand between the lines that `deno test` prints about itself."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith(_ANSWER):
            answers.put(line.removeprefix(_ANSWER))
    child.stdout.close()
    answers.put(None)


_parsers: dict[Path, Parser] = {}
_guard = threading.Lock()


def parser(state: Path) -> Parser:
    """The parser of this run, ended with it; `state` is the folder that holds Deno's cache."""
    with _guard:
        if state not in _parsers:
            _parsers[state] = Parser(state / "deno")
            atexit.register(_parsers[state].close)
        return _parsers[state]
