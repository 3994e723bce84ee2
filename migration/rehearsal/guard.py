"""What stands before every Management API route: the token, the project, permissions and the rate limit."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from migration.rehearsal.operations import operation, query_of

_PROJECT = re.compile(r"/v[12]/projects/([^/]+)(?:/.*)?")
_REF = re.compile(r"[a-z]{20}")
_FORBIDDEN = "Your account does not have the necessary privileges to access this endpoint."
_READS, _WRITES = ("list", "get", "body"), ("stage", "deploy", "activate", "update", "delete")
PERMISSIONS = {
    **dict.fromkeys(_READS, "edge_functions_read"),
    **dict.fromkeys(_WRITES, "edge_functions_write"),
    "secrets_list": "edge_functions_secrets_read",
    "secrets_set": "edge_functions_secrets_write",
    "secrets_unset": "edge_functions_secrets_write",
    "logs": "analytics_logs_read",
}


class Guard:
    """Tokens map to their permissions, None for all of them; `limits` maps operations (`default`) to calls a minute."""

    def __init__(
        self,
        app: ASGIApp,
        ref: str,
        tokens: Mapping[str, Sequence[str] | None],
        limits: Mapping[str, int],
        seconds: float = 60.0,
    ) -> None:
        self.app = app
        self.ref = ref
        self.tokens = tokens
        self.windows = Windows(limits, seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(("/v1/", "/v2/")):
            return await self.app(scope, receive, send)
        name, _ = operation(scope["method"], scope["path"], query_of(scope["query_string"]))
        limited = self.windows.headers(name, f"{scope['method']} {name}")
        refused = self._refused(scope, name) or _throttled(limited)
        if refused is None:
            return await self.app(scope, receive, _adding(send, limited))
        return await refused(scope, receive, _adding(send, limited))

    def _refused(self, scope: Scope, name: str) -> JSONResponse | None:
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or token not in self.tokens:
            return problem(401, "Unauthorized")
        return self._project(scope["path"]) or self._permitted(self.tokens[token], name)

    def _project(self, path: str) -> JSONResponse | None:
        match = _PROJECT.fullmatch(path)
        if match is None or match[1] == self.ref:
            return None
        if not _REF.fullmatch(match[1]):
            return problem(400, "ref: must be 20 lower-case letters")
        return problem(404, "Project not found")

    def _permitted(self, held: Sequence[str] | None, name: str) -> JSONResponse | None:
        needed = PERMISSIONS.get(name)
        if held is None or needed is None or needed in held:
            return None
        return problem(403, _FORBIDDEN, missing_permissions=[needed])


class Windows:
    """Calls in the running window per endpoint; a limit of 0 counts nothing."""

    def __init__(self, limits: Mapping[str, int], seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._seconds = seconds
        self._now = now
        self._calls: dict[str, tuple[float, int]] = {}

    def headers(self, name: str, endpoint: str) -> dict[str, str]:
        """Counts this call; a remaining of -1 means that it is one too many."""
        limit = self._limits.get(name, self._limits.get("default", 120))
        began, count = self._calls.get(endpoint, (self._now(), 0))
        if self._now() - began >= self._seconds:
            began, count = self._now(), 0
        self._calls[endpoint] = (began, count + 1)
        reset = max(1, math.ceil(began + self._seconds - self._now()))
        left = limit - count - 1 if limit else 120
        shown = {"limit": limit or 120, "remaining": max(left, -1), "reset": reset}
        return {f"x-ratelimit-{key}": str(value) for key, value in shown.items()}


async def unknown(request: Request, _: Exception) -> Response:
    """404 for a path or a method that the platform does not have, or that the sandbox does not stand in for."""
    path = request.url.path
    what = next((words for part, words in _ABSENT.items() if re.search(part, path)), "it")
    return problem(404, f"Cannot {request.method} {path}: the sandbox has no stand-in for {what}")


# Of the Management API, by a part of the path: https://supabase.com/docs/reference/api
_ABSENT = {
    "/branches(/|$)": "preview branches",
    "/types/": "types of a database",
    "/custom-hostname": "custom domains",
    "/vanity-subdomain": "vanity subdomains",
    "/pgsodium": "the root key of a database",
    "/config/auth/": "single sign-on and further sign-in settings",
    "/advisors/": "advisors",
    "/database/backups/": "backups that can be restored",
    "/network-bans": "bans that can be lifted",
    "/notebooks": "notebooks",
    "/snippets/": "saved SQL",
    "/v1/projects$": "further projects",
    "/v1/organizations$": "further organizations",
}


def problem(status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> JSONResponse:
    """An error answer of the Management API."""
    return JSONResponse({"message": message, **more}, status, headers=dict(headers or {}))


def _throttled(limited: dict[str, str]) -> JSONResponse | None:
    if limited["x-ratelimit-remaining"] != "-1":
        return None
    limited["x-ratelimit-remaining"] = "0"
    return problem(429, "ThrottlerException: Too Many Requests", {"retry-after": limited["x-ratelimit-reset"]})


def _adding(send: Send, headers: Mapping[str, str]) -> Send:
    async def passed(message: Message) -> None:
        if message["type"] == "http.response.start":
            shown = MutableHeaders(scope=message)
            for name, value in headers.items():
                shown.setdefault(name, value)  # the log route keeps a budget of its own
        await send(message)

    return passed
