"""The lines of `supabase functions serve`, from a file or a command: `environments.NAME.logs`.

The runtime writes "serving the request with supabase/functions/SLUG" before a request, each console line as
"[Info] …" (or Error, Warning, Debug), and words of its own without a level; `docker logs -t` puts a time before each.
https://github.com/supabase/edge-runtime (the events of a worker) and supabase/cli issue 3006 show the form.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from migration.base.command import Do
from migration.base.errors import Refused, ServiceFailed
from migration.base.secrets_type import spare
from migration.config import signals

if TYPE_CHECKING:
    from migration.context import Context

PATIENCE = 30.0  # seconds for a command that prints lines
LARGEST = 64 * 1024 * 1024  # bytes that are read, the newest
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z ")
_SERVING = re.compile(r"serving the request with \S*?functions/([^/\s]+)")
_LEVELED = re.compile(r"\[(Debug|Info|Warning|Warn|Error|Fatal)\] ", re.IGNORECASE)
_LEVELS = {"warning": "warn", "fatal": "error"}
# What the runtime says itself; anything else without a level goes on with the message before.
_RUNTIME = re.compile(
    r"wall clock|early termination|cpu time|memory limit|event loop error|worker boot error|runtime has escaped|"
    r"user worker|main worker|invalidworker|setting up edge|serving functions on|using supabase-edge|"
    r"legacy token|stopped serving|[a-z0-9-]* ?shutdown\b",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"event loop error|worker boot error|InvalidWorker|user worker failed")
_BOOTED = "Listening on http"  # the worker's own line, at every start


@dataclass(frozen=True)
class LocalLine:
    """One message. `at` is None where the lines have no times; `function` "" before the first request."""

    number: int
    at: datetime | None
    function: str
    level: str
    message: str

    @property
    def request(self) -> str:
        """The request's id that the message begins with, if any."""
        return signals.request_id(self.message)


def configured(context: Context) -> str:
    """The file or command of this environment; "" where its logs are the platform's."""
    own = context.environment
    return "" if own.project_ref else own.logs.source or ""


def read(context: Context) -> list[LocalLine]:
    """Every message, oldest first. Refused without the file; ServiceFailed for a command that fails."""
    return parse(_text(configured(context), context.config.folder))


def parse(text: str) -> list[LocalLine]:
    """Messages of several lines are one; a function's line is the one that was served last, or its request's."""
    lines_read: list[LocalLine] = []
    current, owners = "", dict[str, str]()
    for line in text.splitlines():
        at, bare = _stamped(line)
        if match := _SERVING.search(bare):
            current = match[1]
        elif match := _LEVELED.match(bare):
            level = match[1].lower()
            message = bare[match.end() :]
            if not message.startswith(_BOOTED):
                request = signals.request_id(message)
                owner = owners.setdefault(request, current) if request else current
                lines_read.append(LocalLine(len(lines_read) + 1, at, owner, _LEVELS.get(level, level), message))
        elif _RUNTIME.match(bare):
            level = "error" if _BROKEN.search(bare) else "info"
            lines_read.append(LocalLine(len(lines_read) + 1, at, current, level, bare))
        elif lines_read:
            lines_read[-1] = replace(lines_read[-1], message=f"{lines_read[-1].message}\n{bare}")
    return [replace(one, message=one.message.rstrip()) for one in lines_read]


def of_request(lines: list[LocalLine], request: str) -> Iterator[str]:
    """The messages of one request, by its id."""
    return (line.message for line in lines if request and line.request == request)


def _stamped(line: str) -> tuple[datetime | None, str]:
    match = _STAMP.match(line)
    if match is None:
        return None, line
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    fraction = (match[2] or ".0")[1:7].ljust(6, "0")
    return whole.replace(microsecond=int(fraction)), line[match.end() :]


def _text(source: str, folder: Path) -> str:
    file = folder / source
    if file.is_file():
        with file.open("rb") as stream:
            stream.seek(max(file.stat().st_size - LARGEST, 0))
            return stream.read().decode("utf-8", "replace")
    if not re.search(r"\s", source):
        steps = Do(f"supabase functions serve > {source} 2>&1"), Do("or name a command, such as docker logs -t NAME")
        raise Refused(f"There is no file {file} with the lines of `supabase functions serve`.", *steps)
    try:
        code, data = _printed(source, folder)
    except subprocess.TimeoutExpired:
        text = f"{source} did not end within {PATIENCE:.0f}s: it must print the lines and end (no --follow)"
        raise ServiceFailed(text, Do("correct environments.NAME.logs in config.yaml")) from None
    text = data.decode("utf-8", "replace")
    if code:
        last = next(iter(reversed(text.strip().splitlines())), "")
        raise ServiceFailed(f"{source} ended with exit code {code}: {last}", Do("is the runtime running?"))
    return text


def _printed(command: str, folder: Path) -> tuple[int, bytes]:
    """The exit code of a command for the shell, and the newest of what it printed; without our secrets around it.

    TimeoutExpired when it goes on; it and what it started have ended then.
    """
    until, kept = time.monotonic() + PATIENCE, bytearray()
    child = subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=folder, env=spare(os.environ), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        try:
            while select.select([child.stdout], [], [], max(until - time.monotonic(), 0.0))[0]:
                part = os.read(child.stdout.fileno(), 1 << 20)
                if not part:
                    return child.wait(max(until - time.monotonic(), 0.1)), bytes(kept[-LARGEST:])
                kept += part
                if len(kept) > 2 * LARGEST:
                    del kept[:-LARGEST]
            raise subprocess.TimeoutExpired(command, PATIENCE)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
