"""A TCP server that does as told with each connection, for what no HTTP server would do."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from socket import socket

Behave = Callable[[socket], None]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def shutdown_request(self, request: socket | tuple[bytes, socket]) -> None:
        """Only close: an orderly end before it would hide a reset."""
        self.close_request(request)


@contextlib.contextmanager
def raw_server(behave: Behave) -> Iterator[int]:
    """Its port. `behave` runs in a thread for each connection; where the caller is gone, it ends without an error.

    The thread that accepts has ended before the socket is closed. One that stays in accept(2) keeps the number of its
    descriptor, and may wake up (a stopped and continued process is enough) to take what comes in on the next socket of
    that number.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                behave(self.request)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nothing listens. It is taken meanwhile: once free, any other process may be given it."""
    with socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
