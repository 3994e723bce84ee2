"""A line for each request that the sandbox has answered: the server writes them, `inv sandbox` shows them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from migration.rehearsal.history import RecordedRequest

NAME = "requests.log"
_LARGEST = 16 * 2**20  # bytes, after which the file begins anew
_TURN = 0.2  # seconds between two looks at it
_LONGEST = 300  # characters of a path


class RequestLog:
    """Appends to one file, begun anew at each start; `leads` says which paths stand in for which hosts."""

    def __init__(self, file: Path, leads: Callable[[], Mapping[str, str]]) -> None:
        self._file = file
        self._leads = leads
        file.write_bytes(b"")

    def write(self, entry: RecordedRequest, version: int | None, why: str | None = None) -> None:
        """`version` is that of the function that answered, `why` what the settings lack for this request.

        What is in queries and headers is left out: keys are.
        """
        line = {
            "at": entry.at,
            "method": entry.method,
            "status": entry.status,
            "ms": round((entry.seconds or 0) * 1000),
            "where": address(entry.path, self._leads())[:_LONGEST],
            "function": entry.slug if entry.operation in ("stage", "deploy") else None,  # elsewhere the path names it
            "version": version,
            "fault": entry.fault["do"] if entry.fault else None,
            "why": why,
        }
        with self._file.open("ab") as target:
            if target.tell() > _LARGEST:
                target.truncate(0)
            target.write(json.dumps(line).encode() + b"\n")


def address(path: str, leads: Mapping[str, str]) -> str:
    """What a function asked for, where the path is that of a host's stand-in; the path itself for all else."""
    for host, prefix in leads.items():
        if prefix and path.startswith(f"{prefix}/"):
            return f"https://{host}{path.removeprefix(prefix)}"
    return path


def follow(file: Path, alive: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Each line that is written from now on, until the server is gone."""
    with file.open("rb") as source:
        source.seek(0, os.SEEK_END)
        rest = b""
        while True:
            last = not alive()
            if file.stat().st_size < source.tell():
                source.seek(0)
            *lines, rest = (rest + source.read()).split(b"\n")
            yield from map(json.loads, lines)
            if last:
                return
            time.sleep(_TURN)
