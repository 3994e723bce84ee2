"""The only import of httpx: one call, one total deadline, and three honest ways to fail.

httpx's own timeout counts per read, so that a body that trickles never ends; here a call runs on an
event loop of its own thread under one deadline.  Nothing is sent twice by itself: `again.retrying` is for reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json as jsonlib
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import httpx

from migration.base.command import AGAIN, Do
from migration.base.errors import Refused, ServiceFailed, Unknown, Unreachable

T = TypeVar("T")
FilePart = tuple[str, tuple[str | None, bytes, str | None]]
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_AGAIN = (Do("check the network and the service's status page"), AGAIN)
_LINES = 32


@dataclass(frozen=True)
class Answer:
    """A whole answer. `seconds` is from the first byte sent to the last byte received."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The parsed body; ValueError when it is not JSON."""
        return jsonlib.loads(self.body)


class Http:
    """Calls to one service. Safe to use from several threads at once."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        name: str = "the service",
        deadline: float = 30.0,
        transport: Any = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.name = name
        self.deadline = deadline
        self._headers = dict(headers or {})
        self._transport = transport
        self._lines: list[_Line] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        files: Sequence[FilePart] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """One call within `deadline` seconds in all. Raises Unreachable (nothing sent) or Unknown (sent, no answer)."""
        seconds = deadline if deadline is not None else self.deadline
        call = self._send(method, path, seconds, params, json, content, files, headers)
        future = asyncio.run_coroutine_threadsafe(call, _loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _send(
        self,
        method: str,
        path: str,
        deadline: float,
        params: Mapping[str, Any] | None,
        json: Any,
        content: bytes | None,
        files: Sequence[FilePart] | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        url = path if "://" in path else self.base_url + path
        sending = _sendable(self.name, {**self._headers, **(headers or {})})
        body: dict[str, Any] = {"params": params} if params else {}
        if json is not None:
            body["content"] = jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
            sending.setdefault("Content-Type", "application/json")
        elif content is not None:
            body["content"] = content
        elif files is not None:
            body["files"] = list(files)
        return await self._within(deadline, method, url, headers=sending, **body)

    async def _within(self, deadline: float, method: str, url: str, **request: Any) -> Answer:
        sent = _Sent()
        began = time.monotonic()
        try:
            async with asyncio.timeout(deadline):
                with self._line() as line:
                    reply = await line.client.request(method, url, extensions={"trace": sent.trace}, **request)
        except TimeoutError:
            raise self._broken(sent.any, method, url, f"no whole answer within {deadline:g} s") from None
        except _NEVER_SENT as error:
            raise self._broken(sent.any, method, url, str(error) or type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._broken(sent.any, method, url, _words(error)) from None
        return Answer(reply.status_code, reply.headers, reply.content, time.monotonic() - began)

    def _broken(self, sent: bool, method: str, url: str, why: str) -> ServiceFailed:
        where = url.split("?")[0]
        if sent:
            return Unknown(f"{self.name} did not answer {method} {where} ({why})", *_AGAIN, operation=method)
        return Unreachable(f"{self.name} cannot be reached at {where} ({why})", *_AGAIN, operation=method)

    @contextlib.contextmanager
    def _line(self) -> Iterator[_Line]:
        """A free line, or a new one: httpx goes through all connections of a client several times for each request."""
        line = min(self._lines, key=lambda each: each.busy, default=None)
        if line is None or (line.busy and len(self._lines) < _LINES):
            trust = _trust(self.base_url.startswith("http://"))
            limits = httpx.Limits(keepalive_expiry=30)
            line = _Line(httpx.AsyncClient(timeout=None, limits=limits, verify=trust, transport=self._transport))
            self._lines.append(line)
        line.busy += 1
        try:
            yield line
        finally:
            line.busy -= 1

    def close(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            asyncio.run_coroutine_threadsafe(line.client.aclose(), _loop()).result(5)


@dataclass
class _Line:
    """A client with one connection, more only while all lines are busy."""

    client: httpx.AsyncClient
    busy: int = 0


def _sendable(name: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Refused where a header could not be sent, as with a key that was copied with a line break or an ellipsis."""
    for key, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            what = f"The header {key} for {name} holds a character that cannot be sent: nothing was sent."
            raise Refused(what, Do("look for a badly copied value in .env or in the headers of config.yaml"))
    return dict(headers)


class _Sent:
    """Whether any byte of the request has left: as seen by httpcore's trace."""

    def __init__(self) -> None:
        self.any = False

    async def trace(self, event: str, _info: Any) -> None:
        if event.endswith("send_request_headers.started"):
            self.any = True


@cache
def _trust(plain: bool) -> ssl.SSLContext:
    """One for all clients, since reading the authorities takes long. A service without TLS is not trusted with it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context()


_background: asyncio.AbstractEventLoop | None = None
_guard = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    global _background
    with _guard:
        if _background is None:
            _background = asyncio.new_event_loop()
            threading.Thread(target=_background.run_forever, name="http", daemon=True).start()
        return _background


def _words(error: Exception) -> str:
    kinds: dict[type[Exception], str] = {httpx.ReadError: "connection reset", httpx.WriteError: "reset while sending"}
    return kinds.get(type(error)) or str(error) or type(error).__name__


def retry_after(answer: Answer, now: float | None = None) -> float | None:
    """Seconds that the header `Retry-After` asks for (seconds or HTTP date); None without it."""
    value = answer.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        when = email.utils.parsedate_to_datetime(value) if _is_date(value) else None
        return None if when is None else max(0.0, when.timestamp() - (now if now is not None else time.time()))


def _is_date(value: str) -> bool:
    return email.utils.parsedate_tz(value) is not None
