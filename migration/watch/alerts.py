"""Who is notified of what, and when: pure functions from the alarms of a round to the messages that are due.

The semantics are those of Prometheus Alertmanager (https://prometheus.io/docs/alerting/latest/alertmanager/): all
alarms of one deployment are one message that leads with the worst; a lesser alarm is inhibited by a greater one of the
same cause; one that lasts is repeated after an interval; one that is over is reported as resolved. And the end of a
watch is a message too, so that silence is not mistaken for health.

A message is stored as pending (`outbox`), sent, and stored as sent: `observe` or `end`, `claim`, store, deliver, store.
Whoever finds a message that another run had opened sends it again, under the same id, as perhaps a repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from migration.watch import message
from migration.watch.message import MessageBlock
from migration.watch.model import Alarm, AlarmSeverity, AlertBook, AlertMessage, Notified, Surroundings

KEPT = 50  # sent messages in the book
WAITING = 20  # messages that wait for a notifier; older ones are folded into their successor
_FOLDED = 40  # lines of a message that others were folded into
_KINDS = {"action": 0, "blackout": 1, "test": 2, "fact": 3, "threshold": 4, "no_data": 5}
MAY_BE_A_REPEAT = "may be a repeat"


def observe(
    book: AlertBook, alarms: Iterable[Alarm], around: Surroundings, now: datetime, repeat: float
) -> AlertBook:  # fmt: skip
    """The book after a round in which these alarms stood; a message is in its outbox where one is due.

    `repeat`: seconds after which a message about alarms that last is sent again. None is added while one waits.
    """
    standing = [one for one in alarms if one.kind != "no_traffic"]
    firing, muted = inhibited(book, standing)
    known = {one.key: one for one in book.notified}
    fresh = [one for one in firing if one.key not in known or _graver(one.severity, known[one.key].severity)]
    keys = {one.key for one in standing}
    over = [one for one in book.notified if one.key not in keys and not one.key.startswith("action:")]
    lasts = bool(firing) and book.notified_at is not None and (now - book.notified_at).total_seconds() >= repeat
    if not fresh and not over and (not lasts or book.outbox):
        return book
    kind: Literal["firing", "resolved", "repeat"] = "firing" if fresh else "resolved" if over else "repeat"
    lead = (fresh or firing)[0].summary if firing else over[0].summary
    others = len(firing) - 1 if firing else len(over) - 1
    words = f"resolved: {lead}" if not firing else f"still: {lead}" if kind == "repeat" else lead
    blocks = message.body([*fresh, *(one for one in firing if one not in fresh)], muted, over, around, now)
    severity = firing[0].severity if firing else "good"
    message_ = _add(book, kind, severity, message.title(around, words, others), blocks, around, now)
    notified = tuple(Notified(one.key, one.severity, one.since, one.summary) for one in firing)
    return replace(message_, notified=notified, notified_at=now)


def end(
    book: AlertBook, around: Surroundings, now: datetime, words: str, lines: Sequence[str],
    severity: AlarmSeverity | Literal["good"] = "good",
) -> AlertBook:  # fmt: skip
    """The book at the end of the watch: its verdict in `words`, figures in `lines`. The end is announced once."""
    if book.ended:
        return book
    standing = [
        MessageBlock(f"Stood at the end: {one.summary} (since {message.clock(one.since, now)})")
        for one in book.notified
    ]
    figures = [MessageBlock(text, "item") for text in lines]
    blocks = [MessageBlock(f"The watch has ended: {words}", "strong"), *figures, *standing, *message.ending(around)]
    message_ = _add(book, "end", severity, message.title(around, f"watch ended: {words}"), blocks, around, now)
    return replace(message_, ended=True)


def claim(book: AlertBook, run: str) -> AlertBook:
    """The book before this run sends: to be stored first, so that whoever comes after a kill knows of it."""
    return replace(
        book, outbox=tuple(replace(one, opened=run, repeat=one.repeat or bool(one.opened)) for one in book.outbox)
    )


def differ(stored: AlertBook, book: AlertBook) -> bool:
    """Whether another run must know this book: a message more or fewer, one that is opened for the first time, or one
    that a notifier took. That one was tried again in vain it need not: its stored form says already that it was opened,
    so that whoever sends it next calls it perhaps a repeat."""
    opened = {one.id for one in stored.outbox if one.opened}
    fresh = any(one.opened and one.id not in opened for one in book.outbox)
    return fresh or _held(stored) != _held(book)


def _held(book: AlertBook) -> tuple[object, ...]:
    waiting = [(one.id, one.waiting) for one in book.outbox]
    return waiting, [one.id for one in book.sent], book.notified, book.notified_at, book.ended


def tried(book: AlertBook, message: AlertMessage, waiting: Sequence[str], unknown: bool, error: str) -> AlertBook:
    """The book after a message was tried. `waiting`: the notifiers that have not taken it; `unknown`: one of them may
    have; `error`: why."""
    after = replace(message, waiting=tuple(waiting), opened="", repeat=message.repeat or unknown,
                    tries=message.tries + 1, error=error)  # fmt: skip
    return replace(book, outbox=tuple(after if one.id == message.id else one for one in book.outbox))


def taken(book: AlertBook, message: AlertMessage, now: datetime | None, error: str = "") -> AlertBook:
    """The book after every notifier took a message; `now` None: there is none to take it."""
    brief = replace(message, waiting=(), opened="", text="", markdown="", sent_at=now, error=error)
    left = tuple(one for one in book.outbox if one.id != message.id)
    return replace(book, outbox=left, sent=(*book.sent, brief)[-KEPT:])


def inhibited(book: AlertBook, alarms: Iterable[Alarm]) -> tuple[list[Alarm], list[Alarm]]:
    """(alarms that are worth a message, alarms that a greater one of the same cause mutes), each the worst first.

    Of two equals the one that people know of stays, so that nothing is sent when they change places.
    """
    known = {one.key for one in book.notified}
    ranked = sorted(alarms, key=lambda one: (_rank(one), one.key not in known, one.since, one.key))
    firing: list[Alarm] = []
    muted: list[Alarm] = []
    causes: set[str] = set()
    for one in ranked:
        (muted if one.cause in causes else firing).append(one)
        causes |= {one.cause} if one.cause else set()
    return firing, muted


def _rank(alarm: Alarm) -> tuple[bool, int]:
    return alarm.severity != "critical", _KINDS.get(alarm.kind, len(_KINDS))


def _graver(one: AlarmSeverity, other: AlarmSeverity) -> bool:
    return one == "critical" and other != "critical"


def _add(
    book: AlertBook, kind: Literal["firing", "resolved", "repeat", "end"], severity: AlarmSeverity | Literal["good"],
    title: str, blocks: Sequence[MessageBlock], around: Surroundings, now: datetime,
) -> AlertBook:  # fmt: skip
    """The book with one more message, numbered; one that waits to repeat itself makes room for it."""
    number = book.number + 1
    added = AlertMessage(f"{around.deployment}-{number}", now, kind, severity, title, message.plain(blocks),
                   message.markdown(blocks))  # fmt: skip
    kept = [one for one in book.outbox if one.kind != "repeat" or one.opened]
    return replace(book, number=number, outbox=tuple(_folded([*kept, added])))


def _folded(outbox: list[AlertMessage]) -> list[AlertMessage]:
    """At most `WAITING` messages; the oldest lives on as a line of its successor, so that none is lost."""
    while len(outbox) > WAITING:
        first, second, *rest = outbox
        late = f"Not delivered before: {first.title} ({first.at:%Y-%m-%d %H:%M:%SZ}, {first.id})"
        second = replace(second, text=_under(late, first, second.text), markdown=_under(late, first, second.markdown))
        outbox = [second, *rest]
    return outbox


def _under(late: str, first: AlertMessage, text: str) -> str:
    older = [one for one in first.text.splitlines() if one.startswith("Not delivered before: ")]
    return "\n".join([*text.splitlines()[:_FOLDED], late, *older][: 2 * _FOLDED])
