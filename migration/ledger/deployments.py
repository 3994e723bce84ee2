"""The history of an environment, folded from its records: what is live, was replaced, interrupted, put on hold.

Kinds of records: intent, staged, outcome, git (the revert), watch, lift, note, unlock, costs. A rollback's intent has
the restored revision as `revision` and the one taken back as `base_revision`, says in each function's `wanted.of` whose
`before` goes live, and in `without_lock` why it went without. A `hold` may stand in an intent or in an outcome.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, overload

import msgspec
from msgspec import Struct, structs

from migration.git.publish import AGREES

Record = Mapping[str, Any]
T_co = TypeVar("T_co", covariant=True)

LIVE = frozenset({"live", "unproven", "ungated"})  # the new code stayed
UNDONE = frozenset({"rolled_back", "deleted"})  # what a rollback ends in
_READ = 1_000  # deployments that are kept once they were read
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
    watches: tuple[Record, ...] = ()

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


class Brief(Struct, array_like=True, frozen=True):
    """What is kept in memory of every deployment: enough to know which one is live. `places` are its records'."""

    id: str
    kind: str
    outcome: str | None
    to: str | None
    places: list[int]

    @property
    def undid(self) -> bool:
        """Whether it is a rollback that ended well."""
        return self.kind == "rollback" and self.outcome in UNDONE


class Summary(Struct):
    """A ledger, read record by record: what every question needs, so that old records stay where they are."""

    briefs: list[Brief] = msgspec.field(default_factory=list)  # in the chain's order
    order: list[int] = msgspec.field(default_factory=list)  # oldest first: their indexes
    holds: dict[str, Any] = msgspec.field(default_factory=dict)
    touched: dict[str, list[int]] = msgspec.field(default_factory=dict)  # slug: which deployments have it
    unreadable: int = 0
    last_unreadable: Any = None

    def copy(self) -> Summary:
        touched = {slug: list(places) for slug, places in self.touched.items()}
        return structs.replace(
            self, briefs=list(self.briefs), order=list(self.order), holds=dict(self.holds), touched=touched
        )


class Folding:
    """Adds records to a summary; `records` is where they stand."""

    def __init__(self, summary: Summary, records: Sequence[Record]) -> None:
        self.summary = summary
        self.records = records
        self._index = {brief.id: index for index, brief in enumerate(summary.briefs)}
        self._seen: dict[int, dict[Any, int]] = {}

    def add(self, record: Record, place: int) -> None:
        """The next record, which stands at this place."""
        kind, name = record["record"], _text(record, "deployment")
        if kind == "intent" and name not in self._index:
            self._begin(name, record, place)
        elif kind in _LATER and name in self._index:
            self._later(self._index[name], record, place)
        elif kind == "unreadable":
            self.summary.unreadable += 1
            self.summary.last_unreadable = record
        _hold(self.summary.holds, record)

    def _begin(self, name: str, record: Record, place: int) -> None:
        summary = self.summary
        index = self._index[name] = len(summary.briefs)
        summary.briefs.append(Brief(name, _text(record, "kind"), None, record.get("to"), [place]))
        for one in record.get("functions") or ():
            summary.touched.setdefault(one["slug"], []).append(index)
        self._seen[index] = _versions(record)
        position = len(summary.order)
        while position and self._earlier(index, summary.order[position - 1]):
            position -= 1
        summary.order.insert(position, index)
        self._seen = {index: self._seen[index]}

    def _later(self, index: int, record: Record, place: int) -> None:
        brief = self.summary.briefs[index]
        outcome = record.get("outcome") if record["record"] == "outcome" else brief.outcome
        self.summary.briefs[index] = Brief(brief.id, brief.kind, outcome, brief.to, [*brief.places, place])

    def _earlier(self, one: int, other: int) -> bool:
        """Whether one deployment found an older version of the same function live than another did.

        The chain's order is that of the deployments, except for records that were queued on a machine without its git
        remote: the platform's version of a function only grows, so the one that found the lower one began first.
        """
        mine, theirs = self._seen[one], self._found(other)
        return any(version < theirs.get(function, 0) for function, version in mine.items())

    def _found(self, index: int) -> dict[Any, int]:
        """The versions that a deployment found live, by function id."""
        if index not in self._seen:
            self._seen[index] = _versions(self.records[self.summary.briefs[index].places[0]])
        return self._seen[index]


def _versions(intent: Record) -> dict[Any, int]:
    befores = [one.get("before") or {} for one in intent.get("functions") or ()]
    return {before["function_id"]: before["version"] for before in befores if before.get("function_id")}


class LazySequence(Sequence[T_co]):
    """A sequence whose items are made when they are asked for, by `at`."""

    def at(self, place: int) -> T_co:
        """The item at a place from 0 to the length."""
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> T_co: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T_co, ...]: ...
    def __getitem__(self, place: int | slice) -> T_co | tuple[T_co, ...]:
        if isinstance(place, slice):
            return tuple(self.at(one) for one in range(*place.indices(len(self))))
        place = place + len(self) if place < 0 else place
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self.at(place)


class Deployments(LazySequence[Deployment]):
    """The deployments, oldest first; each is read when it is asked for."""

    def __init__(self, summary: Summary, records: Sequence[Record]) -> None:
        self.summary = summary
        self._records = records
        self._read: dict[int, Deployment] = {}

    def __len__(self) -> int:
        return len(self.summary.order)

    def at(self, place: int) -> Deployment:
        index = self.summary.order[place]
        known = self._read.get(index)
        if known is None:
            intent, *later = (self._records[one] for one in self.summary.briefs[index].places)
            known = _deployment(intent, later)
            if len(self._read) < _READ or index == self.summary.order[-1]:
                self._read[index] = known
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]


class History:
    """Every deployment of one environment, oldest first, and what else the records say; without arguments, of none.

    Records of unknown kinds are kept and passed over.
    """

    def __init__(self, records: Sequence[Record] = (), summary: Summary | None = None) -> None:
        summary = summary or Summary()
        self.records = records
        self.deployments = Deployments(summary, records)
        self.holds: tuple[Record, ...] = tuple(summary.holds.values())
        self.summary = summary
        self._briefs = [summary.briefs[index] for index in summary.order]

    def plus(self, records: Sequence[Record]) -> History:
        """The history with these records after its own."""
        whole = _Joined(self.records, records)
        folding = Folding(self.summary.copy(), whole)
        for place, record in enumerate(records, len(self.records)):
            folding.add(record, place)
        return History(whole, folding.summary)

    @property
    def slugs(self) -> tuple[str, ...]:
        """Every function that a deployment had."""
        return tuple(self.summary.touched)

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
        live = self._live[self.place(deployment or "")]
        return None if live is None else self.deployments[live]

    def place(self, deployment: str) -> int:
        """Where a deployment stands among them; after the last, where it is not there."""
        return self._places.get(deployment, len(self.deployments))

    def find(self, deployment: str | None) -> Deployment | None:
        place = self._places.get(deployment or "")
        return None if place is None else self.deployments[place]

    def base(self, default: str, slugs: Iterable[str] = ()) -> str:
        """The base revision of a deployment of these functions made now; `default` (app.base) when none is live.

        It is the live deployment's revision; where that was made with `--only` and changed none of them, the revision
        that it was based on.
        """
        wanted, current, revision = set(slugs), self.live, default
        while current is not None:
            if not wanted or not current.partial or wanted & set(current.slugs):
                return current.revision
            revision, current = current.base_revision or default, self.live_before(current.id)
        return revision or (self.live.revision if self.live else "")

    def undone(self, deployment: str) -> Deployment | None:
        """The rollback that took this deployment back, if one did."""
        place = self._undone.get(deployment)
        return None if place is None else self.deployments[place]

    def touching(self, slug: str) -> Iterator[Deployment]:
        """The deployments of a function, newest first; each is read when it is asked for."""
        indexes = self.summary.touched.get(slug, ())
        for place in sorted({self._places[self.summary.briefs[index].id] for index in indexes}, reverse=True):
            yield self.deployments[place]

    def left(self, slug: str, before: str = "") -> KnownVersion | None:
        """The last recorded live version of a function, by a deployment or a rollback; `before` that one began."""
        end = self._places.get(before, len(self.deployments))
        mine = {self.summary.briefs[index].id for index in self.summary.touched.get(slug, ())}
        for place in range(end - 1, -1, -1):
            brief = self._briefs[place]
            if brief.id in mine and brief.outcome not in (None, "abandoned"):
                change = self.deployments[place].change(slug)
                if change and change.after:
                    after = change.after
                    return KnownVersion(slug, after.get("version"), after.get("source_digest"), brief.id)
        return None

    # Indexes, so that each question takes the same time however long the ledger is

    @cached_property
    def _places(self) -> dict[str, int]:
        return {brief.id: place for place, brief in enumerate(self._briefs)}

    @cached_property
    def _live(self) -> list[int | None]:
        """For each deployment the place of the one that was live when it began, and last: of the one that is now.

        A rollback makes an earlier one live; one that names a later one, or itself, makes none live that we know of.
        """
        live: int | None = None
        standing = []
        for place, brief in enumerate(self._briefs):
            standing.append(live)
            if brief.undid:
                live = self._places.get(brief.to or "")
                live = live if live is not None and live < place else None
            elif brief.outcome in LIVE:
                live = place
        return [*standing, live]

    @cached_property
    def _undone(self) -> dict[str, int]:
        """Which rollback took a deployment back, by place."""
        return {
            name: place
            for place, brief in enumerate(self._briefs) if brief.undid
            for name in self.undone_by(place, brief.to)
        }  # fmt: skip

    def undone_by(self, place: int, to: str | None) -> Iterator[str]:
        """The deployments, newest first, that were live after `to` when the one at this place began."""
        current = self._live[place]
        while current is not None and self._briefs[current].id != to:  # each began before the last: this ends
            yield self._briefs[current].id
            current = self._live[current]


def agrees(revert: Record | None) -> bool:
    """Whether the recorded git half of a rollback left the branch with the previous files."""
    return revert is not None and revert.get("state", "pushed") in AGREES


def closed(revert: Record | None) -> bool:
    """Whether nothing is left to do for the git half: the branch agrees, or git no longer has the commit to revert."""
    return agrees(revert) or (revert is not None and revert.get("state") == "lost")


def lacking(revert: Record | None) -> str:
    """Why git cannot follow a rollback that is `closed` without it, in words."""
    if (revert or {}).get("lacks") == "app.base":
        return "the revision that was live before is unknown (app.base in config.yaml is not set)"
    return "it no longer has the commit to revert"


def undoes(history: History, rollback: Deployment) -> tuple[str, ...]:
    """The deployments that a rollback takes back, newest first: all that were live after its `to`."""
    return tuple(history.undone_by(history.place(rollback.id), rollback.to))


class _Joined(LazySequence[Record]):
    """Two sequences of records as one."""

    def __init__(self, first: Sequence[Record], second: Sequence[Record]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __iter__(self) -> Iterator[Record]:
        yield from self.first
        yield from self.second

    def at(self, place: int) -> Record:
        return self.first[place] if place < len(self.first) else self.second[place - len(self.first)]


def _reverted(holds: dict[str, Record], name: str, revert: Record | None) -> None:
    """The revert belongs to the hold of its own record, and to those whose tip it takes back too: a rollback that was
    killed before it recorded its revert is finished under another id."""
    own = holds.get(name, {})
    for key, hold in holds.items():
        same = own.get("tip") and (hold.get("tip"), hold.get("base")) == (own.get("tip"), own.get("base"))
        covered = hold.get("tip") in ((revert or {}).get("reverts") or ())
        if key == name or (not hold.get("revert") and (same or covered)):
            holds[key] = {**hold, "revert": revert}


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
        for key in [key for key in holds if lifted in ("all", key)]:
            del holds[key]


_LATER = frozenset({"staged", "outcome", "git", "watch"})


def _deployment(intent: Record, later: Iterable[Record]) -> Deployment:
    """One deployment from its intent and what was recorded of it since.

    Of each function the newest staging answer and the newest `after` count; of everything else the newest record.
    """
    answers: dict[Any, Record] = {}
    after: dict[str, Record | None] = {}
    perhaps: tuple[str, ...] = ()
    hold, end, revert = intent.get("hold"), None, None
    watches: dict[str, Record] = {}
    for record in later:
        if record["record"] == "staged":
            answers |= {answer.get("slug"): answer for answer in record.get("answers") or ()}
            perhaps = tuple(record.get("perhaps_stranded") or ())
        elif record["record"] == "outcome":
            end, hold = record, record.get("hold") or hold
            after |= {one["slug"]: one.get("after") for one in record.get("functions") or ()}
        elif record["record"] == "watch":
            watches[_text(record, "watch")] = record
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
        watches=tuple(watches.values()),
    )


def _text(record: Record, key: str) -> str:
    return str(record.get(key) or "")
