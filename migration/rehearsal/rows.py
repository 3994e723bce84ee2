"""Log rows of functions, as the hosted platform writes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from migration.rehearsal.exchange import Exchange
from migration.rehearsal.identity import algorithm, bearer
from migration.rehearsal.launch import deployment_id
from migration.rehearsal.types import LiveFunction, Sandbox, SandboxLogRow

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
            **served_by(self.sandbox, self.live),
            **(extra or {}),
        }
        self.sandbox.logs.append([row(when, text[:LONGEST], "function_logs", attributes)])


def served_by(sandbox: Sandbox, live: LiveFunction) -> dict[str, str]:
    return {
        "function_id": live.id,
        "version": str(live.version),
        "deployment_id": deployment_id(sandbox.identity, live),
        "project_ref": sandbox.identity.project_ref,
    }


def row(when: datetime, message: str, source: str, attributes: Mapping[str, str]) -> SandboxLogRow:
    return SandboxLogRow(str(uuid.uuid4()), when, message, source, "", attributes)


def now() -> float:
    return datetime.now(UTC).timestamp() * 1000


_REQUEST_HEADERS = (
    "accept", "accept-encoding", "content-length", "content-type", "host", "referer", "user-agent", "x-client-info",
    "x-forwarded-proto", "x-real-ip",
)  # fmt: skip
_ANSWER_HEADERS = (
    "content-length", "content-type", "date", "sb-request-id", "server", "vary", "x-sb-edge-region", "x-served-by",
)  # fmt: skip
_GONE = 499  # the caller left before there was an answer


def write(sandbox: Sandbox, exchange: Exchange, seconds: float) -> None:
    """The row of a finished request; `seconds` from its first byte to its last."""
    status, method = exchange.status or _GONE, exchange.scope["method"]
    url = _url(sandbox, exchange)
    attributes = {
        "execution_id": exchange.execution if exchange.live else "",
        "execution_time_ms": str(round(seconds * 1000)),
        **_function(sandbox, exchange),
        **_request(exchange, url),
        **_token(exchange.headers),
        "response.status_code": str(status),
        **_named("response.headers", _ANSWER_HEADERS, _decoded(exchange)),
    }
    message = f"{method} | {status} | {url}"
    sandbox.logs.append([row(datetime.now(UTC), message, "function_edge_logs", attributes)])


def _function(sandbox: Sandbox, exchange: Exchange) -> dict[str, str]:
    """All empty when the gateway refused: then no function is concerned."""
    if exchange.live:
        return served_by(sandbox, exchange.live)
    return {"function_id": "", "version": "", "deployment_id": "", "project_ref": sandbox.identity.project_ref}


def _request(exchange: Exchange, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "request.method": exchange.scope["method"],
        "request.url": url,
        "request.host": parts.hostname or "",
        "request.pathname": parts.path,
        "request.search": f"?{parts.query}" if parts.query else "",
        "request.protocol": f"{parts.scheme}:",
        "request.port": str(parts.port or ""),
        **_named("request.headers", _REQUEST_HEADERS, exchange.headers),
    }


def _token(headers: Headers) -> dict[str, str]:
    """What the platform writes down of the caller's keys: how they are signed or how they begin, never more."""
    token, key = bearer(headers.get("authorization", "")) or "", headers.get("apikey", "")
    signed = algorithm(token) if token and not token.startswith("sb_") else None
    claims = {
        "request.sb.jwt.authorization.payload.algorithm": signed or "",
        "request.sb.jwt.authorization.invalid": "true" if token and not signed and token[:3] != "sb_" else "",
        "request.sb.apikey.authorization.prefix": _prefix(token),
        "request.sb.apikey.apikey.prefix": _prefix(key),
    }
    return {name: value for name, value in claims.items() if value}


def _prefix(key: str) -> str:
    return next((kind for kind in ("sb_publishable_", "sb_secret_") if key.startswith(kind)), "")


def _decoded(exchange: Exchange) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in exchange.answer}


def _named(prefix: str, names: tuple[str, ...], headers: Mapping[str, Any]) -> dict[str, str]:
    return {f"{prefix}.{name.replace('-', '_')}": str(headers[name]) for name in names if name in headers}


def _url(sandbox: Sandbox, exchange: Exchange) -> str:
    path = exchange.scope["path"]
    query = exchange.scope["query_string"].decode("latin-1")
    return f"{sandbox.url}{path}{'?' + query if query else ''}"
