"""A watch whose notifier is dead, or which is killed while it sends: nothing is lost, and the watch goes on."""

from __future__ import annotations

import json
import random
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from migration.base.errors import Interrupted
from migration.rehearsal.logstore import LogStore
from migration.watch.model import AlertBook, WatchState
from migration.watch.notify import Notifiers
from migration.watch.store import WatchRef
from tests.support.watching import Night

pytestmark = pytest.mark.slow

A_LOOK = 20  # answers


@pytest.fixture(autouse=True)
def one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider is asked what it serves under a model's name."""
    monkeypatch.setattr("migration.watch.facts.proofs.build", lambda *_: "")


class Inbox:
    """Someone's chat on this machine; it answers 503 while `down` says so, by the watch's clock."""

    def __init__(self, server: HTTPServer) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refused = 0
        self.night: Night | None = None
        self.until = 0.0  # hours
        self.url = f"json://127.0.0.1:{server.port}/hook"
        server.expect_request("/hook").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        assert self.night is not None
        if (self.night.clock.now() - self.night.start).total_seconds() < self.until * 3600:
            self.refused += 1
            return Response("down", 503)
        self.messages.append(json.loads(request.data))
        return Response("ok")

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.messages]

    @property
    def ids(self) -> list[str]:
        return [re.findall(r"Message (\S+?)(?:,|$)", one["message"])[-1] for one in self.messages]


def night(
    folder: Path, store: LogStore, inbox: Inbox, hours: float, storm: tuple[float, float], prefix: str = "refs/cutover"
) -> Night:
    """Healthy hours, but for a storm in which 60% of the answers are a 503."""
    made = Night(folder, store, settings={"watch": {"notify": [inbox.url]}}, clones=2, prefix=prefix)
    inbox.night = made
    chance = random.Random(5)
    for n in range(int(hours * 12 * A_LOOK)):
        at = (n + chance.random()) * 300 / A_LOOK
        bad = storm[0] * 3600 <= at < storm[1] * 3600 and chance.random() < 0.6
        made.arrive(made.request(at, seconds=2.0, **({"status": 503, "usage": False} if bad else {})))
    return made


@pytest.mark.long
@pytest.mark.timeout(600)
def test_dead_notifier_day(tmp_path: Path, store: LogStore, httpserver: HTTPServer) -> None:
    """For six hours every message is refused. The rounds go on in time and name it; once it works, what began and what
    was resolved meanwhile arrives in its order, each once, and so does the end."""
    inbox = Inbox(httpserver)
    inbox.until = 6.0
    made = night(tmp_path, store, inbox, 8.5, (1.0, 2.0))
    rounds = list(made.rounds(span=8 * 3600))
    assert len(rounds) >= 96 and inbox.refused > 10
    failing = [one for one in rounds if one.state.alerts.error]
    assert all("JSON 1 failed: " in one.state.alerts.error and "error=503" in one.state.alerts.error for one in failing)
    assert inbox.titles[0].startswith("PROD: ") and inbox.titles[-1].startswith("PROD: watch ended: alarmed")
    assert any("resolved" in one["title"] or "Resolved: " in one["message"] for one in inbox.messages)
    assert len(set(inbox.ids)) == len(inbox.ids) and not any(
        "may be a repeat" in one["message"] for one in inbox.messages
    )
    numbers = [int(one.rpartition("-")[2]) for one in inbox.ids]
    assert numbers == sorted(numbers) and rounds[-1].state.alerts.outbox == ()


def test_kill_while_sending(
    tmp_path: Path, store: LogStore, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run dies after the message went out and before that was stored: another clone takes over, and sends it again
    under the same id, as perhaps a repeat; later messages are new ones."""
    inbox = Inbox(httpserver)
    made = night(tmp_path, store, inbox, 1.0, (0.0, 0.4))
    real = Notifiers.deliver
    killed: list[datetime] = []

    def deliver(self: Notifiers, book: AlertBook, now: datetime) -> AlertBook:
        after = real(self, book, now)
        if book.outbox and not killed:
            killed.append(now)
            raise Interrupted("SIGKILL")
        return after

    monkeypatch.setattr(Notifiers, "deliver", deliver)
    monkeypatch.setattr("migration.watch.watch._Watch._resign", lambda _: None)  # a kill leaves no time for that
    with pytest.raises(Interrupted):
        list(made.rounds(span=2400))
    assert len(inbox.messages) == 1 and "may be a repeat" not in inbox.messages[0]["message"]
    made.clock.sleep(900)
    monkeypatch.setattr("migration.ledger.actor.alive", lambda *_: False)
    final = list(made.rounds(clone=1))[-1]
    assert inbox.ids[0] == inbox.ids[1] and inbox.titles[0] == inbox.titles[1]
    assert "may be a repeat" in inbox.messages[1]["message"]
    assert len(set(inbox.ids[1:])) == len(inbox.ids[1:]) and inbox.titles[-1].startswith("PROD: watch ended: alarmed")
    assert final.state.alerts.outbox == () and final.exit_code == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dead_notifier_on_a_branch(
    tmp_path: Path, store: LogStore, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each write is a commit that people see, a message that is tried in vain in every round adds none: one for
    the alarm, one once its notifier is known not to have taken it, one when it arrives. It arrives once."""
    inbox = Inbox(httpserver)
    inbox.until = 0.9
    made = night(tmp_path, store, inbox, 1.3, (0.0, 0.4), prefix="refs/heads/cutover")
    commits: list[str | None] = []
    write = WatchRef.write

    def counted(self: WatchRef, state: WatchState, expected: str | None) -> str | None:
        commits.append(state.alerts.outbox[0].id if state.alerts.outbox else None)
        return write(self, state, expected)

    monkeypatch.setattr(WatchRef, "write", counted)
    rounds = list(made.rounds(span=3600))
    first = inbox.ids[0]
    failing = [one for one in rounds if one.state.alerts.error]
    assert inbox.refused >= 4 and len(failing) >= 4
    assert commits.count(first) <= 3, commits
    assert inbox.ids.count(first) == 1 and inbox.titles[-1].startswith("PROD: watch ended: alarmed")
    assert not any("may be a repeat" in one["message"] for one in inbox.messages)
    assert rounds[-1].state.alerts.outbox == ()
