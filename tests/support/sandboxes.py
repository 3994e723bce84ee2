"""`inv sandbox` of a project, in a terminal of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import schema
from tests.support.project import Project, environment


@contextmanager
def sandbox(project: Project) -> Iterator[dict[str, Any]]:
    """What it prints once it answers; it is ended as Ctrl-C ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "sandbox", "--port", "0", "--json"],
        cwd=project.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield schema.check(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
