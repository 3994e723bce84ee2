"""One request on its way through the faults: its body, the answer that the app would give, and the connection."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .history import Entry, History

_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close() sends RST


@dataclass
class Answer:
    """A whole answer of the app, not yet sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def content_type(self) -> str:
        return next((value.decode() for name, value in self.headers if name == b"content-type"), "")

    def with_body(self, body: bytes) -> Answer:
        return Answer(self.status, [(name, value) for name, value in self.headers if name != b"content-length"], body)


@dataclass
class Call:
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    entry: Entry
    history: History
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

    async def answer(self) -> Answer:
        """Let the app handle the request, effect included, and keep what it says."""
        said = Answer(500, [], b"")
        await self.app(self.scope, _replay(await self.body(), self.receive), _collect(said))
        self.entry.effect = self.scope["state"].get("effect")
        self.history.acted(self.entry)
        return said

    async def reply(self, answer: Answer) -> None:
        await self.start(answer, len(answer.body))
        await self.send({"type": "http.response.body", "body": answer.body})
        self.entry.status = answer.status

    async def start(self, answer: Answer, length: int | None) -> None:
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
        found: asyncio.Transport = self.scope["state"]["transport"]
        return found


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> Message:
        return pending.pop() if pending else await receive()

    return read


def _collect(said: Answer) -> Send:
    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            said.status, said.headers = message["status"], [tuple(pair) for pair in message.get("headers", [])]
        else:
            said.body += message.get("body", b"")

    return keep


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    extra = [(name.lower().encode(), str(held).encode()) for name, held in (headers or {}).items()]
    body = value.encode() if isinstance(value, str) else json.dumps(value, separators=(",", ":")).encode()
    kind = b"text/plain; charset=utf-8" if isinstance(value, str) else b"application/json; charset=utf-8"
    named = [] if any(name == b"content-type" for name, _ in extra) else [(b"content-type", kind)]
    return Answer(status, [*named, *extra], body)
