"""A reverse proxy to one worker: bodies pass through as they come, in both directions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import h11

Headers = Sequence[tuple[bytes, bytes]]
_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer upgrade expect transfer-encoding".split()
)  # between two neighbours only
_PIECE = 2**16


class Lost(Exception):
    """The worker ended or broke the connection before its answer was complete."""


@dataclass
class Upstream:
    """A worker's answer; iterate `pieces` for its body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes]


@asynccontextmanager
async def forward(
    port: int, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes], idle: float
) -> AsyncIterator[Upstream]:
    """Send a request to a worker. Lost when there is no answer, TimeoutError after `idle` seconds without a byte."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise Lost(str(error)) from error
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


def _request(headers: Headers) -> list[tuple[bytes, bytes]]:
    """A connection serves one request; a body of unknown length goes in chunks."""
    kept = [(name, value) for name, value in headers if name not in _HOP]
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    return [*kept, (b"connection", b"close"), *([(b"transfer-encoding", b"chunked")] if chunked else [])]


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> Upstream:
    event = await _next(connection, reader, idle)
    while isinstance(event, h11.InformationalResponse):
        event = await _next(connection, reader, idle)
    if not isinstance(event, h11.Response):
        raise Lost("no answer")
    headers = [(name, value) for name, value in event.headers if name not in _HOP]
    return Upstream(event.status_code, headers, _pieces(connection, reader, idle))


async def _pieces(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> AsyncIterator[bytes]:
    while isinstance(event := await _next(connection, reader, idle), h11.Data):
        yield bytes(event.data)
    if not isinstance(event, h11.EndOfMessage):
        raise Lost("the answer was cut")


async def _next(connection: h11.Connection, reader: asyncio.StreamReader, idle: float) -> h11.Event:
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(idle):
                connection.receive_data(await reader.read(_PIECE))
    except TimeoutError:
        raise
    except (OSError, h11.RemoteProtocolError) as error:
        raise Lost(str(error)) from error
    if isinstance(event, h11.Event):
        return event
    raise Lost("the connection ended")
