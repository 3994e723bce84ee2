"""A plan names the SQL that comes with a change, and whether the database has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import ApiError
from migration.cli.sink import one_line
from migration.deploy import plan
from migration.rehearsal.running import Running
from tests.support import scene
from tests.support.scene import Scene

FOLDER = "supabase/migrations"
OLD, NEW, LAST = (f"{FOLDER}/{name}.sql" for name in ("20260101_first", "20260202_second", "20260303_third"))


def _made(stage: Scene, applied: set[str] | ApiError) -> dict[str, Any]:
    context = stage.context()

    def migrations() -> set[str]:
        if isinstance(applied, ApiError):
            raise applied
        return applied

    context.supabase.migrations = migrations  # type: ignore[method-assign]
    found: dict[str, Any] = json.loads(one_line(plan.make(context)))
    return found


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """One SQL file before the deployment that is live, two files with the change, and one name that is not taken."""
    made = scene.make(tmp_path, sandbox)
    base = made.commit({OLD: "create table a ();"})
    made.settings = {"app": {"path": str(made.app), "base": base}}
    made.commit({NEW: "create table b ();", LAST: "create table c ();", f"{FOLDER}/notes.sql": "--"})
    made.change(2)
    return made


def test_applied_or_not(stage: Scene) -> None:
    """In the order in which they run, with the order that is safe for those that are missing."""
    found = _made(stage, {"20260101", "20260202"})
    files = [(one["file"], one["applied"]) for one in found["sql"]]
    assert files == [(NEW, True), (LAST, False)]
    (note,) = [note for note in found["notes"] if "SQL" in note]
    assert note.startswith("SQL not applied yet: 20260303_third.sql. Apply it before the deploy (supabase db push)")


def test_unknown_where_it_may_not_be_read(stage: Scene) -> None:
    """A token without the permission makes it unknown, and says why."""
    denied = ApiError("listing: 403", status=403, body="", operation="listing")
    found = _made(stage, denied)
    assert [one["applied"] for one in found["sql"]] == [None, None]
    assert any("unknown: listing: 403" in note for note in found["notes"])


def test_edited_after_it_was_applied(stage: Scene) -> None:
    """The database does not run a file twice."""
    stage.commit({OLD: "create table a (id int);"})
    found = _made(stage, {"20260101", "20260202", "20260303"})
    assert [one["edited"] for one in found["sql"]] == [True, False, False]
    assert any("edited after it was applied: 20260101_first.sql" in note for note in found["notes"])


def test_no_sql_asks_nothing(tmp_path: Path, sandbox: Running) -> None:
    """Without such files the database is not asked."""
    made = scene.deployed(tmp_path, sandbox)
    made.change(2)
    denied = ApiError("listing: 403", status=403, body="", operation="listing")
    found = _made(made, denied)
    assert found["sql"] == [] and not any("SQL" in note for note in found["notes"])
