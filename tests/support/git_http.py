"""A git remote over smart HTTP: `git http-backend` behind a loopback bridge that can lose answers.

`Faults(before=0.1, after=0.2, busy=0.05)` closes the connection before the server acts, after it acted, or answers
503, each with its own share of the requests. `deny="push"` answers 403 to pushes, `deny="all"` answers 401.
`silent="all"` takes every request and never answers, `silent="push"` does so with pushes; `trickle` sends answers one
byte each so many seconds.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class Faults:
    """What goes wrong, as shares of all requests; `deny` refuses by HTTP status, `silent` waits until we are gone."""

    before: float = 0.0
    after: float = 0.0
    busy: float = 0.0
    deny: str = ""
    silent: str = ""
    trickle: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))
    counts: dict[str, int] = field(default_factory=dict)

    def mute(self, path: str) -> bool:
        """Whether this request is never answered."""
        found = self.silent == "all" or (self.silent == "push" and "receive-pack" in path)
        if found:
            self.counts["silent"] = self.counts.get("silent", 0) + 1
        return found

    def pick(self) -> str:
        draw, kinds = self.random.random(), (("before", self.before), ("after", self.after), ("busy", self.busy))
        for kind, share in kinds:
            if draw < share:
                self.counts[kind] = self.counts.get(kind, 0) + 1
                return kind
            draw -= share
        self.counts["well"] = self.counts.get("well", 0) + 1
        return ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    faults: Faults

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Quiet."""

    def _serve(self, body: bytes) -> None:
        if self.faults.deny == "all" or (self.faults.deny == "push" and "receive-pack" in self.path):
            self._answer(401 if self.faults.deny == "all" else 403, [("WWW-Authenticate", "Basic")], b"denied\n")
            return
        if self.faults.mute(self.path):
            while self.connection.recv(1024):
                pass
            self.close_connection = True
            return
        fault = self.faults.pick()
        if fault == "busy":
            self._answer(503, [], b"busy\n")
            return
        if fault != "before":
            answer = self._backend(body)
            if fault != "after":
                self._answer(*answer)
                return
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _backend(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        url = urlsplit(self.path)
        env = {
            **os.environ, "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": url.path,
            "QUERY_STRING": url.query, "REQUEST_METHOD": self.command, "REMOTE_USER": "test",
            "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
        }  # fmt: skip
        found = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False)
        head, _, content = found.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
        status = next((int(value[:3]) for name, value in headers if name == "Status"), 200)
        return status, [(name, value) for name, value in headers if name != "Status"], content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if not self.faults.trickle:
                self.wfile.write(content)
                return
            for place in range(len(content)):
                self.wfile.write(content[place : place + 1])
                self.wfile.flush()
                time.sleep(self.faults.trickle)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def serve(root: Path, faults: Faults | None = None) -> Iterator[tuple[str, Faults]]:
    """Serve the bare repositories below `root`; yields (address, faults), and the faults may be changed meanwhile."""
    own = faults or Faults()
    handler = type("Bound", (Handler,), {"root": root, "faults": own})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", own
        finally:
            server.shutdown()
