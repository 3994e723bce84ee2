"""Log rows for tests, and a Management API client that asks a store of this process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from migration.rehearsal.types import Identity, LogRow, Sandbox

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def row(
    message: str,
    seconds: float = 0,
    *,
    source: str = "function_logs",
    id: str | None = None,  # noqa: A002 (the column's name)
    **attributes: str,
) -> LogRow:
    """A row `seconds` after noon; attributes by their key, `__` for a dot."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    if source == "function_logs":
        named = {"event_type": "Log", "level": "info"} | named
    return LogRow(id or str(uuid.uuid4()), NOON + timedelta(seconds=seconds), message, source, "", named)


class NoFaults:
    def take(self, *_: Any) -> Mapping[str, Any] | None:
        return None


class Planned(NoFaults):
    """Each call takes the next planned fault; then none."""

    def __init__(self, *faults: Mapping[str, Any] | None) -> None:
        self.faults = list(faults)

    def take(self, operation: str, *_: Any) -> Mapping[str, Any] | None:
        return self.faults.pop(0) if operation == "logs" and self.faults else None


IDENTITY = Identity("abcdefghijklmnopqrst", *["x"] * 11, google_keys=())


def sandbox(store: Any, tmp_path: Any, faults: Any = None, **settings: Any) -> Sandbox:
    """A sandbox of which only the log store is real."""
    return Sandbox(tmp_path, IDENTITY, None, store, faults or NoFaults(), {"logs": settings})  # type: ignore[arg-type]
