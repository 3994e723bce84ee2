"""The history tells what happened without telling secrets or filling the memory."""

from __future__ import annotations

import pytest

from migration.rehearsal.history import RequestHistory, summary


def test_entries_keep_their_numbers_over_a_clear_and_can_be_asked_for_since_one() -> None:
    history = RequestHistory()
    first = history.begin("GET", "/a", {"q": ["1"], "many": ["1", "2"]}, "list", None)
    history.clear()
    second = history.begin("PUT", "/b", {}, "activate", None)
    assert (first.number, second.number) == (1, 2)
    assert first.query == {"q": "1", "many": ["1", "2"]}
    assert [entry["number"] for entry in history.shown()] == [2]
    assert history.shown(since=2) == [] == history.shown(operation="list")


def test_memory_is_bounded() -> None:
    history = RequestHistory()
    for _ in range(6_000):
        history.begin("GET", "/", {}, "list", None)
    assert len(history.shown()) == 5_000


@pytest.mark.parametrize(
    ("operation", "kind", "body", "expected"),
    [
        ("secrets_set", "application/json", b'[{"name": "A", "value": "hidden"}]', ["A"]),
        ("activate", "application/json", b'[{"id": "x"}]', [{"id": "x"}]),
        ("list", "application/json", b"", None),
    ],
)
def test_a_small_json_body_is_kept_except_for_the_values_of_secrets(
    operation: str, kind: str, body: bytes, expected: object
) -> None:
    assert summary(operation, kind, body) == expected


@pytest.mark.parametrize(
    ("operation", "kind", "body"),
    [
        ("deploy", "multipart/form-data; boundary=b", b"--b"),
        ("logs", "application/json", b'{"result": []}'),
        ("list", "application/json", b"[" + b"1," * 20_000 + b"1]"),
        ("list", "application/json", b"{"),
        ("secrets_set", "text/plain", b'[{"name": "A", "value": "hidden"}]'),
    ],
)
def test_everything_else_is_size_and_digest(operation: str, kind: str, body: bytes) -> None:
    found = summary(operation, kind, body)
    assert set(found) == {"bytes", "sha256"} and found["bytes"] == len(body)
