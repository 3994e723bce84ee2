"""One request at the edge: what was asked, who asks, and what was answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import h11
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from migration.rehearsal import nested
from migration.rehearsal.types import LiveFunction

PREFIX = "/functions/v1"
EXECUTION = b"x-sandbox-execution-id"


@dataclass
class Exchange:
    """`live` stays None while no function is concerned, `ran` becomes False when its code could not start.

    `status` is 0 until an answer begins.
    """

    scope: Scope
    region: str
    execution: str = field(default_factory=lambda: str(uuid.uuid4()))
    request_id: str = field(default_factory=lambda: str(uuid7()))
    began: float = field(default_factory=time.monotonic)
    live: LiveFunction | None = None
    ran: bool = True
    status: int = 0
    answer: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def headers(self) -> Headers:
        return Headers(scope=self.scope)

    @property
    def slug(self) -> str:
        return unquote(self.target.decode("latin-1").partition("?")[0]).lstrip("/").partition("/")[0]

    @property
    def target(self) -> bytes:
        """What the function sees: its slug and all behind it, as the caller wrote it."""
        path: bytes = (self.scope.get("raw_path") or self.scope["path"].encode()).partition(b"?")[0]
        query: bytes = self.scope["query_string"]
        return (path.removeprefix(PREFIX.encode()) or b"/") + (b"?" + query if query else b"")

    def sent(self) -> list[tuple[bytes, bytes]]:
        """The headers for the worker: the caller's, where it stands, and the request's id, which none may choose."""
        traced = nested.trace(self.headers)
        without = {EXECUTION, nested.CHAIN, *(name for name, _ in traced)}
        own = [pair for pair in self.scope["headers"] if pair[0] not in without]
        return [*own, *self._forwarded(), *traced, (EXECUTION, self.execution.encode())]

    def _forwarded(self) -> list[tuple[bytes, bytes]]:
        client = (self.scope.get("client") or ("127.0.0.1", 0))[0]
        host = self.headers.get("host", "")
        added = {
            "x-forwarded-for": client,
            "x-forwarded-host": host.partition(":")[0],
            "x-forwarded-port": host.partition(":")[2] or "80",
            "x-forwarded-proto": self.scope["scheme"],
            "x-real-ip": client,
        }
        return [(name.encode(), value.encode()) for name, value in added.items() if name not in self.headers]

    def abort(self) -> None:
        """Break the connection off; without a transport at hand the server does when the answer stays unfinished."""
        transport = self.scope.get("state", {}).get("transport")
        if transport:
            transport.abort()


class Caller:
    """The caller's end: its body, the way back, and whether it is still there."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self.send = send
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)

    async def unless_gone(self, serving: Coroutine[Any, Any, None]) -> bool:
        """Serve, but stop at once when the caller leaves; whether it stayed."""
        served, left = asyncio.create_task(serving), asyncio.create_task(self._listen())
        try:
            await asyncio.wait([served, left], return_when=asyncio.FIRST_COMPLETED)
            if served.done():
                served.result()
            return served.done()
        finally:
            for task in (served, left):
                task.cancel()
            await asyncio.gather(served, left, return_exceptions=True)

    async def body(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def _listen(self) -> None:
        """Pass the body on as it comes; ends when the caller is gone."""
        message: Message = {"type": "http.request", "more_body": True}
        while message["type"] == "http.request":
            message = await self._receive()
            if piece := message.get("body"):
                await self._pieces.put(piece)
            if message["type"] == "http.request" and not message.get("more_body"):
                await self._pieces.put(None)


def uuid7() -> uuid.UUID:
    """A UUID that sorts by time, as the platform's request ids do."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    return uuid.UUID(bytes=_marked(stamp + os.urandom(10)))


def _marked(raw: bytes) -> bytes:
    parts = bytearray(raw)
    parts[6] = parts[6] & 0x0F | 0x70
    parts[8] = parts[8] & 0x3F | 0x80
    return bytes(parts)


HeaderList = Sequence[tuple[bytes, bytes]]
_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer upgrade expect transfer-encoding".split()
)  # between two neighbours only
_PIECE = 2**16


class WorkerLost(Exception):
    """The worker ended or broke the connection before its answer was complete."""


@dataclass
class Upstream:
    """A worker's answer; iterate `pieces` for its body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes]


@asynccontextmanager
async def forward(
    port: int,
    method: str,
    target: bytes,
    headers: HeaderList,
    body: AsyncIterator[bytes],
    idle: float,
    host: str = "127.0.0.1",
) -> AsyncIterator[Upstream]:
    """Send a request to a worker. Lost when there is no answer, TimeoutError after `idle` seconds without a byte."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise WorkerLost(str(error)) from error
    connection = h11.Connection(h11.CLIENT)
    writer.write(connection.send(h11.Request(method=method, target=target, headers=_request(headers))) or b"")
    upload = asyncio.create_task(_send(connection, writer, body))
    try:
        yield await _answer(connection, reader, idle)
    finally:
        upload.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, h11.LocalProtocolError):
            await upload
        writer.transport.abort()


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    async for piece in body:
        writer.write(connection.send(h11.Data(piece)) or b"")
        await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


def _request(headers: HeaderList) -> list[tuple[bytes, bytes]]:
    """A connection serves one request; a body of unknown length goes in chunks."""
    kept = [(name, value) for name, value in headers if name not in _HOP]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    return [*kept, (b"connection", b"close"), *([(b"transfer-encoding", b"chunked")] if chunked else [])]


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> Upstream:
    event = await _next(connection, reader, idle)
    while isinstance(event, h11.InformationalResponse):
        event = await _next(connection, reader, idle)
    if not isinstance(event, h11.Response):
        raise WorkerLost("no answer")
    headers = [(name, value) for name, value in event.headers if name not in _HOP]
    return Upstream(event.status_code, headers, _pieces(connection, reader, idle))


async def _pieces(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> AsyncIterator[bytes]:
    while isinstance(event := await _next(connection, reader, idle), h11.Data):
        yield bytes(event.data)
    if not isinstance(event, h11.EndOfMessage):
        raise WorkerLost("the answer was cut")


async def _next(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> h11.Event:
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(idle):
                connection.receive_data(await reader.read(_PIECE))
    except TimeoutError:
        raise
    except (OSError, h11.RemoteProtocolError) as error:
        raise WorkerLost(str(error)) from error
    if isinstance(event, h11.Event):
        return event
    raise WorkerLost("the connection ended")
