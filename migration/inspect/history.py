"""The ledger for people: the table of deployments, one in full, notes, and breaking a lock."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.base.command import Step, inv
from migration.base.errors import CutoverError, Refused
from migration.base.parallel import every
from migration.base.plain import Lazily
from migration.deploy import forward, recovery
from migration.inspect import source, watching
from migration.inspect.source import FunctionCode
from migration.ledger.deployments import Deployment, History, Record

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context


@dataclass(frozen=True)
class HistoryResult:
    """Deployments and notes, newest first, and what to type next. With `whole`, the one deployment in full: `records`
    holds all that the ledger has of it."""

    deployments: Sequence[dict[str, Any]]
    notes: tuple[Record, ...]
    message: str = ""
    records: tuple[Record, ...] = ()
    next: tuple[Step, ...] = ()
    whole: bool = False
    exit_code: int = 0


@dataclass(frozen=True)
class UnlockResult:
    """The lock that was broken."""

    lock: dict[str, Any]
    message: str
    next: tuple[Step, ...]
    exit_code: int = 0


def run(context: Context, limit: int = 20, note: str | None = None, rating: int | None = None) -> HistoryResult:
    """The newest deployments and notes; a `note` is added first. `limit` counts deployments.

    `rating`: what users think of what is live, from 1 to 5; it needs a note. Refused otherwise.
    """
    if rating is not None and not 1 <= rating <= 5:
        raise Refused(
            f"--rating {rating} is not between 1 and 5.", inv("history", note=note or "what users say", rating=4)
        )
    if rating is not None and note is None:
        raise Refused(
            "A rating needs a note: what was rated, and by whom.", inv("history", note="what users say", rating=rating)
        )
    if note is not None:
        _add(context, note, rating)
    else:
        context.ledger.glance()
    live, history = _read(context)
    last = len(history.deployments) - 1
    places = range(last, max(last - max(limit, 0), -1), -1)
    rows = Lazily(places, lambda place: row(history, history.deployments[place]))  # all at once take 100 MB
    notes = [record for record in reversed(history.records) if record["record"] in ("note", "lift", "unlock")]
    ways = _ways(context, history, live) if live is not None else ()
    return HistoryResult(
        rows, tuple(_note(one) for one in notes[: max(limit, 0)]), _message(context, history), next=ways
    )


def show(context: Context, name: str) -> HistoryResult:
    """One deployment in full, by its id or the beginning of it, and the notes about it."""
    context.ledger.glance()
    history = context.ledger.history()
    one = find(history, name)
    records = tuple(record for record in history.records if record.get("deployment") == one.id)
    about = [record for record in history.records if record["record"] in ("note", "lift") and _about(record, one)]
    ways = tuple(inv("history", source=slug, show=one.id) for slug in one.slugs)
    notes = tuple(_note(each) for each in about)
    messages = (_message(context, history), watching.running(context, one.id))
    words = " ".join(filter(None, messages))
    return HistoryResult((row(history, one),), notes, words, records, ways, whole=True)


def code(context: Context, slug: str, name: str = "") -> FunctionCode:
    """The code of a function as it was at a deployment, or is now without one."""
    context.ledger.glance()
    history = context.ledger.history()
    if not history.deployments:
        raise Refused(_message(context, history), inv("plan"))
    return source.run(context, history, slug, find(history, name) if name else None)


def find(history: History, name: str) -> Deployment:
    """The deployment with this id, or the only one whose id begins so. Refused otherwise."""
    exact = history.find(name)
    matching = [exact] if exact else [one for one in history.deployments if one.id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(one.id for one in matching[-3:])
        raise Refused(f"{name} is the beginning of {len(matching)} deployments ({names}): type more of the id.",
                      inv("history"))  # fmt: skip
    raise Refused(f"The ledger has no deployment {name}.", inv("history"))


def _about(record: Record, one: Deployment) -> bool:
    return one.id in (record.get("hold"), record.get("deployment")) or one.id in str(record.get("text") or "")


def _read(context: Context) -> tuple[Mapping[str, Function] | None, History]:
    """What is live, None where the platform does not say, and the ledger; both at once."""
    tasks: list[Callable[[], Any]] = [lambda: _live(context), context.ledger.history]
    live, history = every(tasks, lambda task: task())
    return live, history


def _live(context: Context) -> Mapping[str, Function] | None:
    if not context.environment.project_ref:
        return None
    with contextlib.suppress(CutoverError):  # the ledger is worth reading without it
        return {function.slug: function for function in context.supabase.functions()}
    return None


def _ways(context: Context, history: History, live: Mapping[str, Function]) -> tuple[Step, ...]:
    """What to type next, as every verb prints it."""
    try:
        pending = recovery.look(context, history, live)
        holder = context.lock.holder(fresh=False) if context.ledger.offline is None else None
        busy = pending is not None and holder is not None and not holder.stale
        digests = forward.checked_out(context, context.config.migration.functions)
        return forward.steps(context, forward.situation(context, history, live, pending, busy, digests))
    except CutoverError:
        return ()


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


def _add(context: Context, note: str, rating: int | None) -> None:
    if not note.strip():
        raise Refused("A note needs some text.", inv("history", note="what happened"))
    context.ledger.append({"record": "note", "text": note.strip(), **({"rating": rating} if rating else {})})


def _note(record: Record) -> dict[str, Any]:
    robbed = (record.get("robbed") or {}).get("who") or "unknown"
    took, state = ("took over", "stale ") if record.get("stale") else ("broke", "")
    texts = {
        "note": record.get("text"),
        "lift": f"lifted the hold of {record.get('hold')}: {record.get('reason') or 'no reason given'}",
        "unlock": f"{took} the {state}lock {record.get('lock') or 'unknown'} of {robbed}",
    }
    note = {"at": record.get("at"), "who": record.get("who") or "unknown", "text": texts[record["record"]]}
    return {**note, "rating": record["rating"]} if record.get("rating") else note


def _message(context: Context, history: History) -> str:
    ledger = context.ledger
    if ledger.offline:
        return ledger.offline
    if not history.records:
        return "The ledger is empty: nothing was deployed with Cutover yet."
    return "" if ledger.shared else "The app has no git remote: the ledger exists on this machine only."
