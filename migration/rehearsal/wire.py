"""Carries faults out on the real connection, and writes the history of all that passes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from migration.rehearsal.faults import FaultBox
from migration.rehearsal.history import RecordedRequest, RequestHistory, summary
from migration.rehearsal.operations import operation, query_of
from migration.rehearsal.requests import RequestLog

_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
_BACKEND = "Backend error! Retry your query. Please contact support if this continues."
# Their answers may stream, and are passed on piece by piece.
_STREAMED = frozenset({"edge", "rest", "storage", "openrouter", "gemini", "openai", "anthropic", "host"})
_IN_HANDLER = {"partial", "layout"}
_HOLD = 600.0
_UNAUTHORIZED = JSONResponse({"message": "The control of the sandbox needs its access token"}, 401)


class Wire:
    """The outermost layer of the app; `down` makes the port refuse connections for some seconds."""

    def __init__(
        self,
        app: ASGIApp,
        faults: FaultBox,
        history: RequestHistory,
        latency: Mapping[str, float],
        down: Callable[[float], Awaitable[None]],
        token: str,
        log: RequestLog,
    ) -> None:
        self.app = app
        self.faults = faults
        self.history = history
        self.latency = latency
        self.down = down
        self._token = f"Bearer {token}"
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope.setdefault("state", {})
        query = query_of(scope["query_string"])
        name, slug = operation(scope["method"], scope["path"], query)
        if name == "control":
            return await (self.app if self._controls(scope) else _UNAUTHORIZED)(scope, receive, send)
        entry = self.history.begin(scope["method"], scope["path"], query, name, slug)
        try:
            region = header(scope, b"x-region") or query.get("forceFunctionRegion", [None])[0]
            await self._serve(Call(self.app, scope, receive, send, entry, self.history), region)
        finally:
            entry.end()
            self._log.write(entry, scope["state"].get("version"), scope["state"].get("why"))

    def _controls(self, scope: Scope) -> bool:
        """Whether the caller may arm faults and read the history: who holds the access token. No function sees it."""
        return scope["path"] == "/_sandbox/health" or header(scope, b"authorization") == self._token

    async def _serve(self, call: Call, region: str | None) -> None:
        entry = call.entry
        fault = self.faults.take(entry.operation, entry.slug, region)
        if fault is not None:
            entry.fault = call.fault = fault
        if fault is None and entry.operation in _STREAMED and not self._wait(entry):
            return await self._stream(call)
        if fault is None or fault["do"] in _IN_HANDLER:
            call.scope["state"]["fault"] = fault
            return await self._plainly(call)
        if fault["do"] == "down":
            await _before(call)
            await self.down(fault.get("down_seconds", 1.0))
            return await call.gone()
        await _DO[fault["do"]](call)
        return None

    async def _plainly(self, call: Call) -> None:
        began = asyncio.get_running_loop().time()
        answer = await _handled(call)
        rest = self._wait(call.entry) - (asyncio.get_running_loop().time() - began)
        if rest > 0:
            await asyncio.sleep(rest)
        await call.reply(answer)

    async def _stream(self, call: Call) -> None:
        async def passed(message: Any) -> None:
            if message["type"] == "http.response.start":
                call.entry.status = message["status"]
            await call.send(message)

        await self.app(call.scope, call.receive, passed)

    def _wait(self, entry: RecordedRequest) -> float:
        return float(self.latency.get(entry.operation, 0)) / 1000


async def _handled(call: Call) -> AppAnswer:
    """The app's own answer, written down."""
    answer = await call.answer()
    kind = header(call.scope, b"content-type") or ""
    call.entry.request = summary(call.entry.operation, kind, await call.body())
    call.entry.answer = summary(call.entry.operation, answer.content_type, answer.body)
    return answer


async def _before(call: Call) -> None:
    """What happens before a request goes wrong: nothing, or its effect."""
    if call.fault.get("applied"):
        await _handled(call)
    else:
        await call.body()


async def _status(call: Call) -> None:
    await _before(call)
    status = int(call.fault["status"])
    body = call.fault.get("body", {"message": f"the sandbox answers {status} because of a fault"})
    await call.reply(json_answer(status, body, call.fault.get("headers")))


async def _html(call: Call) -> None:
    await _before(call)
    headers = {"content-type": "text/html"}
    await call.reply(json_answer(int(call.fault.get("status", 200)), _PAGE, headers))


async def _empty(call: Call) -> None:
    await call.reply((await _handled(call)).with_body(b""))


async def _json(call: Call) -> None:
    answer = await _handled(call)
    await call.reply(answer.with_body(json.dumps(call.fault.get("body")).encode()))


async def _patch(call: Call) -> None:
    answer = await _handled(call)
    await call.reply(answer.with_body(json.dumps(patched(json.loads(answer.body), call.fault)).encode()))


async def _delay(call: Call) -> None:
    await asyncio.sleep(float(call.fault.get("ms", 1000)) / 1000)
    await call.reply(await _handled(call))


async def _reset(call: Call) -> None:
    if call.fault.get("applied") or call.fault.get("after_body"):
        await _before(call)
    await call.drop(reset=True)


async def _close(call: Call) -> None:
    await _before(call)
    await call.drop(reset=False)


async def _hang(call: Call) -> None:
    await _before(call)
    try:
        await asyncio.wait_for(call.gone(), float(call.fault.get("hold", _HOLD)))
    except TimeoutError:
        await call.drop(reset=True)


async def _trickle(call: Call) -> None:
    answer = await _handled(call)
    size = int(call.fault.get("bytes", 1))
    await call.start(answer, len(answer.body))
    for at in range(0, len(answer.body), size):
        await asyncio.sleep(float(call.fault.get("ms", 100)) / 1000)
        await call.piece(answer.body[at : at + size])
    await call.send({"type": "http.response.body", "body": b""})
    call.entry.status = answer.status


async def _cut(call: Call) -> None:
    answer = await _handled(call)
    kept = int(len(answer.body) * float(call.fault.get("share", 0.5)))
    await call.start(answer, None if call.fault.get("chunked") else max(len(answer.body), kept + 1))
    await call.piece(answer.body[:kept])
    await call.drop(reset=bool(call.fault.get("reset")))


async def _error(call: Call) -> None:
    await call.reply(json_answer(200, {"result": None, "error": call.fault.get("error", _BACKEND)}))


async def _garbage(call: Call) -> None:
    await _before(call)
    call.transport.write(b"\x16\x03\x01\x02 this is not HTTP\r\n\r\n")
    await call.drop(reset=False)


_DO: dict[str, Callable[[Call], Awaitable[None]]] = {
    "status": _status, "html": _html, "empty": _empty, "json": _json, "patch": _patch, "delay": _delay,
    "reset": _reset, "close": _close, "hang": _hang, "trickle": _trickle, "cut": _cut, "error": _error,
    "garbage": _garbage,
}  # fmt: skip


def patched(value: Any, fault: Mapping[str, Any]) -> Any:
    """The answer with keys changed and removed: in an array, in the rows of the fault's slug or in all."""
    if isinstance(value, list):
        alone = {**fault, "slug": None}
        return [patched(row, alone) if fault.get("slug") in (None, row.get("slug")) else row for row in value]
    merged = {**value, **fault.get("patch", {})}
    return {key: held for key, held in merged.items() if key not in fault.get("remove", ())}


def header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close() sends RST


@dataclass
class AppAnswer:
    """A whole answer of the app, not yet sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def content_type(self) -> str:
        return next((value.decode() for name, value in self.headers if name == b"content-type"), "")

    def with_body(self, body: bytes) -> AppAnswer:
        return AppAnswer(
            self.status, [(name, value) for name, value in self.headers if name != b"content-length"], body
        )


@dataclass
class Call:
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    entry: RecordedRequest
    history: RequestHistory
    fault: Mapping[str, Any] = field(default_factory=dict)
    _body: bytes | None = None

    async def body(self) -> bytes:
        """The whole request body; what came before the caller left, if it did."""
        if self._body is None:
            pieces, more = [], True
            while more:
                message = await self.receive()
                pieces.append(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
            self._body = b"".join(pieces)
        return self._body

    async def answer(self) -> AppAnswer:
        """Let the app handle the request, effect included, and keep what it says."""
        answer = AppAnswer(500, [], b"")
        await self.app(self.scope, _replay(await self.body(), self.receive), _collect(answer))
        self.entry.effect = self.scope["state"].get("effect")
        self.history.acted(self.entry)
        return answer

    async def reply(self, answer: AppAnswer) -> None:
        await self.start(answer, len(answer.body))
        await self.send({"type": "http.response.body", "body": answer.body})
        self.entry.status = answer.status

    async def start(self, answer: AppAnswer, length: int | None) -> None:
        """The head alone; without a length the body goes out in chunks."""
        headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def piece(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def drop(self, reset: bool) -> None:
        """End the connection, by RST or in order, and wait until it is gone: nothing more can be sent."""
        if reset:
            held: socket.socket = self.transport.get_extra_info("socket")
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self.transport.abort()
        else:
            self.transport.close()
        await self.gone()

    async def gone(self) -> None:
        """Wait until the caller has left."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    @property
    def transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self.scope["state"]["transport"]
        return transport


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return pending.pop() if pending else await receive()

    return read


def _collect(answer: AppAnswer) -> Send:
    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], [tuple(pair) for pair in message.get("headers", [])]
        else:
            answer.body += message.get("body", b"")

    return keep


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> AppAnswer:
    extra = [(name.lower().encode(), str(held).encode()) for name, held in (headers or {}).items()]
    body = value.encode() if isinstance(value, str) else json.dumps(value, separators=(",", ":")).encode()
    kind = b"text/plain; charset=utf-8" if isinstance(value, str) else b"application/json; charset=utf-8"
    named = [] if any(name == b"content-type" for name, _ in extra) else [(b"content-type", kind)]
    return AppAnswer(status, [*named, *extra], body)
