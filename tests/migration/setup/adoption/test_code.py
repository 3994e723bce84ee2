"""What the text of a function says of the services that it needs."""

from __future__ import annotations

from migration.setup.adoption import code

TEXT = """const bytes = Buffer.from("abc"); const list = Array.from("x");
await supabase.from("notes").select();
supabase
  .from('users').insert({});
db.storage.from("avatars").upload("a");
await db.rpc("total", {});
supabase.from(table);
"""


def test_tables_functions_and_buckets() -> None:
    """By their kind and line; a name that is computed, and what only looks like one, is left out."""
    assert list(code.backend(TEXT)) == [
        ("table", "notes", 2), ("table", "users", 4), ("bucket", "avatars", 5), ("rpc", "total", 6),
    ]  # fmt: skip
