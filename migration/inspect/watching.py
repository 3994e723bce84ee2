"""What a running watch has stored of itself, in a sentence; and what is on record of those that are over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from migration.base.durations import show
from migration.base.errors import CutoverError
from migration.base.numbers import count
from migration.git import messages

if TYPE_CHECKING:
    from migration.context import Context

_KEYS = (
    "watch",
    "verdict",
    "ended",
    "started",
    "until",
    "rounds",
    "figures",
    "criteria",
    "alarms",
    "messages",
    "acted",
)


class _Leader(Struct):
    who: str = ""
    host: str = ""


class _State(Struct):
    """The part of `watch.model.WatchState` that a status shows."""

    id: str
    deployment: str
    until: datetime
    rounds: int = 0
    round_at: datetime | None = None
    ended: str = ""
    standing: dict[str, datetime] = {}
    leader: _Leader | None = None


class _Envelope(Struct):
    state: _State


def running(context: Context, deployment: str = "", live: str = "") -> str:
    """The watch that is running (of that deployment), as the ledger's last reading found it; empty where none is, or it
    cannot be read. `live`: the deployment that is live, where the caller knows it: a watch of another one is over."""
    ledger = context.ledger
    ref = f"{ledger.prefix}/watch/{ledger.environment}"
    commit = (ledger.remote_refs or {}).get(ref)
    if commit is None:
        return ""
    try:
        ledger.refs.bring(ref, commit)
        message = messages.one(ledger.repository, commit).text or b""
        state = msgspec.json.decode(message.split(b"\n", 1)[0], type=_Envelope).state
    except (CutoverError, msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    if state.ended or deployment not in ("", state.deployment):
        return ""
    if live not in ("", state.deployment):
        return f"Watch {state.id} of {state.deployment}: it is no longer live, and the next round ends the watch."
    return _words(state, context.clock.now())


def recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    """One watch that is over, as `history` shows it."""
    return {key: record.get(key) for key in _KEYS}


def _words(state: _State, now: datetime) -> str:
    alarms = count(len(state.standing), "alarm") + " standing" if state.standing else "no alarm"
    lead = f", led by {state.leader.who} on {state.leader.host}" if state.leader else ""
    last = f"last round {show((now - state.round_at).total_seconds())} ago" if state.round_at else "no round yet"
    left = max((state.until - now).total_seconds(), 0.0)
    return f"Watch {state.id} of {state.deployment}: {alarms}, {last}, {show(left)} left{lead}."
