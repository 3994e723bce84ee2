"""Log rows of functions, as the hosted platform writes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .launch import deployment_id
from .types import LiveFunction, LogRow, Sandbox

LONGEST = 10_000  # characters; the platform cuts what is longer
SERVED_BY = "supabase-edge-runtime"
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Reporter:
    """Writes the console output and the lifecycle of one function version; times are milliseconds since 1970."""

    sandbox: Sandbox
    live: LiveFunction

    def boot(self, at: float, milliseconds: int, execution: str) -> None:
        text = f"booted (time: {milliseconds}ms)"
        self._write("Boot", text, "log", at, execution, {"boot_time": str(milliseconds)})

    def log(self, at: float, text: str, level: int, execution: str) -> None:
        self._write("Log", text, _LEVELS[level], at, execution)

    def uncaught(self, at: float, text: str, execution: str) -> None:
        self._write("UncaughtException", text, "error", at, execution)

    def boot_failure(self, text: str, execution: str) -> None:
        self._write("BootFailure", f"worker boot error: {text}", "error", now(), execution)

    def shutdown(self, reason: str, cpu: float | None, memory: Mapping[str, Any], execution: str) -> None:
        used = {"total": "heapTotal", "heap": "heapUsed", "external": "external"}
        extra = {f"memory_used.{name}": str(memory.get(key, 0)) for name, key in used.items()}
        extra |= {"reason": reason, "cpu_time_used": str(round((cpu or 0) * 1000))}
        self._write("Shutdown", "shutdown", "log", now(), execution, extra)

    def _write(
        self, event: str, text: str, level: str, at: float, execution: str, extra: Mapping[str, str] | None = None
    ) -> None:
        when = datetime.fromtimestamp(at / 1000, UTC)
        attributes = {
            "event_type": event,
            "level": level,
            "execution_id": execution,
            "region": self.sandbox.region,
            "served_by": SERVED_BY,
            "timestamp": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            **identity(self.sandbox, self.live),
            **(extra or {}),
        }
        self.sandbox.logs.append([row(when, text[:LONGEST], "function_logs", attributes)])


def identity(sandbox: Sandbox, live: LiveFunction) -> dict[str, str]:
    return {
        "function_id": live.id,
        "version": str(live.version),
        "deployment_id": deployment_id(sandbox.identity, live),
        "project_ref": sandbox.identity.project_ref,
    }


def row(when: datetime, message: str, source: str, attributes: Mapping[str, str]) -> LogRow:
    return LogRow(str(uuid.uuid4()), when, message, source, "", attributes)


def now() -> float:
    return datetime.now(UTC).timestamp() * 1000
