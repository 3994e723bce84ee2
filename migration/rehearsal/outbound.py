"""What functions ask of declared hosts: led to the stand-in by the header Host, too, and written to the logs.

The platform has no such rows: they have a source of their own, which only `inv logs` on a sandbox reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from migration.config.logsql import HOST
from migration.rehearsal import rows
from migration.rehearsal.hosts import PREFIX
from migration.rehearsal.types import Sandbox

CALLER = b"x-sandbox-caller"  # function id, version and execution id: the preload module sends them


class Outbound:
    """The outermost layer. Sockets of Node's lead here with a path alone, and the host in its header.

    `leads` gives host -> path of the stand-in, once the sandbox has an address.
    """

    def __init__(self, app: ASGIApp, sandbox: Sandbox, leads: Callable[[], Mapping[str, str]]) -> None:
        self.app = app
        self.sandbox = sandbox
        self.leads = leads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope = self._led(scope)
        caller = dict(scope["headers"]).get(CALLER, b"").decode("latin-1")
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != CALLER]}
        if not scope["path"].startswith(f"{PREFIX}/"):
            return await self.app(scope, receive, send)
        return await self._recorded(scope, receive, send, caller)

    def _led(self, scope: Scope) -> Scope:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").removesuffix(":443").removesuffix(":80")
        before = self.leads().get(host, "")
        if not before or scope["path"].startswith(f"{before}/"):
            return scope
        raw = before.encode() + (scope.get("raw_path") or scope["path"].encode())
        return {**scope, "path": before + scope["path"], "raw_path": raw}

    async def _recorded(self, scope: Scope, receive: Receive, send: Send, caller: str) -> None:
        began, status = time.monotonic(), 0

        async def passed(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, passed)
        finally:
            self._write(scope, status, time.monotonic() - began, caller)

    def _write(self, scope: Scope, status: int, seconds: float, caller: str) -> None:
        """Query and headers are left out: keys are in them."""
        host, _, path = scope["path"].removeprefix(f"{PREFIX}/").partition("/")
        function, version, execution = [*caller.split(" "), "", "", ""][:3]
        attributes = {
            "function_id": function, "version": version, "execution_id": execution, "event_type": "Host",
            "level": "error" if status >= 500 or not status else "warning" if status >= 400 else "info",
            "response.status_code": str(status), "execution_time_ms": str(round(seconds * 1000)),
            "request.method": scope["method"], "request.host": host, "region": self.sandbox.region,
            "project_ref": self.sandbox.identity.project_ref,
        }  # fmt: skip
        message = f"{scope['method']} | {status or 'no answer'} | https://{host}/{path}"
        self.sandbox.logs.append([rows.row(datetime.now(UTC), message, HOST, attributes)])
