"""Notes and ratings: what users think of what is live goes into the ledger, and comes out of it again."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from migration.base.errors import Refused
from migration.cli.output import Output
from migration.inspect import history
from tests.support.repos import fold


@pytest.fixture(autouse=True)
def platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not answer: a note needs no platform."""
    monkeypatch.setattr(history, "_live", lambda _: None)


def context(records: list[dict[str, Any]]) -> Any:
    """A ledger that is a list."""

    def append(record: dict[str, Any]) -> None:
        records.append({"id": f"r{len(records)}", "at": "2026-11-27T09:00:00Z", "who": "Grace", **record})

    ledger = SimpleNamespace(
        append=append, history=lambda: fold(records), glance=lambda: None, offline=None, shared=True
    )
    return cast(Any, SimpleNamespace(ledger=ledger))


def test_a_rating_is_kept_with_its_note() -> None:
    records: list[dict[str, Any]] = []
    found = history.run(context(records), note=" quicker than before ", rating=4)
    assert records[0]["record"] == "note" and records[0]["rating"] == 4
    assert found.notes[0]["text"] == "quicker than before" and found.notes[0]["rating"] == 4


def test_a_note_without_a_rating_has_none() -> None:
    found = history.run(context([]), note="deployed by hand")
    assert "rating" not in found.notes[0]


@pytest.mark.parametrize(
    "note,rating,words", [("x", 6, "not between 1 and 5"), ("x", 0, "not between"), (None, 4, "needs a note")]
)
def test_a_rating_out_of_place_changes_nothing(note: str | None, rating: int, words: str) -> None:
    records: list[dict[str, Any]] = []
    with pytest.raises(Refused, match=words):
        history.run(context(records), note=note, rating=rating)
    assert records == []


def test_a_long_ledger_is_shown_a_row_at_a_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows at once took a hundred megabytes: each is made when it is drawn or written, newest first."""
    records: list[dict[str, Any]] = [
        {"record": "intent", "id": f"i{number}", "at": "2026-11-27T09:00:00Z", "who": "Ada", "environment": "prod",
         "deployment": f"d{number}", "kind": "deploy", "functions": []} for number in range(5)
    ]  # fmt: skip
    made: list[str] = []
    whole = history.row

    def row(past: Any, one: Any) -> dict[str, Any]:
        made.append(one.id)
        return whole(past, one)

    monkeypatch.setattr(history, "row", row)
    found = history.run(context(records), limit=3)
    assert (made, len(found.deployments)) == ([], 3)
    assert [one["id"] for one in found.deployments[1:]] == ["d3", "d2"]
    Output("history", json=True).line(found)
    written = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in written["deployments"]] == ["d4", "d3", "d2"] and written["exit_code"] == 0
    assert len(history.run(context(records), limit=0).deployments) == 0
