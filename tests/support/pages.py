"""A web server for pages of the tests' own: files, answers that wait, that fail, or that stream."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.e2e import browser as browsers

Answer = tuple[int, str, bytes | Iterable[bytes]]


class PageServer:
    """`pages` maps paths to HTML; `answers` maps paths to functions from the request's JSON to an answer."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.answers: dict[str, Callable[[Any], Answer]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> PageServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def json(self, path: str, status: int, value: Any, wait: float = 0.0, request_id: str = "") -> None:
        """Answer JSON at a path, after so many seconds."""

        def answer(_: Any) -> Answer:
            time.sleep(wait)
            return status, "application/json", json.dumps(value).encode()

        self.answers[path] = answer
        self._ids[path] = request_id

    @property
    def _ids(self) -> dict[str, str]:
        return self.__dict__.setdefault("ids", {})  # type: ignore[no-any-return]

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path in server.answers:
                    return self._send(*server.answers[path](None))
                page = server.pages.get(path)
                status = 404 if page is None else 200
                return self._send(status, "text/html; charset=utf-8", (page or "not here").encode())

            def do_POST(self) -> None:
                path = self.path.partition("?")[0]
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                found = server.answers.get(path, lambda _: (404, "application/json", b"{}"))
                self._send(*found(json.loads(body or b"null")))

            def _send(self, status: int, kind: str, body: bytes | Iterable[bytes]) -> None:
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    request_id = server._ids.get(self.path.partition("?")[0])
                    if request_id:
                        self.send_header("x-request-id", request_id)
                    if isinstance(body, bytes):
                        self.send_header("content-length", str(len(body)))
                        self.end_headers()
                        self.wfile.write(body)
                        return
                    self.send_header("connection", "close")
                    self.close_connection = True
                    self.end_headers()
                    for piece in body:
                        self.wfile.write(piece)
                        self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Nothing: the tests' output is theirs."""

        return Handler


def needs_browser() -> None:
    """Skip where no browser can be started, with the reason; where everything must be tested, fail."""
    try:
        browsers.ready()
    except Refused as error:
        words = f"{error.message} {' '.join(map(str, error.steps))}"
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)(words)


HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title>'
    '<link rel="icon" href="data:,"></head>'
)

FORM = (
    HEAD
    + """<body style="font: 16px sans-serif"><main><h1>Join</h1>
<form id="join"><label>Email <input id="email" type="email" required></label>
<label>Password <input id="password" type="password" required></label>
<label>Invitation <input id="code" required></label>
<label><input id="terms" type="checkbox"> I agree</label>
<button disabled>Sign up</button></form><p id="said" role="status"></p></main>
<script>
const find = (id) => document.getElementById(id);
find("terms").onchange = () => document.querySelector("button").disabled = !find("terms").checked;
find("code").oninput = () => document.body.style.background = find("code").value ? "#ff00ff" : "";
find("join").onsubmit = async (event) => {
  event.preventDefault();
  const answer = await fetch("/functions/v1/join", { method: "POST", body: JSON.stringify({ email: find("email").value,
    password: find("password").value, code: find("code").value }) });
  const found = await answer.json();
  find("join").remove();
  document.body.style.background = "";
  find("said").textContent = answer.ok ? `Welcome, ${found.email}` : `Sorry: ${found.error}`;
};
</script></body></html>"""
)

CHAT = (
    HEAD
    + """<body style="font: 16px sans-serif"><main><h1>Chat</h1><ol id="lines" aria-label="Messages"></ol>
<label>Message <input id="message"></label></main>
<script>
const lines = document.getElementById("lines"), message = document.getElementById("message");
message.onkeydown = async (event) => {
  if (event.key !== "Enter") return;
  lines.append(Object.assign(document.createElement("li"), { textContent: message.value }));
  const line = lines.appendChild(document.createElement("li"));
  const body = JSON.stringify({ message: message.value });
  const answer = await fetch("/functions/v1/chat", { method: "POST", body });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done;) line.textContent += part.value;
};
</script></body></html>"""
)


def framed(inside: str, around: str = "") -> str:
    """A page whose artifact is a sandboxed frame with this body; `around` is the page's own."""
    quoted = inside.replace("&", "&amp;").replace('"', "&quot;")
    return f"""{HEAD}<body>{around}<main><h1>Page</h1><iframe title="Artifact" sandbox="allow-scripts"
    srcdoc="<!doctype html><html lang='en'><title>A</title>{quoted}</html>"></iframe></main></body></html>"""
