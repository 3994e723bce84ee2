"""The only import of httpx: one call under one total deadline, which fails in one of three ways.

httpx's own timeout counts per read, so that a trickled body holds it open without end; here a call runs on an event
loop in a thread of its own under one deadline. Nothing is sent twice here: `base.retry` decides about that.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json as jsonlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from migration.base import runlog, strictjson
from migration.base.command import AGAIN, Do
from migration.base.errors import Oversized, Refused, ServiceFailed, Unknown, Unreachable
from migration.clients import surroundings

T = TypeVar("T")
FilePart = tuple[str, tuple[str | None, bytes, str | None]]
LARGEST = 64 * 1024 * 1024  # bytes of an answer, decompressed; the platform's largest function is 20 MB
SKEWED = 60.0  # seconds between our clock and a service's from which logs are looked up at the wrong time
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_NETWORK = Do("check the network and the service's status page")
_LINES = 32
_IDLE = 20  # seconds a connection is kept for the next request: less than servers keep it, or both let go at once
_FOREVER = 1e9  # seconds


@dataclass(frozen=True)
class Answer:
    """A whole answer. `seconds` is from the first byte sent to the last byte received, `first` to the first of the body
    (to the end of the headers where it has none)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    first: float = 0.0

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The parsed body; ValueError when it is not JSON."""
        return strictjson.loads(self.body)


class Http:
    """Calls to one service. Safe to use from several threads at once.

    `on_skew` hears once of a clock that differs from the service's by more than SKEWED: seconds, positive when ours
    is ahead.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        name: str = "the service",
        deadline: float = 30.0,
        transport: Any = None,
        on_skew: Callable[[float], None] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.name = name
        self.deadline = deadline
        self._headers = dict(headers or {})
        self._transport = transport
        self._on_skew = on_skew
        self.ahead = 0.0  # seconds of our clock before the service's, as its last answer says; 0 below SKEWED
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
        sending = _sendable(self.name, {"Accept-Encoding": "gzip, deflate", **self._headers, **(headers or {})})
        body: dict[str, Any] = {"params": params} if params else {}
        if json is not None:
            body["content"] = jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
            sending.setdefault("Content-Type", "application/json")
        elif content is not None:
            body["content"] = content
        elif files is not None:
            body["files"] = list(files)
        call = self._send(seconds, method, self.base_url + path, headers=sending, **body)
        future = asyncio.run_coroutine_threadsafe(call, _loop())
        try:
            answer = future.result()
        except BaseException:
            future.cancel()
            raise
        self._compare_clocks(answer)
        return answer

    async def _send(self, deadline: float, method: str, url: str, **request: Any) -> Answer:
        sent = _Sent()
        began = time.monotonic()
        try:
            async with asyncio.timeout(deadline):
                with self._line() as line:
                    extensions = {"trace": sent.trace}
                    async with line.client.stream(method, url, extensions=extensions, **request) as reply:
                        body, first = await self._read(reply, method, url)
        except TimeoutError:
            raise self._broken(sent.any, method, url, f"no complete answer within {deadline:g}s") from None
        except _NEVER_SENT as error:
            raise self._broken(sent.any, method, url, str(error) or type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._broken(sent.any, method, url, _words(error)) from None
        took = time.monotonic() - began
        runlog.record(f"{method} {_bare(url)} {reply.status_code} {took * 1000:.0f} ms")
        return Answer(reply.status_code, reply.headers, body, took, first - began)

    async def _read(self, reply: httpx.Response, method: str, url: str) -> tuple[bytes, float]:
        """The body, decompressed piece by piece, so that a small one that unpacks without end is cut off; and when its
        first byte came, on the monotonic clock."""
        pieces, size, first = [], 0, time.monotonic()
        async for piece in reply.aiter_bytes():
            first = first if size else time.monotonic()
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                text = f"{self.name} answered {method} {_bare(url)} with more than {LARGEST // 2**20} MB"
                raise Oversized(f"{text}: stopped reading", operation=method)
        return b"".join(pieces), first

    def _broken(self, sent: bool, method: str, url: str, why: str) -> ServiceFailed:
        runlog.record(f"{method} {_bare(url)} {'no answer' if sent else 'not sent'}: {why}")
        hints = surroundings.suspects(url, why)
        steps = (*(Do(f"check {hint}") for hint in hints), AGAIN) if hints else (_NETWORK, AGAIN)
        via = f"; {', '.join(hints)} is set" if len(hints) == 1 else f"; {' and '.join(hints)} are set" if hints else ""
        if sent:
            text = f"{self.name} did not answer {method} {_bare(url)} ({why}{via})"
            cause = f"{self.name} at {_bare(self.base_url)} does not answer ({why}{via})"
            return Unknown(text, *steps, cause=cause, operation=method)
        text = f"cannot reach {self.name} at {_bare(url)} ({why}{via})"
        cause = f"cannot reach {self.name} at {_bare(self.base_url)} ({why}{via})"
        return Unreachable(text, *steps, cause=cause, operation=method)

    def _compare_clocks(self, answer: Answer) -> None:
        date = answer.headers.get("date", "")
        if not _is_date(date):
            return
        with contextlib.suppress(ValueError, OverflowError):
            ahead = time.time() - email.utils.parsedate_to_datetime(date).timestamp()
            self.ahead = ahead if abs(ahead) > SKEWED + answer.seconds else 0.0
            if self.ahead and self._on_skew is not None:
                report, self._on_skew = self._on_skew, None
                report(ahead)

    @contextlib.contextmanager
    def _line(self) -> Iterator[_Line]:
        """A free line, or a new one: httpx walks through all connections of a client several times a request."""
        line = min(self._lines, key=lambda each: each.busy, default=None)
        if line is None or (line.busy and len(self._lines) < _LINES):
            line = _Line(self._client())
            self._lines.append(line)
        line.busy += 1
        try:
            yield line
        finally:
            line.busy -= 1

    def _client(self) -> httpx.AsyncClient:
        """Proxy and certificates are ours to find, so that a wrong variable is named and loopback has no proxy."""
        trust: ssl.SSLContext | bool = surroundings.trust(self.base_url.startswith("http://"))
        limits = httpx.Limits(keepalive_expiry=_IDLE)
        options: dict[str, Any] = {"timeout": None, "limits": limits, "verify": trust, "trust_env": False}
        if self._transport is not None:
            return httpx.AsyncClient(transport=self._transport, **options)
        return httpx.AsyncClient(proxy=surroundings.proxy(self.base_url), **options)

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
    """Refused where a header cannot be sent, such as a key copied with a line break or an ellipsis."""
    for key, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            what = f"The header {key} for {name} holds a character that cannot be sent: nothing was sent."
            raise Refused(what, Do("look for a badly copied value in .env (or in the headers of config.yaml)"))
    return dict(headers)


class _Sent:
    """Whether any byte of the request has left, by httpcore's trace."""

    def __init__(self) -> None:
        self.any = False

    async def trace(self, event: str, _info: Any) -> None:
        if event.endswith("send_request_headers.started"):
            self.any = True


_background: asyncio.AbstractEventLoop | None = None
_guard = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    global _background
    with _guard:
        if _background is None:
            _background = asyncio.new_event_loop()
            threading.Thread(target=_background.run_forever, name="http", daemon=True).start()
        return _background


def _bare(url: str) -> str:
    return url.split("?")[0]


def _words(error: Exception) -> str:
    kinds: dict[type[Exception], str] = {httpx.ReadError: "connection reset", httpx.WriteError: "reset while sending"}
    return kinds.get(type(error)) or str(error) or type(error).__name__


def retry_after(answer: Answer, now: float | None = None) -> float | None:
    """Seconds in the header `Retry-After` (seconds or HTTP date); None without it."""
    value = answer.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), _FOREVER)
    if not _is_date(value):
        return None
    try:
        when = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, when - (now if now is not None else time.time()))


def _is_date(value: str) -> bool:
    return email.utils.parsedate_tz(value) is not None
