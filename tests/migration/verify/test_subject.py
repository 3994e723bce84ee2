"""What is judged after a rollback: the code that it took back, while that was live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from migration.clients.supabase_types import Function
from migration.verify import subject
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.logs import config
from tests.support.repos import fold

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
BASE, NEW, FIX = "a" * 40, "b" * 40, "c" * 40


def deployed(name: str, revision: str, versions: dict[str, int], minute: int, **more: Any) -> list[dict[str, Any]]:
    """A deployment that found these versions and left each one higher."""
    at = (NOON + timedelta(minutes=minute)).isoformat()
    changes = [
        {"slug": slug, "action": "update", "before": {"version": n}, "wanted": more} for slug, n in versions.items()
    ]
    after = [{"slug": slug, "after": {"version": n + 1}} for slug, n in versions.items()]
    intent = {"record": "intent", "kind": "deploy", "deployment": name, "functions": changes, "to": None, "at": at}
    ended = {"record": "outcome", "deployment": name, "outcome": "live", "functions": after, "at": at}
    return [{**intent, "revision": revision, "base_revision": BASE}, ended]


def back(name: str, of: str, versions: dict[str, int], minute: int, to: str | None = None) -> list[dict[str, Any]]:
    intent, ended = deployed(name, BASE, versions, minute, of=of)
    return [{**intent, "kind": "rollback", "to": to}, {**ended, "outcome": "rolled_back"}]


FIRST = deployed("d1", NEW, {"make": 7, "fix": 3}, 0)
HOTFIX = deployed("d2", FIX, {"make": 8}, 10)
UNDONE = back("r1", "d1", {"make": 8, "fix": 4}, 60)


def judged(records: list[dict[str, Any]], since: datetime, live: dict[str, int]) -> subject.Subject:
    own = config()
    own = structs.replace(
        own,
        app=structs.replace(own.app, base=BASE),
        migration=structs.replace(own.migration, functions=["make", "fix"]),
    )
    functions = [
        Function(f"f-{slug}", slug, slug, "ACTIVE", version, updated_at=10**15) for slug, version in live.items()
    ]
    context = SimpleNamespace(
        config=own, clock=VirtualClock(NOON + timedelta(hours=3)), observer=Collector(),
        supabase=SimpleNamespace(functions=lambda: functions), ledger=SimpleNamespace(history=lambda: fold(records)),
    )  # fmt: skip
    return subject.subject(cast(Any, context), since, None)


@pytest.mark.parametrize(
    ("records", "undone"),
    [
        ([], ""),
        (FIRST, ""),
        ([*FIRST, *UNDONE], "d1"),
        ([*FIRST, *HOTFIX, *back("r1", "d2", {"make": 9}, 60, to="d1")], ""),  # the migration is live again
        ([*FIRST, *UNDONE, *deployed("d3", FIX, {"make": 9, "fix": 5}, 90)], ""),  # rolled forward
        ([*deployed("d0", "d" * 40, {"chat": 1}, 0), *back("r1", "d0", {"chat": 2}, 60)], ""),  # another function
    ],
    ids=["empty", "live", "rolled back", "hotfix undone", "rolled forward", "another function"],
)
def test_migration_that_was_rolled_back(records: list[dict[str, Any]], undone: str) -> None:
    found = subject.rolled_back(fold(records), BASE, ["make", "fix"])
    assert (found.deployment.id if found else "") == undone


def test_rolled_back_code_is_judged() -> None:
    """Its versions, hotfixes among them, until the rollback; before is the base as ever; others as they are live."""
    records = [*FIRST, *HOTFIX, *back("r1", "d2", {"make": 9, "fix": 4}, 60)]
    found = judged(records, NOON - timedelta(hours=1), {"make": 10, "fix": 5, "chat": 2})
    assert {slug: one.version for slug, one in found.live.items()} == {"make": 9, "fix": 4, "chat": 2}
    assert found.live["make"].updated_at == (NOON + timedelta(minutes=10)).timestamp() * 1000
    assert (found.before, found.until) == ({"make": 7, "fix": 3}, NOON + timedelta(hours=1))
    assert found.since == NOON - timedelta(hours=1) and found.changed == NOON
    assert found.over and found.words == "deployment d2 while it was live, until 2026-11-27 13:00:00 UTC"


def test_span_after_the_rollback_is_moved() -> None:
    """The last hour of now holds none of its rows: the last hour of its own time is judged, and no more than that."""
    live = {"make": 9, "fix": 5}
    late = judged([*FIRST, *UNDONE], NOON + timedelta(hours=2, minutes=30), live)
    assert (late.since, late.until) == (NOON + timedelta(minutes=30), NOON + timedelta(hours=1))
    early = judged([*FIRST, *UNDONE], NOON + timedelta(hours=1), live)
    assert early.since == NOON


def test_live_code_is_judged_otherwise() -> None:
    found = judged(FIRST, NOON, {"make": 8, "fix": 4})
    assert (
        found.live["make"].version == 8
        and not found.over
        and found.words == "deployment d1, 2026-11-27 12:00:00 to 15:00:00 UTC"
        and found.until > NOON + timedelta(hours=3)
    )
