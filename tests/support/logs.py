"""Log rows for tests, and a Management API client that asks a store of this process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migration.base.clock import Clock
from migration.base.errors import ApiError
from migration.clients.supabase_types import Function
from migration.config import load as configuration
from migration.config.environment import Environment
from migration.config.settings import Config
from migration.context import Context
from migration.rehearsal.identity import Identity
from migration.rehearsal.logrules import SqlError
from migration.rehearsal.logs_api import span
from migration.rehearsal.logstore import LogStore
from migration.rehearsal.types import Sandbox, SandboxLogRow
from tests.support.built import built
from tests.support.collector import Collector

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def row(
    message: str,
    seconds: float = 0,
    *,
    source: str = "function_logs",
    id: str | None = None,  # noqa: A002 (the column's name)
    **attributes: str,
) -> SandboxLogRow:
    """A row `seconds` after noon; attributes by their key, `__` for a dot."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    if source == "function_logs":
        named = {"event_type": "Log", "level": "info"} | named
    return SandboxLogRow(id or str(uuid.uuid4()), NOON + timedelta(seconds=seconds), message, source, "", named)


class NoFaults:
    def take(self, *_: Any) -> Mapping[str, Any] | None:
        return None


class Planned(NoFaults):
    """Each call takes the next planned fault; then none."""

    def __init__(self, *faults: Mapping[str, Any] | None) -> None:
        self.faults = list(faults)

    def take(self, operation: str, *_: Any) -> Mapping[str, Any] | None:
        return self.faults.pop(0) if operation == "logs" and self.faults else None


IDENTITY = Identity("abcdefghijklmnopqrst", *(("x",) * 11), google_keys=())


def sandbox(store: Any, tmp_path: Any, faults: Any = None, **settings: Any) -> Sandbox:
    """A sandbox of which only the log store is real."""
    return Sandbox(tmp_path, IDENTITY, None, store, faults or NoFaults(), {"logs": settings})  # type: ignore[arg-type]


class Direct:
    """The client's `logs` without the wire: the same rules, limits and errors, over a store of this process.

    `arriving` holds (moment, row): a row can be read once the clock has passed its moment.
    """

    ref = IDENTITY.project_ref

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.arriving: list[tuple[datetime, SandboxLogRow]] = []
        self.failures: list[Exception] = []
        self.queries: list[str] = []
        self.deployed: list[Function] = []

    def functions(self) -> list[Function]:
        return self.deployed

    def logs(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        self.queries.append(sql)
        if self.failures:
            raise self.failures.pop(0)
        self._arrive()
        try:
            return self.store.query(sql, *span(start.isoformat(), end.isoformat(), self.clock.now()))
        except SqlError as error:
            raise ApiError("reading the logs", status=500, body=str(error), operation="reading the logs") from None

    def _arrive(self) -> None:
        now = self.clock.now()
        self.store.append([found for at, found in self.arriving if at <= now])
        self.arriving = [item for item in self.arriving if item[0] > now]


SHIPPED = configuration.load(Path())
USAGE = SHIPPED.signals["usage"].pattern


def config(**sections: Any) -> Config:
    """A configuration with two migrated functions and the shipped signals."""
    data = {
        "migration": {"name": "test", "functions": ["artifact", "fix"], "unchanged": ["chat"], "to": "openrouter"},
        "app": {"path": "app"},
        "environments": {"prod": {"project_ref": IDENTITY.project_ref, "url": "http://127.0.0.1:9"}},
        "providers": {
            "openrouter": {
                "kind": "openrouter",
                "model": "m",
                "price": {"input": 0.6, "cached_input": 0.15, "output": 2.5},
            }
        },
        "signals": {
            "new_route": {"pattern": "Routing to Kimi"},
            "usage": {"pattern": USAGE},
            "retry": {"pattern": r"(?i)\bretry"},
        },
    }
    return built(Config, data | sections)


def context(tmp_path: Path, source: Direct, **sections: Any) -> Context:
    """A run's surroundings whose log endpoint is `source`; no ledger, no provider."""
    found = Context(
        config(**sections),
        Environment("prod", "http://127.0.0.1:9", IDENTITY.project_ref, embedded=True),
        tmp_path,
        tmp_path / "app",
        Collector(),
        source.clock,
    )
    found.__dict__["supabase"] = source
    return found


def deployed(slug: str, id_: str) -> Function:
    return Function(id_, slug, slug, "ACTIVE", 1)
