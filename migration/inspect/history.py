"""The ledger for people: the table of deployments, one in full, notes, and breaking a lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from migration.base.command import Step, inv
from migration.base.errors import Refused
from migration.inspect import watching
from migration.ledger.deployments import Deployment, History, Record

if TYPE_CHECKING:
    from migration.context import Context


@dataclass(frozen=True)
class HistoryResult:
    """Deployments and notes, newest first; `records` holds all records of the newest where the limit is 1."""

    deployments: tuple[dict[str, Any], ...]
    notes: tuple[Record, ...]
    message: str = ""
    records: tuple[Record, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True)
class UnlockResult:
    """The lock that was broken."""

    lock: dict[str, Any]
    message: str
    next: tuple[Step, ...]
    exit_code: int = 0


def run(context: Context, limit: int = 20, note: str | None = None) -> HistoryResult:
    """The newest deployments and notes; a `note` is added first. `limit` counts deployments."""
    if note is not None:
        _add(context, note)
    else:
        context.ledger.glance()
    history = context.ledger.history()
    newest = list(islice(reversed(history.deployments), max(limit, 0)))
    rows = tuple(row(history, one) for one in newest)
    notes = [record for record in reversed(history.records) if record["record"] in ("note", "lift", "unlock")]
    whole = [one for one in history.records if one.get("deployment") == newest[0].id] if limit == 1 and newest else []
    return HistoryResult(
        rows, tuple(_note(one) for one in notes[: max(limit, 0)]), _message(context, history), tuple(whole)
    )


def row(history: History, one: Deployment) -> dict[str, Any]:
    """One deployment as the tables and `--json` show it."""
    undone = history.undone(one.id) if one.kind == "deploy" else None
    live = history.live
    functions = [
        {"slug": change.slug, "action": change.action, "before": change.before, "after": change.after}
        for change in one.functions
    ]
    return {
        "id": one.id, "at": one.at, "ended": one.outcome_at or None, "who": one.who, "where": dict(one.where),
        "kind": one.kind, "outcome": one.outcome, "revision": one.revision, "base_revision": one.base_revision,
        "partial": one.partial, "to": one.to, "functions": functions, "message": one.message, "steps": list(one.steps),
        "gate": dict(one.gate), "revert": one.revert, "new_code_seconds": one.new_code_seconds,
        "live": live is not None and live.id == one.id, "undone_by": undone.id if undone else None,
        "settled": one.interrupted and one is not history.newest, "without_lock": one.without_lock or None,
        "watches": [watching.recorded(record) for record in one.watches],
    }  # fmt: skip


def unlock(context: Context, lock: str, confirm: Callable[[str], bool] = lambda _: True) -> UnlockResult:
    """Break the lock with this id, recorded. Refused when it is free, or has another id."""
    holder = context.lock.holder()
    if holder is None or holder.id != lock:
        context.lock.unlock(lock)  # refuses, in its own words
    if not confirm(f"Break the lock {lock} of {holder}"):
        raise Refused("Not confirmed: the lock is as it was.", inv("unlock", lock))
    broken = context.lock.unlock(lock)
    following = (inv("status", env=context.environment.name),)
    return UnlockResult(broken.facts(), f"Broke the lock {lock} of {broken}.", following)


def _add(context: Context, note: str) -> None:
    if not note.strip():
        raise Refused("A note needs some text.", inv("history", note="what happened"))
    context.ledger.append({"record": "note", "text": note.strip()})


def _note(record: Record) -> dict[str, Any]:
    texts = {
        "note": record.get("text"),
        "lift": f"lifted the hold of {record.get('hold')}: {record.get('reason')}",
        "unlock": f"broke the lock {record.get('lock')} of {(record.get('robbed') or {}).get('who') or 'unknown'}",
    }
    return {"at": record.get("at"), "who": record.get("who"), "text": texts[record["record"]]}


def _message(context: Context, history: History) -> str:
    ledger = context.ledger
    if ledger.offline:
        return f"As this clone last saw it. {ledger.offline}"
    if not history.records:
        return "The ledger is empty: nothing was deployed with Cutover yet."
    return "" if ledger.shared else "The app has no git remote: the ledger exists on this machine only."
