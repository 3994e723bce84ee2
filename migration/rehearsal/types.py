"""What the parts of the sandbox know of each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from migration.rehearsal.identity import Identity


@dataclass(frozen=True)
class LiveFunction:
    """A deployed function version as the gateway serves it; `tree` holds the uploaded files by their sent paths.

    `static`: the patterns of files in it that the function may read while it runs.
    """

    id: str
    slug: str
    version: int
    tree: Path
    entrypoint: str
    import_map: str
    verify_jwt: bool
    static: tuple[str, ...] = ()


@dataclass(frozen=True)
class SandboxLogRow:
    """One row of the hosted `logs` table; every value of `log_attributes` is a string."""

    id: str
    timestamp: datetime
    event_message: str
    source: str
    severity_text: str = ""
    log_attributes: Mapping[str, str] = field(default_factory=dict)


class LogSink(Protocol):
    """Takes rows; returns before they can be queried."""

    def append(self, rows: Sequence[SandboxLogRow]) -> None: ...

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]: ...


class Functions(Protocol):
    """What is live; a fault may make one region answer with an older version."""

    def live(self, slug: str, region: str | None = None) -> LiveFunction | None: ...

    def secrets(self) -> dict[str, str]: ...


class FaultSource(Protocol):
    """Faults that tests and drills switch on; `take` uses one up, None when there is none for this call."""

    def take(self, operation: str, slug: str | None = None, region: str | None = None) -> Mapping[str, Any] | None: ...


@dataclass
class Sandbox:
    """Everything that the parts share; `settings` is the section `rehearsal` of config.yaml as a plain mapping.

    `closing` ends what the parts started, and can be called again after they started more; `resetting` brings a part
    back to its first state. `accepts` is asked about a token whose signature the sandbox itself cannot check.
    """

    folder: Path
    identity: Identity
    functions: Functions
    logs: LogSink
    faults: FaultSource
    settings: Mapping[str, Any]
    url: str = ""
    region: str = "eu-central-1"
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    resetting: list[Callable[[], None]] = field(default_factory=list)
    accepts: Callable[[str], Awaitable[bool]] | None = None
