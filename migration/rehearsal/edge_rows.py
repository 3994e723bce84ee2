"""Rows of `function_edge_logs`: one for each request to a function."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from . import access, rows
from .exchange import Exchange
from .types import Sandbox

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
    sandbox.logs.append([rows.row(datetime.now(UTC), message, "function_edge_logs", attributes)])


def _function(sandbox: Sandbox, exchange: Exchange) -> dict[str, str]:
    """All empty when the gateway refused: then no function is concerned."""
    if exchange.live:
        return rows.identity(sandbox, exchange.live)
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
    token, key = access.bearer(headers.get("authorization", "")) or "", headers.get("apikey", "")
    algorithm = access.algorithm(token) if token and not token.startswith("sb_") else None
    found = {
        "request.sb.jwt.authorization.payload.algorithm": algorithm or "",
        "request.sb.jwt.authorization.invalid": "true" if token and not algorithm and token[:3] != "sb_" else "",
        "request.sb.apikey.authorization.prefix": _prefix(token),
        "request.sb.apikey.apikey.prefix": _prefix(key),
    }
    return {name: value for name, value in found.items() if value}


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
