"""Writing files so that a kill leaves the old text or the new one, never half of either."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_PRIVATE = 0o600


def write_json(path: Path, value: Any) -> None:
    """One JSON document, readable by its owner alone."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_often(path: Path, value: Any) -> None:
    """The same for what changes with every request: it outlives a kill, and may not outlive a power cut."""
    write_text(path, json.dumps(value, ensure_ascii=False) + "\n", sync=False)


def write_text(path: Path, text: str, sync: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(temporary, text.encode(), sync)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


def _write(path: Path, data: bytes, sync: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
