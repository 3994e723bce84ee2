"""Files of this machine: reading one that a person names, whatever it turns out to be; removing old ones of ours."""

from __future__ import annotations

import errno
import os
import re
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST = 20_000_000  # bytes; what people write by hand is a thousandth of that
PATIENCE = 10.0  # seconds for whoever writes into a pipe: some password managers serve `.env` as one


def contents(path: Path, most: int = MOST, patience: float = PATIENCE) -> bytes:
    """All bytes of a file. OSError also for one that is larger than `most`, and for a pipe that stays silent."""
    until = time.monotonic() + patience
    parts: list[bytes] = []
    size = 0
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        while True:
            if not select.select([descriptor], [], [], max(until - time.monotonic(), 0.0))[0]:
                raise OSError(errno.ETIMEDOUT, f"nothing was written into it for {patience:.0f}s", str(path))
            part = os.read(descriptor, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > most:
                raise OSError(errno.EFBIG, f"it is larger than {most // 1_000_000} MB", str(path))
    finally:
        os.close(descriptor)


def by_name(path: Path) -> str:
    """Oldest first where names begin with a time."""
    return path.name


def by_use(path: Path) -> float:
    """The one that was written longest ago first; another process may be removing it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def keep_newest(folder: Path, names: re.Pattern[str], most: int, order: Callable[[Path], Any] = by_name) -> None:
    """Remove the oldest files but `most` of those whose whole name matches: others may keep their own files there."""
    ours = sorted((path for path in folder.iterdir() if names.fullmatch(path.name)), key=order)
    for old in ours[: max(len(ours) - most, 0)]:
        old.unlink(missing_ok=True)
