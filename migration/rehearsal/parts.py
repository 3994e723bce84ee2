"""What the composition hands to the parts in place of the thing itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from migration.base.errors import Refused

from . import auth, gateway, logs_api, providers
from .faults import FaultBox
from .logstore import Ingest, LogStore
from .operations import OPERATIONS
from .providers import shared
from .providers.program import BadProgram
from .types import Identity, LogRow, Sandbox

_HANDED = {"route"}


class LazyLogs:
    """The log store, opened at its first use: the engine takes half a second and 400 MB to load."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = settings
        self._lock = threading.Lock()
        self._store: LogStore | None = None

    def open(self) -> None:
        """Load the engine now, so that nobody waits for it later."""
        assert self.store

    @property
    def store(self) -> LogStore:
        with self._lock:
            if self._store is None:
                self._store = LogStore(self._folder, Ingest.of(self._settings))
                self._store.quote_counts = bool(self._settings.get("quote_counts", False))
            return self._store

    def append(self, rows: Sequence[LogRow]) -> None:
        self.store.append(rows)

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return self.store.query(sql, start, end)

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


class Handed:
    """The faults that the parts act on themselves; the rest is acted on at the connection, and counted once."""

    def __init__(self, box: FaultBox) -> None:
        self._box = box

    def take(self, operation: str, slug: str | None = None, region: str | None = None) -> Mapping[str, Any] | None:
        acted_on = operation in OPERATIONS and operation not in _HANDED
        return None if acted_on else self._box.take(operation, slug, region)


def first_secrets(identity: Identity) -> dict[str, str]:
    """What the made-up project has before its migration: the pool of Gemini keys."""
    return {f"GOOGLE_KEY_{number}": key for number, key in enumerate(identity.google_keys, start=1)}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Every route that is not the Management API's own or `/_sandbox`. Refused for a wrong fault program."""
    try:
        return [each for part in (logs_api, providers, gateway, auth) for each in part.routes(sandbox)]
    except BadProgram as error:
        raise Refused(f"rehearsal.providers: {error}") from None


def forget(sandbox: Sandbox) -> None:
    """The provider stand-ins go back to the programs that they were started with."""
    shared.of(sandbox).reset()


async def close(sandbox: Sandbox) -> None:
    """Let every part end what it began."""
    for end in sandbox.closing:
        await end()
