"""A result as data: what `--json` prints and a report holds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from migration.base.command import Chain, Command, Do, Shell, Steps
from migration.base.secrets_type import MASK, Secret


class Lazily(Sequence[Any]):
    """A list whose items are made when they are read, each time: of a long ledger no two rows need be in memory."""

    def __init__(self, parts: Sequence[Any], make: Callable[[Any], Any]) -> None:
        self._parts, self._make = parts, make

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Any]:
        return map(self._make, self._parts)

    def __getitem__(self, place: Any) -> Any:
        part = self._parts[place]
        return Lazily(part, self._make) if isinstance(place, slice) else self._make(part)


def plain(value: Any) -> Any:
    """A result as data: dataclasses by field (or `as_json`), times in ISO, secrets masked.

    Steps stay values, so that whoever draws them knows a command from a label; JSON writes them as text.
    """
    if isinstance(value, Command | Shell | Chain | Do | Steps):
        return value
    if hasattr(value, "as_json"):
        return plain(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name.rstrip("_"): plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, Lazily):
        return Lazily(value, plain)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | Path):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


# Keys that hold text of others, in which a time is a text like any other.
_FREE = frozenset({"message", "text", "body", "evidence", "got", "log_lines", "diff"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def timed(data: Any) -> Any:
    """Data with every time in one format: RFC 3339, UTC, milliseconds (`2026-11-27T14:53:15.120Z`)."""
    if isinstance(data, dict):
        return {key: inner if key in _FREE else timed(inner) for key, inner in data.items()}
    if isinstance(data, list | Lazily):
        return [timed(inner) for inner in data]
    if isinstance(data, str) and len(data) < 40 and _TIME.fullmatch(data):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(data).astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return data
