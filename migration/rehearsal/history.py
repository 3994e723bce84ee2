"""The requests that the sandbox received, what each changed and how it was answered, for tests with a model."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_KEPT = 5_000
_SHOWN = 20_000
_BULKY = {"logs", "body"}  # answers of which only size and digest are kept


@dataclass
class RecordedRequest:
    """One request. `effect` is what changed, also when the answer got lost; `status` None when none was sent whole.

    `order` is the place of its effect and of what it read among all others; None when the app never saw it.
    """

    number: int
    at: str
    method: str
    path: str
    query: Mapping[str, Any]
    operation: str
    slug: str | None
    fault: Mapping[str, Any] | None = None
    request: Any = None
    effect: Mapping[str, Any] | None = None
    status: int | None = None
    answer: Any = None
    seconds: float | None = None
    order: int | None = None
    began: float = field(default_factory=time.monotonic, repr=False)

    def end(self) -> None:
        self.seconds = round(time.monotonic() - self.began, 4)

    def shown(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "began"}


class RequestHistory:
    """The last requests, oldest first; numbers go on over `clear`, so that none is taken for another."""

    def __init__(self) -> None:
        self._entries: deque[RecordedRequest] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._orders = itertools.count(1)

    def begin(
        self, method: str, path: str, query: Mapping[str, Any], operation: str, slug: str | None
    ) -> RecordedRequest:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        single = {name: values[0] if len(values) == 1 else values for name, values in query.items()}
        entry = RecordedRequest(next(self._numbers), at, method, path, single, operation, slug)
        self._entries.append(entry)
        return entry

    def acted(self, entry: RecordedRequest) -> None:
        """The app has handled it: nothing else came in between."""
        entry.order = next(self._orders)

    def shown(self, since: int = 0, operation: str | None = None) -> list[dict[str, Any]]:
        return [
            entry.shown()
            for entry in self._entries
            if entry.number > since and operation in (None, entry.operation)
        ]  # fmt: skip

    def clear(self) -> None:
        self._entries.clear()


def summary(operation: str, content_type: str, body: bytes) -> Any:
    """The content of a body, without the values of secrets and without the files of an upload."""
    if not body:
        return None
    shown = "json" in content_type and len(body) <= _SHOWN and operation not in _BULKY
    known = _json(body) if shown else None
    if operation == "secrets_set" and isinstance(known, list):
        return [row.get("name") for row in known if isinstance(row, dict)]
    return known if known is not None else {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
