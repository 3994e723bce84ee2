"""Folding the ledger's records into deployments: what began, how it ended, and what is held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from migration.ledger.deployments import Change, Deployment, History, Record


def fold(records: Iterable[Record]) -> History:
    """The records of one environment, oldest first, as history. Records of unknown kinds are kept and passed over."""
    known = tuple(records)
    found: dict[str, Deployment] = {}
    holds: dict[str, Record] = {}
    for record in known:
        name = _text(record, "deployment")
        if record["record"] == "intent" and name not in found:
            found[name] = _begin(record)
        elif name in found and record["record"] in _STEPS:
            found[name] = _STEPS[record["record"]](found[name], record)
        _hold(holds, record)
    return History(_ordered(found.values()), tuple(holds.values()), known)


def _ordered(found: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Oldest first. That is the chain's order, but for records that waited on a machine without its git remote: the
    platform's version of a function only grows, so whoever found the older one live began before."""
    ordered: list[Deployment] = []
    for one in found:
        place = len(ordered)
        while place and _earlier(one, ordered[place - 1]):
            place -= 1
        ordered.insert(place, one)
    return tuple(ordered)


def _earlier(one: Deployment, other: Deployment) -> bool:
    """Whether `one` found an older version of the same function live than `other` did."""
    seen = {change.before.get("function_id"): change.before for change in other.functions if change.before}
    shared = [(change.before, seen.get(change.before.get("function_id"))) for change in one.functions if change.before]
    return any(mine["version"] < theirs["version"] for mine, theirs in shared if theirs and theirs.get("function_id"))


def _hold(holds: dict[str, Record], record: Record) -> None:
    """A hold begins with the record that carries it, knows the revert that followed, and ends with a lift."""
    name = _text(record, "deployment")
    if record["record"] in ("intent", "outcome") and record.get("hold"):
        holds[name] = {**record["hold"], "id": name, "at": _text(record, "at"), "who": _text(record, "who")}
    elif record["record"] == "outcome" and record.get("outcome") == "abandoned":
        holds.pop(name, None)
    elif record["record"] == "git" and name in holds:
        holds[name] = {**holds[name], "revert": record.get("revert")}
    elif record["record"] == "lift":
        lifted = record.get("hold")
        for key in [key for key in holds if lifted in (None, "all", key)]:
            del holds[key]


def _begin(record: Record) -> Deployment:
    changes = tuple(
        Change(one["slug"], one.get("action", ""), one.get("before"), one.get("wanted") or {})
        for one in record.get("functions") or ()
    )
    return Deployment(
        id=record["deployment"],
        kind=_text(record, "kind"),
        at=_text(record, "at"),
        who=_text(record, "who"),
        where=record.get("where") or {},
        environment=_text(record, "environment"),
        project_ref=_text(record, "project_ref"),
        revision=_text(record, "revision"),
        base_revision=_text(record, "base_revision"),
        plan_hash=_text(record, "plan_hash"),
        partial=bool(record.get("partial")),
        to=record.get("to"),
        functions=changes,
        secrets=record.get("secrets") or {},
        snapshots=record.get("snapshots") or {},
        without_lock=_text(record, "without_lock"),
        hold=record.get("hold"),
    )


def _text(record: Record, key: str) -> str:
    return str(record.get(key) or "")


def _staged(found: Deployment, record: Record) -> Deployment:
    """The newest staging answer of each function, and what may have been staged without one."""
    newest = {answer.get("slug"): answer for answer in (*found.answers, *(record.get("answers") or ()))}
    return replace(found, answers=tuple(newest.values()), perhaps_stranded=tuple(record.get("perhaps_stranded") or ()))


def _ended(found: Deployment, record: Record) -> Deployment:
    after = {one["slug"]: one.get("after") for one in record.get("functions") or ()}
    changes = tuple(replace(one, after=after.get(one.slug, one.after)) for one in found.functions)
    return replace(
        found, functions=changes, outcome=record.get("outcome"), outcome_at=_text(record, "at"),
        message=_text(record, "message"), new_code_seconds=record.get("new_code_seconds"),
        steps=tuple(record.get("steps") or ()), gate=record.get("gate") or {}, hold=record.get("hold") or found.hold,
    )  # fmt: skip


def _reverted(found: Deployment, record: Record) -> Deployment:
    return replace(found, revert=record.get("revert"))


_STEPS = {"staged": _staged, "outcome": _ended, "git": _reverted}
