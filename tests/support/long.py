"""What a long run found, as a dated line of tests/LONG.md."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).parents[1] / "LONG.md"
HEAD = "# Long runs\n\nWhat `uv run pytest -m long` found, newest last; `LONG=1` writes it here.\n"
TABLE = "\n## {area}\n\n| date | what | rounds | seconds | result |\n|---|---|---|---|---|\n"


def report(area: str, what: str, rounds: int, seconds: float, found: Mapping[str, object]) -> None:
    """Add a line to the area's table. Does nothing unless LONG is set, so that a run changes no file by itself."""
    if not os.environ.get("LONG"):
        return
    with (Path(tempfile.gettempdir()) / "cutover-long.lock").open("w") as turn:  # several workers report at once
        fcntl.flock(turn, fcntl.LOCK_EX)
        _add(area, what, rounds, seconds, found)


def _add(area: str, what: str, rounds: int, seconds: float, found: Mapping[str, object]) -> None:
    text = FILE.read_text() if FILE.exists() else HEAD
    if f"\n## {area}\n" not in text:
        text += TABLE.format(area=area)
    facts = ", ".join(f"{name} {value}" for name, value in found.items())
    line = f"| {datetime.now(UTC):%Y-%m-%d} | {what} | {rounds} | {seconds:.0f} | {facts} |\n"
    start = text.index(f"\n## {area}\n") + 1
    end = text.find("\n## ", start)
    end = len(text) if end < 0 else end
    FILE.write_text(text[:end].rstrip("\n") + "\n" + line + text[end:])
