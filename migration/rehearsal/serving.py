"""The listening half of the server: connections that faults can break, a port that can go away, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from migration.base.command import inv
from migration.base.errors import Refused

HOST = "127.0.0.1"
_GRACE = 1


class Protocol(H11Protocol):
    """Hands the connection to the app, so that a fault can break it where a real network would."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport, "connection": self}
        self._tunnel: Callable[[bytes], None] | None = None

    def tunnel(self, receive: Callable[[bytes], None]) -> None:
        """From here on the connection speaks another protocol (WebSocket): its bytes go to `receive` as they come."""
        self._tunnel = receive
        self._unset_keepalive_if_required()
        rest = self.conn.trailing_data[0]  # what came right behind the request
        if rest:
            receive(rest)

    async def closed(self) -> None:
        """Wait until uvicorn knows of the end, or it would add an answer of its own."""
        while self.cycle is not None and not self.cycle.disconnected:
            await asyncio.sleep(0.01)

    def data_received(self, data: bytes) -> None:
        if self._tunnel:
            return self._tunnel(data)
        return super().data_received(data)


class Server(uvicorn.Server):
    """Ends in the same orderly way for every signal; uvicorn would repeat the signal once it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _in_main_thread() else ()
        for each in caught:
            loop.add_signal_handler(each, self.end)
        try:
            yield
        finally:
            for each in caught:
                loop.remove_signal_handler(each)

    def end(self) -> None:
        self.should_exit = True

    async def down(self, seconds: float) -> None:
        """Refuse connections, and drop the open ones, for so long; then listen on the same port again."""
        host, port = cast("tuple[str, int]", self.servers[0].sockets[0].getsockname())
        for listening in self.servers:
            listening.close()
        for each in list(self.server_state.connections):
            if isinstance(each, H11Protocol) and each.transport is not None:
                each.transport.abort()
        asyncio.get_running_loop().create_task(self._up(host, port, seconds))

    async def _up(self, host: str, port: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self.should_exit:
            loop = asyncio.get_running_loop()
            self.servers = [await loop.create_server(self._protocol, host, port)]

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def listening(port: int) -> socket.socket:
    """A bound socket; Refused when the port is taken."""
    # named as TCP, or asyncio leaves Nagle on and each answer on a kept connection waits 40 ms
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((HOST, port))
    except OSError as error:
        held.close()
        raise Refused(f"Cannot listen on {HOST}:{port}: {error.strerror}.", inv("sandbox", port="0")) from None
    return held


def server(app: ASGIApp) -> Server:
    config = uvicorn.Config(
        cast(Any, app), http=Protocol, ws="none", loop="asyncio", lifespan="on", log_config=None, access_log=False,
        timeout_graceful_shutdown=_GRACE, timeout_keep_alive=30, server_header=False,
    )  # fmt: skip
    return Server(config)


def end_with_stdin(target: Server) -> None:
    """Stop when whoever started us is gone, even by kill -9: the pipe ends with its last holder."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        target.end()

    threading.Thread(target=watch, name="stdin", daemon=True).start()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
