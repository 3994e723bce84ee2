"""`/functions/v1/SLUG`: who may call, which version answers, and what the platform says when none can."""

from __future__ import annotations

import asyncio
import json
import re
import time

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from migration.rehearsal import identity, nested, rows
from migration.rehearsal.exchange import PREFIX, Caller, Exchange, Upstream, WorkerLost, forward
from migration.rehearsal.identity import Refusal
from migration.rehearsal.isolate import Isolate
from migration.rehearsal.nested import NestedCalls
from migration.rehearsal.options import Limits
from migration.rehearsal.rows import SERVED_BY
from migration.rehearsal.serving import Protocol
from migration.rehearsal.types import LiveFunction, Sandbox
from migration.rehearsal.workers import NotBootable, Pool

REGIONS = frozenset({
    "us-west-1", "us-west-2", "us-east-1", "us-east-2", "ca-central-1", "eu-west-1", "eu-west-2", "eu-west-3",
    "eu-central-1", "eu-north-1", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "sa-east-1",
})  # fmt: skip
_LIMITS = ("CPUTime", "Memory", "WallClockTime")
_END = 2.0  # seconds a worker whose connection broke has to be gone, so that we know why

NOT_FOUND = Refusal(404, "NOT_FOUND", "Requested function was not found")
BOOT_ERROR = Refusal(503, "BOOT_ERROR", "Function failed to start (please check logs)")
WORKER_ERROR = Refusal(500, "WORKER_ERROR", "Function exited due to an error (please check logs)")
RESOURCES = Refusal(
    546, "WORKER_RESOURCE_LIMIT", "Function failed due to not having enough compute resources (please check logs)"
)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Refused when the section `rehearsal.edge` has a mistake."""
    gateway = Gateway(sandbox)
    sandbox.closing.append(gateway.pool.stop)
    return [Route(f"{PREFIX}/{{path:path}}", gateway), Route(PREFIX, gateway)]


class Gateway:
    """The ASGI application behind the route."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.limits = Limits.of(sandbox.settings)
        self.pool = Pool(sandbox, self.limits)
        self.nested = NestedCalls(self.limits.nested_calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, self._region(scope))
        caller = Caller(receive, send)
        chain = nested.chain(exchange.headers)
        if chain and (wait := self.nested.wait(chain)) is not None:  # one that never left the function that sent it
            return await Response(status_code=429, headers={nested.LIMITED.decode(): str(wait)})(scope, receive, send)
        try:
            await caller.unless_gone(self._serve(exchange, caller))
        except asyncio.CancelledError:  # the server ends: an answer is of more use than a traceback
            await self._refuse(exchange, caller, WORKER_ERROR)
        finally:
            rows.write(self.sandbox, exchange, time.monotonic() - exchange.began)
        return None

    async def _serve(self, exchange: Exchange, caller: Caller) -> None:
        slug = exchange.slug
        live = self.sandbox.functions.live(slug, exchange.region) if slug else None
        refusal = NOT_FOUND if live is None else await self._refusal(exchange, live)
        if refusal or live is None:
            return await self._refuse(exchange, caller, refusal or NOT_FOUND)
        exchange.live = live
        exchange.scope.setdefault("state", {})["version"] = live.version
        try:
            async with self.pool.lease(live, exchange.execution) as isolate:
                await self._pass(exchange, caller, isolate)
        except NotBootable:
            exchange.ran = False
            await self._refuse(exchange, caller, BOOT_ERROR)
        return None

    def _region(self, scope: Scope) -> str:
        """The header pins it; today's client library says the same in the query."""
        query = QueryParams(scope["query_string"])
        region = Headers(scope=scope).get("x-region") or query.get("forceFunctionRegion")
        return region if region in REGIONS else self.sandbox.region

    async def _refusal(self, exchange: Exchange, live: LiveFunction) -> Refusal | None:
        if exchange.scope["method"] == "OPTIONS" or not live.verify_jwt:
            return None
        refusal = identity.check(self.sandbox.identity, exchange.headers, self.limits.new_keys)
        if refusal is identity.ASYMMETRIC and self.sandbox.accepts is not None:
            token = identity.bearer(exchange.headers.get("authorization", ""))
            return None if token and await self.sandbox.accepts(token) else refusal
        return refusal

    async def _pass(self, exchange: Exchange, caller: Caller, isolate: Isolate) -> None:
        """The function's own answer, or the platform's when the function does not come to one."""
        idle = self.limits.idle_timeout
        scope = exchange.scope
        connection = scope.get("state", {}).get("connection")
        if connection is not None and exchange.headers.get("upgrade", "").lower() == "websocket":
            return await self._upgrade(exchange, caller, isolate, connection)
        sent = forward(isolate.port, scope["method"], exchange.target, exchange.sent(), caller.body(), idle)
        try:
            async with sent as upstream:
                if _uncaught(upstream):
                    isolate.retired = True
                    return await self._refuse(exchange, caller, WORKER_ERROR)
                await self._answer(exchange, caller, upstream)
        except TimeoutError:
            limit = f"Request idle timeout limit ({idle:g}s) reached"
            await self._refuse(exchange, caller, Refusal(504, "IDLE_TIMEOUT", limit))
        except WorkerLost:
            fate = isolate.fate if await isolate.ended(_END) else ""
            await self._refuse(exchange, caller, RESOURCES if fate in _LIMITS else WORKER_ERROR)
        return None

    async def _upgrade(self, exchange: Exchange, caller: Caller, isolate: Isolate, connection: Protocol) -> None:
        """A WebSocket: the worker answers 101, then bytes pass both ways until one end closes."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", isolate.port)
        except OSError:
            return await self._refuse(exchange, caller, WORKER_ERROR)
        fields = [*exchange.sent(), (b"connection", b"Upgrade")]
        head = b"".join(
            name + b": " + value + b"\r\n" for name, value in fields if name != b"connection" or value == b"Upgrade"
        )
        writer.write(b"GET " + exchange.target + b" HTTP/1.1\r\n" + head + b"\r\n")
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            exchange.status = int(answer.split(b" ", 2)[1])
            connection.transport.write(answer)
            connection.tunnel(writer.write)
            while data := await reader.read(2**16):
                connection.transport.write(data)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            exchange.status = exchange.status or WORKER_ERROR.status
        finally:
            writer.close()
            connection.transport.close()
        await connection.closed()
        return None

    async def _answer(self, exchange: Exchange, caller: Caller, upstream: Upstream) -> None:
        extra = [(b"sb-error-code", b"EDGE_FUNCTION_ERROR")] if upstream.status >= 500 else []
        own = [pair for pair in upstream.headers if pair[0] != b"date"]  # our own server adds one
        if exchange.scope["method"] == "GET":
            own = [(name, _plain(value) if name == b"content-type" else value) for name, value in own]
        await self._start(exchange, caller, upstream.status, [*own, *extra])
        async for piece in upstream.pieces:
            await caller.send({"type": "http.response.body", "body": piece, "more_body": True})
        await caller.send({"type": "http.response.body", "body": b""})

    async def _refuse(self, exchange: Exchange, caller: Caller, refusal: Refusal) -> None:
        if exchange.status:  # half an answer is out: all that is left is to break it off
            return exchange.abort()
        body = json.dumps({"code": refusal.code, "message": refusal.message}, separators=(",", ":")).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"sb-error-code", refusal.code.encode()),
            (b"access-control-allow-origin", b"*"),
            (b"access-control-allow-headers", b"authorization, x-client-info, apikey, content-type"),
            (b"access-control-expose-headers", b"sb-error-code"),
        ]
        await self._start(exchange, caller, refusal.status, headers)
        await caller.send({"type": "http.response.body", "body": body})
        return None

    async def _start(self, exchange: Exchange, caller: Caller, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        exchange.status = status
        exchange.answer = [*headers, *self._platform(exchange)]
        await caller.send({"type": "http.response.start", "status": status, "headers": exchange.answer})

    def _platform(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        named = {
            "sb-request-id": exchange.request_id,
            "sb-project-ref": self.sandbox.identity.project_ref,
            "sb-gateway-version": "1",
            "x-sb-edge-region": exchange.region,
            "x-served-by": SERVED_BY,
        }
        ran = {"x-deno-execution-id": exchange.execution} if exchange.live and exchange.ran else {}
        return [(name.encode(), value.encode()) for name, value in {**named, **ran}.items()]


def _plain(kind: bytes) -> bytes:
    """Pages are shown as text without a domain of one's own: https://supabase.com/docs/guides/functions/limits."""
    return re.sub(rb"^text/html\b", b"text/plain", kind, flags=re.IGNORECASE)


def _uncaught(upstream: Upstream) -> bool:
    """Whether the preload module answered for a request that died of an uncaught error."""
    return any(name == b"x-sandbox-fate" for name, _ in upstream.headers)
