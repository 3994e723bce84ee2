"""One call, one deadline, three honest ways to fail; only reads are repeated."""

from __future__ import annotations

import email.utils
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer

from migration.base.errors import Oversized, Refused, ServiceFailed, Unknown, Unreachable
from migration.base.retry import repeatable
from migration.clients import http as http_module
from migration.clients.http import Http, retry_after
from tests.support.raw_server import Behave, closed_port, raw_server


@contextmanager
def wire(behave: Behave) -> Iterator[str]:
    """The address of a raw TCP server that does as told with each connection."""
    with raw_server(behave) as port:
        yield f"http://127.0.0.1:{port}"


def _reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def _hang(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(5)


def _trickle(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1_000):  # until the caller has left
        connection.sendall(b"x")
        time.sleep(0.05)


def _cut(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"half":')


def _garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x00\x01 this is not HTTP\r\n\r\n")


def _sends(body: bytes = b"", **headers: str) -> Behave:
    """One whole answer to each connection, which it ends as a server that hangs up must: by saying so.

    A client that was not told would send its next request on the same connection, and meet a reset if it is quick.
    """
    given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 200 OK\r\n{given}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    def send(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head.encode() + body)

    return send


@pytest.mark.parametrize("behave", [_reset, _hang, _trickle, _cut, _garbage], ids=lambda each: each.__name__[1:])
def test_once_bytes_were_sent_every_broken_answer_is_unknown(behave: Callable[[socket.socket], None]) -> None:
    with wire(behave) as url, pytest.raises(Unknown) as caught:
        Http(url, name="the peer").request("POST", "/x", json={"a": 1}, deadline=2.0)
    assert "the peer did not answer POST" in caught.value.message


def test_a_body_that_trickles_is_held_to_the_deadline() -> None:
    began = time.monotonic()
    with wire(_trickle) as url, pytest.raises(Unknown, match=r"no complete answer within 1s"):
        Http(url).request("GET", "/", deadline=1.0)
    assert time.monotonic() - began < 30  # the body alone takes fifty seconds


def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    with closed_port() as port, pytest.raises(Unreachable, match="cannot reach"):
        Http(f"http://127.0.0.1:{port}").request("POST", "/x", json={})


def test_an_address_that_is_none_is_unreachable() -> None:
    with pytest.raises(ServiceFailed):
        Http("nonsense://host").request("GET", "/")


def test_calls_from_several_threads_go_out_at_once() -> None:
    barrier = threading.Barrier(4, timeout=10)

    def together(connection: socket.socket) -> None:
        barrier.wait()
        _sends(b"ok")(connection)

    seen: list[str] = []
    with wire(together) as url:
        http = Http(url)
        threads = [threading.Thread(target=lambda: seen.append(http.request("GET", "/x").text)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == ["ok"] * 4


@pytest.mark.parametrize("value", ["Bearer a\nb", "Bearer caf\u00e9", "Bearer sbp_\u2026"])
def test_a_key_that_no_header_can_hold_is_refused_before_anything_is_sent(httpserver: HTTPServer, value: str) -> None:
    with pytest.raises(Refused, match="Authorization") as caught:
        Http(httpserver.url_for(""), {"Authorization": value}).request("GET", "/x")
    assert value not in caught.value.message and not httpserver.log


def test_retry_after_is_seconds_or_a_date(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/s").respond_with_data("", headers={"Retry-After": "21"})
    httpserver.expect_request("/d").respond_with_data("", headers={"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT"})
    httpserver.expect_request("/n").respond_with_data("", headers={"Retry-After": "soon"})
    http = Http(httpserver.url_for(""))
    assert retry_after(http.request("GET", "/s")) == 21
    assert retry_after(http.request("GET", "/d"), now=1795348800.0) == pytest.approx(30)
    assert retry_after(http.request("GET", "/n")) is None


def test_requests_one_after_another_share_a_connection_and_those_at_once_do_not() -> None:
    seen: list[socket.socket] = []
    waiting = [threading.Barrier(1), threading.Barrier(4, timeout=10)]

    def answers_once_all_are_here(connection: socket.socket) -> None:
        seen.append(connection)
        while connection.recv(65536):
            waiting[0].wait()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with wire(answers_once_all_are_here) as url:
        http = Http(url)
        for _ in range(3):
            http.request("GET", "/x")
        assert len(seen) == 1
        del waiting[0]
        at_once = [threading.Thread(target=http.request, args=("GET", "/x")) for _ in range(4)]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
        assert len(seen) == 4
        http.close()


def _zipped(size: int) -> Behave:
    return _sends(gzip.compress(b"0" * size, 9), Content_Encoding="gzip")


def test_answers_are_bounded_after_decompression(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that unpack to far more are cut off, and not asked for again."""
    monkeypatch.setattr(http_module, "LARGEST", 2**20)
    sizes: list[int] = []
    read = httpx.Response.aiter_bytes

    async def counted(self: Any, *more: Any) -> Any:
        async for piece in read(self, *more):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(httpx.Response, "aiter_bytes", counted)
    with wire(_zipped(200 * 2**20)) as url, pytest.raises(Oversized, match="more than 1 MB: stopped") as caught:
        Http(url, name="the peer").request("GET", "/x", deadline=20)
    assert sum(sizes) < 200 * 2**20 and not repeatable(caught.value)


def test_large_answers_within_the_bound_are_read() -> None:
    with wire(_zipped(2**22)) as url:
        assert len(Http(url).request("GET", "/x", deadline=20).body) == 2**22


@pytest.mark.parametrize("offset,expected", [(400, -400), (-4000, 4000), (5, None)])
def test_wrong_clock_is_reported_once(offset: int, expected: float | None) -> None:
    """From the Date header of any answer; a few seconds are the network's."""
    date = email.utils.formatdate(time.time() + offset, usegmt=True)
    heard: list[float] = []
    with wire(_sends(Date=date)) as url:
        http = Http(url, on_skew=heard.append)
        http.request("GET", "/x")
        http.request("GET", "/x")
    assert heard == ([] if expected is None else [pytest.approx(expected, abs=20)])


@pytest.mark.parametrize("date", ["", "soon", "Sun, 99 Nov 2026 99:00:30 GMT", "Sun, 22 Nov 99999 12:00:30 GMT"])
def test_unreadable_date_is_ignored(date: str) -> None:
    with wire(_sends(Date=date, Retry_After=date)) as url:
        assert retry_after(Http(url, on_skew=pytest.fail).request("GET", "/x")) is None  # type: ignore[arg-type]


def test_unreachable_has_one_cause() -> None:
    """Whatever was asked for: nine smoke cases without a server are one problem."""
    http, causes = Http("http://127.0.0.1:9", name="the project"), set()
    for path in ("/functions/v1/alpha", "/functions/v1/beta"):
        with pytest.raises(Unreachable) as caught:
            http.request("GET", path)
        assert path in caught.value.message
        causes.add(caught.value.cause)
    assert len(causes) == 1 and next(iter(causes)).startswith("cannot reach the project at http://127.0.0.1:9 (")
