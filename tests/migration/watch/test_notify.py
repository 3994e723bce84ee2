"""Real Apprise to a server on loopback: what it takes, refuses, or never answers. No URL is ever shown."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from migration.base.errors import ConfigError, Refused
from migration.base.gate import gate
from migration.base.secrets_type import Secret
from migration.config.settings import WatchSettings
from migration.watch import alerts, notify
from migration.watch.model import Alarm, AlertBook, Surroundings
from migration.watch.notify import Notifier, Notifiers
from tests.support.raw_server import closed_port, raw_server

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
AROUND = Surroundings("prod", "20261127-1200-abc", "generate-artifact v8", (), "ann")
TOKEN = "t0ken-0123456789abcdef"
ALARM = Alarm("success_rate", "critical", NOW, "31% of answers fail", evidence=("execution 1: 503 <b>&",), cause="a")


def settings(*urls: str) -> WatchSettings:
    return WatchSettings(notify=[Secret(url) for url in urls])


def to(*urls: str) -> Notifiers:
    """Notifiers as `notify.of` makes them, without the time that its check takes."""
    return Notifiers(tuple(Notifier(f"JSON {place}", "json://…", Secret(url)) for place, url in enumerate(urls, 1)))


def book() -> AlertBook:
    return alerts.claim(alerts.observe(AlertBook(), [ALARM], AROUND, NOW, 3600), "run")


@contextmanager
def silent() -> Iterator[tuple[int, threading.Event]]:
    """A service that takes a request and trickles an answer that never ends; whether it was spoken to."""
    met, ends = threading.Event(), threading.Event()

    def trickle(connection: socket.socket) -> None:
        met.set()
        while not ends.wait(0.05):
            connection.sendall(b"H")

    with raw_server(trickle) as port:
        yield port, met
        ends.set()


@pytest.fixture
def closed() -> Iterator[int]:
    """A port on which nothing listens."""
    with closed_port() as port:
        yield port


def children() -> set[str]:
    """Couriers that run on this machine and are ours."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = re.search(r"PPid:\s*(\d+)", (folder / "status").read_text())
        except OSError:
            continue
        if b"courier.py" in words and parent and int(parent[1]) == os.getpid():
            found.add(folder.name)
    return found


def test_each_fails_alone(httpserver: HTTPServer, closed: int) -> None:
    """One takes it, one refuses, one is dead: the first has it once, the others are reported, and the next round tries
    only those that have not taken it."""
    taken: list[dict[str, str]] = []
    working = [False]

    def take(request: Request) -> Response:
        taken.append(json.loads(request.data))
        return Response("ok")

    def refuse(_: Request) -> Response:
        return Response("full", 200 if working[0] else 503)

    httpserver.expect_request("/good").respond_with_handler(take)
    httpserver.expect_request("/full").respond_with_handler(refuse)
    base = f"json://127.0.0.1:{httpserver.port}"
    checked = notify.of(settings(f"{base}/good", f"{base}/full", f"json://127.0.0.1:{closed}/{TOKEN}"))
    after = checked.deliver(book(), NOW)
    assert [one["title"] for one in taken] == ["PROD: 31% of answers fail"]
    assert taken[0]["type"] == "failure" and "execution 1: 503 <b>&" in taken[0]["message"]
    assert taken[0]["message"].endswith(f"Message {after.outbox[0].id}")
    assert after.outbox[0].waiting == ("JSON 2", "JSON 3") and after.outbox[0].tries == 1
    assert re.search(r"JSON 2 failed: .*error=503; JSON 3 failed: A Connection error", after.error)
    assert after.error.endswith("1 message waits for the next round.") and TOKEN not in gate(after.error)
    working[0] = True
    two = Notifiers(checked.all[:2])  # the third is gone from the config meanwhile
    settled = two.deliver(alerts.claim(after, "run"), NOW)
    assert settled.outbox == () and settled.error == "" and len(taken) == 1
    assert [(one.id, one.sent_at, one.text) for one in settled.sent] == [(after.outbox[0].id, NOW, "")]


def test_hanging_one_is_ended() -> None:
    """At the deadline its process is gone, and the message waits as one that it may have taken."""
    with silent() as (port, met):
        began = time.monotonic()
        after = replace(to(f"json://127.0.0.1:{port}/x?rto=60"), deadline=2.0).deliver(book(), NOW)
        assert time.monotonic() - began < 10 and children() == set()
        assert after.error == "JSON 1 failed: no answer within 2s. 1 message waits for the next round."
        assert after.outbox[0].repeat or not met.is_set()


@pytest.mark.long
def test_hanging_one_holds_up_none(httpserver: HTTPServer) -> None:
    """Beside one that trickles its answer, another takes all its messages."""
    httpserver.expect_request("/good").respond_with_data("ok")
    with silent() as (port, met):
        urls = (f"json://127.0.0.1:{port}/x?rto=60", f"json://127.0.0.1:{httpserver.port}/good")
        after = to(*urls).deliver(book(), NOW)
        assert met.is_set() and after.outbox[0].waiting == ("JSON 1",) and after.outbox[0].repeat


def test_repeat_says_so(httpserver: HTTPServer) -> None:
    """After a kill the same id goes out again, as perhaps a repeat; several messages arrive in their order."""
    bodies: list[dict[str, str]] = []

    def take(request: Request) -> Response:
        bodies.append(json.loads(request.data))
        return Response("ok")

    httpserver.expect_request("/hook").respond_with_handler(take)
    killed = alerts.claim(book(), "other")
    more = alerts.claim(alerts.observe(killed, [], AROUND, NOW, 3600), "other")
    after = to(f"json://127.0.0.1:{httpserver.port}/hook").deliver(more, NOW)
    assert [one["type"] for one in bodies] == ["failure", "success"]
    assert bodies[0]["message"].endswith(f"Message {more.outbox[0].id}, may be a repeat")
    assert bodies[1]["message"].endswith(f"Message {more.outbox[1].id}") and after.outbox == ()


def test_nothing_goes_astray(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, closed: int) -> None:
    """No redirect is followed, since a token would go where its owner never sent it, and no proxy is asked for this
    machine: the one that is set here does not exist."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed}")
    httpserver.expect_request("/hook").respond_with_data("", 307, {"Location": httpserver.url_for("/thief")})
    httpserver.expect_request("/thief").respond_with_data("ok")
    after = to(f"json://127.0.0.1:{httpserver.port}/hook").deliver(book(), NOW)
    assert [request.path for request, _ in httpserver.log] == ["/hook"] and "error=307" in after.error


def test_unusable_urls_are_not_shown() -> None:
    """Each mistake names its place in watch.notify and says what is wrong, all at once; a URL holds a token."""
    mistakes = {
        f"foo://{TOKEN}": "knows no service",
        f"slack://{TOKEN}": "knows no service",
        f"mailto://user:{TOKEN}@example.com": r"in clear \(mailto://\): use mailtos://",
        f"gotify://example.com/{TOKEN}": r"in clear \(gotify://\): use gotifys://",
        f"jsons://example.com/{TOKEN}?verify=no": "verify=no",
    }
    with pytest.raises(ConfigError) as caught:
        notify.of(settings("json://127.0.0.1:9/x", *mistakes))
    lines = caught.value.message.splitlines()
    for place, (line, why) in enumerate(zip(lines, mistakes.values(), strict=True), 1):
        assert re.search(rf"^config\.yaml: watch\.notify\.{place}: .*{why}", line)
    assert TOKEN not in caught.value.message + caught.value.hint


def test_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="SLACK_URL is not set, and the notifier needs it"):
        notify.of(settings("\ue000SLACK_URL\ue001"))


def test_sandbox_wakes_no_one() -> None:
    """Only this machine is notified from the sandbox; what has no value there is not needed."""
    found = notify.of(settings(f"jsons://example.com/{TOKEN}", "\ue000SLACK_URL\ue001", "json://localhost:9/x"), True)
    assert [one.name for one in found.all] == ["JSON 3"]
    assert found.notes == ("JSON 1 is left out: the sandbox notifies only this machine.",)


def test_apprise_missing_says_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A production install leaves it out; nothing is needed where no one is notified."""
    monkeypatch.setattr(notify, "installed", lambda: False)
    assert notify.of(settings()).all == ()
    with pytest.raises(Refused, match=r"1 notifier, and Apprise is not installed") as caught:
        notify.of(settings("json://localhost/x"))
    assert "uv sync --group notify" in caught.value.hint


def test_nothing_configured_keeps_no_outbox() -> None:
    after = Notifiers().deliver(book(), NOW)
    assert after.outbox == () and [(one.sent_at, one.error) for one in after.sent] == [
        (None, "no notifier is configured")
    ]


def test_test_message_says_where(httpserver: HTTPServer, closed: int) -> None:
    """What was sent and where, without the token; a notifier that fails is named."""
    httpserver.expect_request(f"/{TOKEN}").respond_with_data("ok")
    dead = f"json://user:{TOKEN}@127.0.0.1:{closed}/{TOKEN}"
    found = notify.of(settings(f"json://127.0.0.1:{httpserver.port}/{TOKEN}", dead))
    assert notify.offer(found) == "Send a test message to JSON 1 (json://127.0.0.1), JSON 2 (json://127.0.0.1)"
    words = notify.sent(found.test(AROUND, NOW))
    assert re.fullmatch(r"JSON 1 \(json://127\.0\.0\.1\) took it; JSON 2 \(.*\) failed: A Connection error.*", words)
    assert TOKEN not in gate(f"{words} {TOKEN}") and "PROD: test message" in httpserver.log[0][0].get_data(as_text=True)


def test_token_of_a_chat_is_masked() -> None:
    """The parts of a URL that may be its token are masked wherever they appear."""
    found = notify.of(settings("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"))
    assert (found.all[0].name, found.all[0].where) == ("Slack 1", "slack://…")
    shown = gate("posted to hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    assert shown == "posted to hooks.slack.com/services/[REDACTED]/[REDACTED]/[REDACTED]"
