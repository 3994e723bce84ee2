"""Where text leaves us: every write is masked, and a closed pipe ends quietly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from migration.common.secrets_type import MASK, Secret, mask


class Masked:
    """A text stream that lets no registered secret through; what its encoding lacks goes out as JSON writes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.masks = True

    def write(self, text: str) -> int:
        safe = mask(text) if self.masks else text
        try:
            self._stream.write(safe)
        except UnicodeEncodeError:  # a terminal that is not UTF-8, or a file name that is not
            self._stream.write("".join(one if one.isascii() else json.dumps(one)[1:-1] for one in safe))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "utf-8"


def plain(value: Any) -> Any:
    """A result as JSON-able data: dataclasses by field (or `as_json`), times in ISO, secrets masked."""
    if hasattr(value, "as_json"):
        return plain(value.as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name.rstrip("_"): plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
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


def one_line(value: Any) -> str:
    """One JSON object in one line."""
    return json.dumps(plain(value), ensure_ascii=False)
