"""Notifiers: the URLs of `watch.notify`, through Apprise (https://github.com/caronc/apprise), which knows 100 services.

A URL holds a token and is shown nowhere. A notifier that fails, refuses or hangs is reported and stops nothing: each is
served by a process of its own (`courier.py`), and all of them are ended at one deadline.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from migration.base import parallel, runlog, strictjson
from migration.base.command import Do, sh
from migration.base.durations import show
from migration.base.errors import ConfigError, Refused
from migration.base.gate import gate
from migration.base.numbers import count
from migration.base.secrets_type import Secret, register, spare
from migration.config import load as configuration
from migration.config.builder import loopback
from migration.config.settings import WatchSettings
from migration.watch import alerts, message
from migration.watch.message import MessageBlock
from migration.watch.model import AlertBook, AlertMessage, Surroundings

DEADLINE = 20.0  # seconds for all notifiers of a round together
_COURIER = Path(__file__).with_name("courier.py")
_INSTALL = sh("uv", "sync", "--group", "notify")
_WHY = 160  # characters
_REFUSED = re.compile(r"error=\d{3}\b")


@dataclass(frozen=True)
class Notifier:
    """One URL of `watch.notify`. `name`: its service and its place in the list; `where`: its address, masked."""

    name: str
    where: str
    url: Secret


@dataclass(frozen=True)
class Delivery:
    """How one notifier took its messages. `took`: their ids; `why` it stopped, empty where it took all; `unknown`: the
    message that it may have taken all the same."""

    notifier: Notifier
    took: tuple[str, ...] = ()
    why: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class Notifiers:
    """All that is notified. `notes`: what is left out, and why. `deadline` in seconds, for all of them together."""

    all: tuple[Notifier, ...] = ()
    notes: tuple[str, ...] = ()
    deadline: float = DEADLINE
    python: str = field(default=sys.executable, repr=False)

    def deliver(self, book: AlertBook, now: datetime) -> AlertBook:
        """The book after its outbox was tried; to be stored. Raises nothing but Interrupted."""
        if not book.outbox:
            return replace(book, error="")
        if not self.all:
            for one in book.outbox:
                book = alerts.taken(book, one, None, "no notifier is configured")
            return replace(book, error="")
        mine = {one.name: [each for each in book.outbox if self._wants(one, each)] for one in self.all}
        done = self._send({one: mine[one.name] for one in self.all if mine[one.name]})
        for each in book.outbox:
            book = self._settled(book, each, done, now)
        return replace(book, error=_error(book, done))

    def test(self, around: Surroundings, now: datetime) -> tuple[Delivery, ...]:
        """Sends a test message to every notifier."""
        words = "Test message: notifications of inv watch arrive here."
        blocks = [MessageBlock(words), MessageBlock(f"Sent by {around.who or 'Cutover'} with inv doctor --fix", "item")]
        alert = AlertMessage(f"test-{now:%Y%m%dT%H%M%S}", now, "test", "good", message.title(around, "test message"),
                       message.plain(blocks), message.markdown(blocks))  # fmt: skip
        return tuple(self._send({one: [alert] for one in self.all}))

    @staticmethod
    def _wants(notifier: Notifier, one: AlertMessage) -> bool:
        return one.waiting is None or notifier.name in one.waiting

    def _settled(self, book: AlertBook, one: AlertMessage, done: Sequence[Delivery], now: datetime) -> AlertBook:
        """The book after a message: every notifier took it, or some are still to take it."""
        waiting = [each.name for each in self.all if self._wants(each, one)]
        tried = [each for each in done if each.notifier.name in waiting]
        left = [
            name for name in waiting if not any(name == each.notifier.name and one.id in each.took for each in tried)
        ]
        if not left:
            return alerts.taken(book, one, now)
        why = next((each.why for each in tried if each.notifier.name in left), "")
        return alerts.tried(book, one, left, any(each.unknown == one.id for each in tried), why)

    def _send(self, orders: Mapping[Notifier, Sequence[AlertMessage]]) -> list[Delivery]:
        """Every notifier at the same time, each with its messages in turn; at the deadline what still runs is ended."""
        ends = time.monotonic() + self.deadline
        texts = [json.dumps({"url": one.url.reveal(), "messages": [_order(each) for each in messages]})
                 for one, messages in orders.items()]  # fmt: skip
        answers = _run(self.python, texts, ends)
        return [
            _delivery(one, messages, answer, self.deadline)
            for (one, messages), answer in zip(orders.items(), answers, strict=True)
        ]


def of(settings: WatchSettings, embedded: bool = False, python: str = sys.executable) -> Notifiers:
    """The notifiers of `watch.notify`, each URL checked by Apprise. ConfigError names the place of one that cannot be
    used, never its text; Refused where Apprise is not installed.

    On the sandbox (`embedded`) only this machine is notified: a rehearsal wakes no one up.
    """
    urls = list(enumerate(settings.notify, 1))
    if embedded:
        urls = [(place, url) for place, url in urls if not configuration.missing(url)]
    for place, url in urls:
        configuration.need(url, f"watch.notify.{place - 1}", "the notifier")
    if not urls:
        return Notifiers()
    if not installed():
        text = f"watch.notify has {count(len(urls), 'notifier')}, and Apprise is not installed."
        raise Refused(text, _INSTALL, Do("or remove them from watch.notify"))
    order = json.dumps({"check": [url.reveal() for _, url in urls]})
    answers = _lines(_run(python, [order], time.monotonic() + 2 * DEADLINE)[0] or "")
    if len(answers) != len(urls):
        raise Refused("Apprise did not say whether it accepts the URLs of watch.notify.", _INSTALL)
    usable, notes, mistakes = [], [], []
    for (place, url), answer in zip(urls, answers, strict=True):
        if embedded and not _here(answer):
            notes.append(f"{_name(answer, place)} is left out: the sandbox notifies only this machine.")
        elif why := _mistake(answer):
            mistakes.append(f"config.yaml: watch.notify.{place - 1}: {why}")
        else:
            _hide(url.reveal(), str(answer["shown"]))
            usable.append(Notifier(_name(answer, place), _where(answer), url))
    if mistakes:
        raise ConfigError("\n".join(mistakes), Do("compare them with https://appriseit.com/services/"))
    return Notifiers(tuple(usable), tuple(notes), python=python)


def installed() -> bool:
    """Whether Apprise can be imported; it is not imported here."""
    return importlib.util.find_spec("apprise") is not None


def _mistake(answer: Mapping[str, Any]) -> str:
    """Why a URL is not used; empty where it is."""
    if not answer.get("ok"):
        return "Apprise knows no service of this URL, or something is missing in it (it is not shown here)"
    if _here(answer):
        return ""
    if answer["clear"]:
        other = " or ".join(f"{one}://" for one in answer["tls"]) or "another service"
        return f"alerts would travel in clear ({answer['scheme']}://): use {other}"
    return "" if answer["verified"] else "verify=no lets others read the alerts on their way: leave it out"


def _name(answer: Mapping[str, Any], place: int) -> str:
    return f"{answer.get('service') or 'notifier'} {place}"


def _where(answer: Mapping[str, Any]) -> str:
    """Scheme and host; the latter only where it is an address, not a token."""
    host = str(answer["host"])
    shown = re.search(rf"(//|@){re.escape(host)}(?=[:/]|$)", str(answer["shown"]))
    known = bool(host) and shown is not None and (loopback(host.strip("[]")) or "." in host)
    return f"{answer['scheme']}://{host if known else '…'}"


def _here(answer: Mapping[str, Any]) -> bool:
    """Whether nothing leaves this machine: a loopback address, or a service without one, such as syslog."""
    return bool(answer.get("ok")) and (not answer["host"] or loopback(answer["host"].strip("[]")))


def _hide(url: str, shown: str) -> None:
    """Registers the parts of a URL that may be its token, so that a message of the service cannot show them."""
    for part in re.split(r"[/:@?&=#\s]+", url):
        plain = unquote(part)
        secret = part not in shown or any(sign.isdigit() for sign in part)
        if secret and len(plain) >= 8 and not loopback(plain) and not re.fullmatch(r"[\w-]+(\.[\w-]+)+", plain):
            register(plain)


def _order(one: AlertMessage) -> dict[str, str]:
    again = f", {alerts.MAY_BE_A_REPEAT}" if one.repeat else ""
    return {
        "id": one.id, "severity": one.severity, "title": one.title,
        "text": f"{one.text}\nMessage {one.id}{again}", "markdown": f"{one.markdown}\nMessage `{one.id}`{again}",
    }  # fmt: skip


def _delivery(notifier: Notifier, messages: Sequence[AlertMessage], answer: str | None, deadline: float) -> Delivery:
    """What a courier wrote, as data; None and what is cut off mean that it was ended."""
    lines = _lines(answer or "")
    took = tuple(str(one["id"]) for one in lines if one.get("ok"))
    why = next((str(one["why"]) for one in lines if one.get("ok") is False), "")
    begun = [str(one["id"]) for one in lines if one.get("begun")]
    refused = _REFUSED.search(why)  # an answer of the service; a connection that broke may have brought the message
    unknown = begun[-1] if begun and begun[-1] not in took and not refused else ""
    if not why and len(took) < len(messages):
        why = f"no answer within {show(deadline)}"
    runlog.record(f"notify {notifier.name}: {count(len(took), 'message')} taken {why}".rstrip())
    return Delivery(notifier, took, _short(why), unknown)


def _short(why: str) -> str:
    text = " ".join(gate(why).split())
    return text if len(text) <= _WHY else f"{text[: _WHY - 1]}…"


def _error(book: AlertBook, done: Iterable[Delivery]) -> str:
    """Which notifiers failed, and how many messages wait; empty where none did."""
    failed = [f"{one.notifier.name} failed: {one.why.rstrip('.')}" for one in done if one.why]
    waits = f"{count(len(book.outbox), 'message')} {'waits' if len(book.outbox) == 1 else 'wait'} for the next round"
    return f"{'; '.join(failed)}. {waits}." if failed else ""


# Processes.


def _run(python: str, orders: Sequence[str], ends: float) -> list[str | None]:
    """What a courier wrote to each order, as far as it came; all of them are ended at `ends` or by a signal."""
    children = [_courier(python) for _ in orders]
    jobs = list(zip(children, orders, strict=True))
    try:
        return parallel.every(jobs, lambda job: _answer(*job, ends))
    finally:
        for child in children:
            _end(child)


def _courier(python: str) -> subprocess.Popen[str]:
    """A process without our secrets in its environment; it asks no proxy for this machine."""
    own = spare(os.environ)
    here = ",".join(filter(None, (own.get("NO_PROXY") or own.get("no_proxy"), "localhost,127.0.0.1,::1")))
    env = {**own, "NO_PROXY": here, "no_proxy": here, "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([python, "-I", str(_COURIER)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", start_new_session=True)  # fmt: skip


def _answer(child: subprocess.Popen[str], order: str, ends: float) -> str | None:
    try:
        return child.communicate(order, max(ends - time.monotonic(), 0.1))[0]
    except subprocess.TimeoutExpired:
        _end(child)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError, OSError):
            return child.communicate(timeout=1)[0]
        return None


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _lines(text: str) -> list[dict[str, Any]]:
    return [one for line in text.splitlines() if (one := _parsed(line)) is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        value = strictjson.loads(line)
        return value if isinstance(value, dict) else None
    return None


def offer(notifiers: Notifiers) -> str:
    """What a test message would do, as a question."""
    return f"Send a test message to {', '.join(f'{one.name} ({one.where})' for one in notifiers.all)}"


def sent(deliveries: Iterable[Delivery]) -> str:
    """How a test message went."""
    return "; ".join(
        f"{one.notifier.name} ({one.notifier.where}) {'took it' if one.took else f'failed: {one.why}'}"
        for one in deliveries
    )
