"""The tables, users and buckets that `tests/data/backend.txt` asks about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NOTES: list[dict[str, Any]] = [
    {"id": 1, "user_id": "u1", "title": "Milk", "done": False, "rank": 3, "tags": ["shop", "food"],
     "meta": {"color": "red", "size": {"w": 2}}, "created_at": "2026-01-03T10:00:00Z"},
    {"id": 2, "user_id": "u2", "title": "Bread", "done": True, "rank": 2, "tags": ["shop"], "meta": {},
     "created_at": "2026-01-02T10:00:00Z"},
    {"id": 3, "user_id": "u1", "title": "Rent", "done": True, "rank": None, "tags": ["home"], "meta": None,
     "created_at": "2026-01-01T10:00:00Z"},
    {"id": 4, "user_id": None, "title": "Rent, and more", "done": False, "rank": 7, "tags": [], "meta": None,
     "created_at": "2026-01-01T09:00:00Z"},
]  # fmt: skip
DATABASE: dict[str, Any] = {
    "tables": {
        "notes": {"rows": NOTES, "defaults": {"done": False, "created_at": "now()"}},
        "users": [{"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bo"}],
        "teams": [{"id": 1, "name": "Red", "lead": "u2"}, {"id": 2, "name": "Blue", "lead": None}],
        "members": {
            "rows": [
                {"user_id": "u1", "team_id": 1, "role": "admin"},
                {"user_id": "u1", "team_id": 2, "role": "guest"},
                {"user_id": "u2", "team_id": 1, "role": "guest"},
            ],
            "key": ["user_id", "team_id"],
        },
    },
    "relations": {"teams.lead": "users.id"},
    "rpc": {"total": 12, "nearest": [{"id": 1, "score": 0.2}, {"id": 2, "score": 0.9}, {"id": 3, "score": 0.8}]},
}
USERS = {"ada@example.com": {"password": "correct-horse", "app_metadata": {"plan": "pro"}, "claims": {"org": 7}}}


def settings(folder: Path) -> dict[str, Any]:
    """The section `rehearsal`, with the one file that it names written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dot.txt").write_text("a dot")
    storage = {"docs": {}, "pictures": {"public": True, "files": {"dot.txt": str(folder / "dot.txt")}}}
    return {"database": DATABASE, "users": USERS, "storage": storage}
