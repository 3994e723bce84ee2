"""The history of an environment, folded from its records: what is live, was replaced, interrupted, put on hold.

Kinds of records: intent, staged, outcome, git (the revert), lift, note, unlock, costs. A rollback's intent has the
restored revision as `revision` and the one taken back as `base_revision`, says in each function's `wanted.of` whose
`before` goes live, and in `without_lock` why it went without. A `hold` may stand in an intent or in an outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Record = Mapping[str, Any]

LIVE = frozenset({"live", "unproven", "ungated"})  # the new code stayed
UNDONE = frozenset({"rolled_back", "deleted"})  # what a rollback ends in
CLOSED = LIVE | UNDONE | {"restored", "abandoned"}


@dataclass(frozen=True)
class Change:
    """One function in a deployment: `before` (as it was live, None if absent), `wanted`, and `after` as it was left."""

    slug: str
    action: str
    before: Record | None
    wanted: Record
    after: Record | None = None


@dataclass(frozen=True)
class Deployment:
    """One recorded attempt to change an environment. `outcome` is None until one was recorded."""

    id: str
    kind: str
    at: str
    who: str
    where: Record
    environment: str
    project_ref: str
    revision: str
    base_revision: str
    plan_hash: str
    partial: bool
    to: str | None
    functions: tuple[Change, ...]
    secrets: Record
    snapshots: Record
    without_lock: str = ""
    hold: Record | None = None
    outcome: str | None = None
    outcome_at: str = ""
    message: str = ""
    new_code_seconds: float | None = None
    steps: tuple[Record, ...] = ()
    gate: Record = field(default_factory=dict)
    answers: tuple[Record, ...] = ()
    perhaps_stranded: tuple[str, ...] = ()
    revert: Record | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it has no final outcome: its process died, was stopped, or recorded `unfinished`."""
        return self.outcome not in CLOSED

    @property
    def stayed(self) -> bool:
        """Whether its code stayed live."""
        return self.outcome in LIVE

    def change(self, slug: str) -> Change | None:
        return next((change for change in self.functions if change.slug == slug), None)

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(change.slug for change in self.functions)


@dataclass(frozen=True)
class KnownVersion:
    """The live version of one function as `deployment`, perhaps a rollback, recorded it."""

    slug: str
    version: int | None
    source_digest: str | None
    deployment: str


@dataclass(frozen=True)
class History:
    """Every deployment of one environment, oldest first, and what else the records say."""

    deployments: tuple[Deployment, ...]
    holds: tuple[Record, ...]
    records: tuple[Record, ...]

    @property
    def newest(self) -> Deployment | None:
        return self.deployments[-1] if self.deployments else None

    @property
    def interrupted(self) -> Deployment | None:
        """The newest deployment, if it has no end yet. Older ones were settled by whoever came after."""
        return self.newest if self.newest and self.newest.interrupted else None

    @property
    def live(self) -> Deployment | None:
        """The deployment whose code is live; None when the ledger has none, or the first one was undone."""
        return self.live_before(None)

    def live_before(self, deployment: str | None) -> Deployment | None:
        """The deployment that was live when this one began (now, for None)."""
        place = self._places.get(deployment or "", len(self.deployments))
        live = self._live[place]
        return None if live is None else self.deployments[live]

    def find(self, deployment: str | None) -> Deployment | None:
        place = self._places.get(deployment or "")
        return None if place is None else self.deployments[place]

    def base(self, default: str, slugs: Iterable[str] = ()) -> str:
        """The base revision of a deployment of these functions made now; `default` (app.base) when none is live.

        It is the live deployment's revision; where that was made with `--only` and changed none of them, the revision
        that it was based on.
        """
        wanted, current, found = set(slugs), self.live, default
        while current is not None:
            if not wanted or not current.partial or wanted & set(current.slugs):
                return current.revision
            found, current = current.base_revision or default, self.live_before(current.id)
        return found or (self.live.revision if self.live else "")

    def undone(self, deployment: str) -> Deployment | None:
        """The rollback that took this deployment back, if one did."""
        return self._undone.get(deployment)

    def left(self, slug: str, before: str = "") -> KnownVersion | None:
        """The last recorded live version of a function, by a deployment or a rollback; `before` that one began."""
        end = self._places.get(before, len(self.deployments))
        return next((known for place, known in reversed(self._left.get(slug, ())) if place < end), None)

    # Indexes, so that each question takes the same time however long the ledger is

    @cached_property
    def _places(self) -> dict[str, int]:
        return {one.id: place for place, one in enumerate(self.deployments)}

    @cached_property
    def _live(self) -> list[int | None]:
        """For each deployment the place of the one that was live when it began, and last: of the one that is now.

        A rollback makes an earlier one live; one that names a later one, or itself, makes none live that we know of.
        """
        live: int | None = None
        found = []
        for place, one in enumerate(self.deployments):
            found.append(live)
            if one.kind == "rollback" and one.outcome in UNDONE:
                live = self._places.get(one.to or "")
                live = live if live is not None and live < place else None
            elif one.stayed:
                live = place
        return [*found, live]

    @cached_property
    def _undone(self) -> dict[str, Deployment]:
        rollbacks = (one for one in self.deployments if one.kind == "rollback" and one.outcome in UNDONE)
        return {name: one for one in rollbacks for name in undoes(self, one)}

    @cached_property
    def _left(self) -> dict[str, list[tuple[int, KnownVersion]]]:
        found: dict[str, list[tuple[int, KnownVersion]]] = {}
        for place, one in enumerate(self.deployments):
            for change in one.functions if one.outcome != "abandoned" else ():
                if change.after:
                    known = KnownVersion(
                        change.slug, change.after.get("version"), change.after.get("source_digest"), one.id
                    )
                    found.setdefault(change.slug, []).append((place, known))
        return found


def agrees(revert: Record | None) -> bool:
    """Whether the recorded git half of a rollback left the branch with the previous files."""
    return revert is not None and revert.get("state", "pushed") in ("pushed", "already", "nothing")


def undoes(history: History, rollback: Deployment) -> tuple[str, ...]:
    """The deployments that a rollback takes back, newest first: all that were live after its `to`."""
    found: list[str] = []
    current = history.live_before(rollback.id)
    while current is not None and current.id != rollback.to:  # each began before the last: this ends
        found.append(current.id)
        current = history.live_before(current.id)
    return tuple(found)


def fold(records: Iterable[Record]) -> History:
    """The records of one environment, oldest first, as history. Records of unknown kinds are kept and passed over."""
    known = tuple(records)
    found: dict[str, tuple[Record, list[Record]]] = {}
    holds: dict[str, Record] = {}
    for record in known:
        kind, name = record["record"], _text(record, "deployment")
        if kind == "intent" and name not in found:
            found[name] = (record, [])
        elif kind in _LATER and name in found:
            found[name][1].append(record)
        _hold(holds, record)
    return History(_ordered(_deployment(*parts) for parts in found.values()), tuple(holds.values()), known)


def _reverted(holds: dict[str, Record], name: str, revert: Record | None) -> None:
    """The revert belongs to the hold of its own record, and to those whose tip it takes back too: a rollback that was
    killed before it recorded its revert is finished under another id."""
    own = holds.get(name, {})
    for key, hold in holds.items():
        same = own.get("tip") and (hold.get("tip"), hold.get("base")) == (own.get("tip"), own.get("base"))
        covered = hold.get("tip") in ((revert or {}).get("reverts") or ())
        if key == name or (not hold.get("revert") and (same or covered)):
            holds[key] = {**hold, "revert": revert}


def _ordered(found: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Oldest first. That is the chain's order, except for records that were queued on a machine without its git
    remote: the platform's version of a function only grows, so the deployment that found the lower one began first."""
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
    """Update the holds: one begins with the record that carries it, gets its revert, and ends with a lift."""
    name = _text(record, "deployment")
    if record["record"] in ("intent", "outcome") and record.get("hold"):
        holds[name] = {**record["hold"], "id": name, "at": _text(record, "at"), "who": _text(record, "who")}
    elif record["record"] == "outcome" and record.get("outcome") == "abandoned":
        holds.pop(name, None)
    elif record["record"] == "git":
        _reverted(holds, name, record.get("revert"))
    elif record["record"] == "lift":
        lifted = record.get("hold")
        for key in [key for key in holds if lifted in (None, "all", key)]:
            del holds[key]


_LATER = frozenset({"staged", "outcome", "git"})


def _deployment(intent: Record, later: Iterable[Record]) -> Deployment:
    """One deployment from its intent and what was recorded of it since.

    Of each function the newest staging answer and the newest `after` count; of everything else the newest record.
    """
    answers: dict[Any, Record] = {}
    after: dict[str, Record | None] = {}
    perhaps: tuple[str, ...] = ()
    hold, end, revert = intent.get("hold"), None, None
    for record in later:
        if record["record"] == "staged":
            answers |= {answer.get("slug"): answer for answer in record.get("answers") or ()}
            perhaps = tuple(record.get("perhaps_stranded") or ())
        elif record["record"] == "outcome":
            end, hold = record, record.get("hold") or hold
            after |= {one["slug"]: one.get("after") for one in record.get("functions") or ()}
        else:
            revert = record.get("revert")
    changes = tuple(
        Change(one["slug"], one.get("action") or "", one.get("before"), one.get("wanted") or {}, after.get(one["slug"]))
        for one in intent.get("functions") or ()
    )
    last: Record = end or {}
    return Deployment(
        id=intent["deployment"],
        kind=_text(intent, "kind"),
        at=_text(intent, "at"),
        who=_text(intent, "who"),
        where=intent.get("where") or {},
        environment=_text(intent, "environment"),
        project_ref=_text(intent, "project_ref"),
        revision=_text(intent, "revision"),
        base_revision=_text(intent, "base_revision"),
        plan_hash=_text(intent, "plan_hash"),
        partial=bool(intent.get("partial")),
        to=intent.get("to"),
        functions=changes,
        secrets=intent.get("secrets") or {},
        snapshots=intent.get("snapshots") or {},
        without_lock=_text(intent, "without_lock"),
        hold=hold,
        outcome=last.get("outcome"),
        outcome_at=_text(last, "at"),
        message=_text(last, "message"),
        new_code_seconds=last.get("new_code_seconds"),
        steps=tuple(last.get("steps") or ()),
        gate=last.get("gate") or {},
        answers=tuple(answers.values()),
        perhaps_stranded=perhaps,
        revert=revert,
    )


def _text(record: Record, key: str) -> str:
    return str(record.get(key) or "")
