"""Records and locks are data from strangers: what does not fit is kept, named once, and stops nothing."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.inspect import history as histories
from migration.ledger.deployments import undoes
from migration.ledger.lock import LockHolder
from migration.ledger.records import LARGEST, LockCard, parse
from tests.support.collector import Collector
from tests.support.long import report
from tests.support.repos import fold, git, ledger, lock, pair

HEX = "a" * 40
INTENT: dict[str, Any] = {
    "record": "intent", "id": "0123456789abcdef", "at": "2026-11-27T17:22:45.943Z", "environment": "prod",
    "project_ref": "p" * 20, "who": "Ada", "where": {"class": "laptop", "host": "h", "run_url": None},
    "deployment": "20261127-172245-31ad", "kind": "deploy", "revision": HEX, "base_revision": HEX, "plan_hash": "",
    "partial": False, "to": None, "hold": {"tip": HEX, "base": HEX, "digests": {"alpha": HEX}},
    "functions": [{"slug": "alpha", "action": "update",
                   "before": {"version": 1, "source_digest": HEX, "function_id": "id-1", "verify_jwt": True},
                   "wanted": {"source_digest": HEX, "verify_jwt": False, "of": "20261127-172245-31ac"}}],
    "secrets": {"KEY": HEX}, "snapshots": {"alpha": {"digest": HEX, "restorable": "git"}},
}  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"record": "staged", "answers": [{"slug": "alpha", "version": 2, "id": "id-1"}], "perhaps_stranded": ["alpha"]},
    {"record": "outcome", "outcome": "live", "functions": [{"slug": "alpha", "after": {"version": 2}}],
     "steps": [{"name": "stage", "seconds": 0.3, "detail": "x"}], "gate": {"artifacts": {"tried": 4}}, "message": "ok",
     "new_code_seconds": 0.1, "hold": {"tip": HEX}},
    {"record": "git", "revert": {"commit": HEX, "pushed": True, "branch": "main", "reverts": [HEX], "state": "pushed"}},
    {"record": "lift", "hold": "20261127-172245-31ad", "reason": "good now"},
    {"record": "note", "text": "hello"},
    {"record": "unlock", "lock": "0a1b2c3d", "robbed": {"id": "0a1b2c3d", "who": "Ada"}},
    {"record": "costs", "day": "2026-11-27", "functions": [{"slug": "alpha", "requests": 3, "sizes": [[1, 2]]}]},
]  # fmt: skip
KINDS = [INTENT, *({**INTENT, "functions": None, **other} for other in OTHERS)]
CARD: dict[str, Any] = {
    "id": "0a1b2c3d", "who": "Ada", "where": {"class": "ci", "host": "h", "run_url": "https://ci/7"}, "machine": "m",
    "pid": 7, "started": "1", "since": "2026-11-27T17:22:45Z", "doing": "deploy", "deployment": "d", "heartbeat": 15.0,
}  # fmt: skip


def read(record: object) -> dict[str, Any]:
    return parse(json.dumps(record).encode(), "c" * 40)


def push(remote: Path, ref: str, message: str, parent: bool = True) -> None:
    """What anyone with access can do: a commit of their own on one of our refs."""
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")
    above = ["-p", ref] if parent else []
    git(remote, "update-ref", ref, git(remote, "commit-tree", tree, *above, "-m", message))


@pytest.mark.parametrize("record", KINDS, ids=lambda record: record["record"])
def test_our_own_records_fit(record: dict[str, Any]) -> None:
    assert read(record) == record


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"record": "note", "id": ["x"]}, "id"),
        ({"id": "../../x"}, "id"),
        ({"deployment": "../../victim/zzz"}, "deployment"),
        ({"deployment": ["x"]}, "deployment"),
        ({"record": "lift"}, "hold"),
        ({"record": "note"}, "text"),
        ({"deployment": "x\n"}, "deployment"),
        ({"revision": "main\n"}, "revision"),
        ({"revision": "--upload-pack=touch x"}, "revision"),
        ({"at": "yesterday"}, "its at does not fit"),
        ({"at": "0001-01-01T00:00:00Z"}, "its time is"),
        ({"at": 7}, "at"),
        ({"functions": "alpha"}, "functions"),
        ({"functions": [{"slug": {"a": 1}}]}, "slug"),
        ({"functions": [{"slug": "alpha", "before": {}}]}, r"it lacks version in functions\[0\]\.before|\[\.\.\.\]"),
        ({"functions": [{"slug": "alpha", "before": {"version": -1}}]}, "version"),
        ({"functions": [{"slug": "alpha", "before": {"version": 1, "function_id": "../a"}}]}, "function_id"),
        ({"secrets": {"KEY": 7}}, "secrets"),
        ({"snapshots": {"alpha": {"digest": "../../x"}}}, "snapshots"),
        ({"hold": {"digests": ["alpha"]}}, "digests"),
        ({"where": "here"}, "where"),
        ({"schema": 2}, "a newer Cutover wrote it"),
        ({"schema": "next"}, "a newer Cutover wrote it"),
        ({"record": "costs", "day": "someday", "functions": None}, "day"),
        (
            {"record": "costs", "day": "2026-11-27", "functions": [{"slug": "alpha", "requests": "many"}]},
            "does not fit",
        ),
        ({"record": "outcome", "functions": None, "gate": {"artifacts": {"tried": "x"}}}, "artifacts"),
    ],
)
def test_what_does_not_fit_is_unreadable(change: dict[str, Any], why: str) -> None:
    """It is kept with the reason, under the id of its commit."""
    found = read({**INTENT, **change})
    assert found["record"] == "unreadable" and found["id"] == "c" * 40
    assert re.search(why, found["why"]), found["why"]


def test_no_record_too_large_or_deep() -> None:
    for message in (
        b"[" * 100_000,
        b'{"record":' * 100_000,
        b'{"record":"note","text":"' + b"x" * LARGEST + b'"}',
        b"",
    ):
        assert parse(message, "c")["record"] == "unreadable"


def test_unknown_keys_and_kinds_pass() -> None:
    assert read({**INTENT, "colour": ["red"]})["colour"] == ["red"]
    assert read({"record": "future", "id": "x1", "shape": {"any": 1}})["record"] == "future"


def test_unreadable_named_once(tmp_path: Path) -> None:
    """One warning a run, with the number, the commit and the reason; everything else is read."""
    remote, first = pair(tmp_path)
    ledger(first).append({"record": "note", "text": "before"})
    push(remote, "refs/cutover/ledger/prod", '{"record":"note","id":["x"]}')
    push(remote, "refs/cutover/ledger/prod", '{"record":"intent","id":"x","schema":9}')
    own = ledger(first)
    own.append({"record": "note", "text": "after"})
    for _ in range(2):
        assert [record["record"] for record in own.records()] == ["note", "unreadable", "unreadable", "note"]
        own.history()
    assert isinstance(own.observer, Collector)
    [warning] = [event[3] for event in own.observer.events if "unreadable" in event[3]]
    assert "2 records are unreadable in the ledger of prod" in warning and "a newer Cutover" in warning


@pytest.mark.parametrize(
    "change",
    [{"pid": "abc"}, {"heartbeat": "x"}, {"heartbeat": 1e9}, {"heartbeat": 0}, {"heartbeat": None}, {"where": 7},
     {"id": ["x"]}, {"id": "; rm -rf ~"}, {"id": None}, {"pid": -1}, {"pid": 10**30}, {"since": {}}, {"started": 4.5},
     {"where": {"host": 7}}, {"released": "no"}, {"who": "x" * 10_000}],
    ids=str,
)  # fmt: skip
def test_malformed_lock_is_held_and_broken(tmp_path: Path, change: dict[str, Any]) -> None:
    """A field that does not fit counts as absent: the lock still excludes, goes stale, and is broken by its id."""
    remote, first = pair(tmp_path)
    push(remote, "refs/cutover/lock/prod", json.dumps({**CARD, **change}), parent=False)
    now = [1000.0]
    own = lock(ledger(first), monotonic=lambda: now[0])
    holder = own.holder()
    assert holder is not None and not holder.stale and holder.id.isalnum() and holder.heartbeat == 15.0
    now[0] += 46
    late = own.holder()
    assert late is not None and late.stale
    assert own.unlock(holder.id).id == holder.id and own.holder() is None


# Fuzzing: any JSON, and our own records with anything in any place. `-m long` runs a hundred thousand.

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["../../x", "-x", "", "alpha", HEX, "20261127-172245-31ad", "deploy", "rollback", "rolled_back"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in places(one, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@st.composite
def mutated(draw: st.DrawFn, whole: list[dict[str, Any]]) -> Any:
    record: Any = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(0, 3))):
        record = put(record, draw(st.sampled_from(places(record))), draw(ANY))
    return record


def survives(records: list[Any]) -> None:
    """Read, folded and shown as every verb does it, without an error of Python."""
    found = [parse(json.dumps(one).encode("utf-8", "replace"), f"c{place}") for place, one in enumerate(records)]
    unique = list({record["id"]: record for record in found}.values())
    past = fold(unique)
    for one in past.deployments:
        json.dumps(histories.row(past, one), default=str)
        past.live_before(one.id), past.undone(one.id), undoes(past, one), past.base("x", ["alpha"])
        past.left("alpha", one.id)
        assert all(isinstance(slug, str) for slug in one.slugs)
    assert past.base("x") is not None and past.live_before(None) is past.live


def holds(card: Any) -> None:
    holder = LockHolder.of(
        "refs/cutover/lock/prod", "c" * 40, LockCard.parse(json.dumps(card).encode("utf-8", "replace")), 0.0
    )
    assert isinstance(holder.stale, bool) and json.dumps(holder.facts()) and str(holder)
    assert 0 < holder.heartbeat <= 60


FAST = settings(max_examples=100, deadline=5000, suppress_health_check=list(HealthCheck), derandomize=True)
LONG = settings(
    max_examples=int(os.environ.get("EXAMPLES", "100000")),
    deadline=5000,
    suppress_health_check=list(HealthCheck),
    database=None,
)
RECORDS = st.lists(mutated(KINDS), max_size=8)
CARDS = mutated([CARD])


@FAST
@given(RECORDS)
def test_fuzzed_records(records: list[Any]) -> None:
    survives(records)


@FAST
@given(CARDS)
def test_fuzzed_locks(card: Any) -> None:
    holds(card)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_fuzzed_records_long() -> None:
    began = time.monotonic()
    LONG(given(RECORDS)(survives))()
    report(
        "Hostile input",
        "mutated ledgers of up to 8 records",
        LONG.max_examples,
        time.monotonic() - began,
        {"errors": 0},
    )


@pytest.mark.long
@pytest.mark.timeout(0)
def test_fuzzed_locks_long() -> None:
    began = time.monotonic()
    LONG(given(CARDS)(holds))()
    report("Hostile input", "mutated lock records", LONG.max_examples, time.monotonic() - began, {"errors": 0})
