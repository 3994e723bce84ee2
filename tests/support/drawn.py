"""What a person reads of a result."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console

from migration.cli.results.draw import draw
from migration.cli.sink import one_line


def drawn(kind: str, result: Any) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    draw(kind, json.loads(one_line(result)), console)
    return console.export_text()
