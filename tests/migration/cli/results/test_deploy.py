"""Plans as a person sees them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from migration.cli.results import deploy
from migration.cli.results.canvas import Canvas

SHARED = "--- a/_shared/x.ts\n+++ b/_shared/x.ts\n@@ -1 +1 @@\n-const x = 1;\n+const x = 2;\n"


def _row(slug: str, diff: str) -> dict[str, Any]:
    head = {"slug": slug, "action": "update", "files": ["a"], "bytes": 1, "live_version": 1, "restorable": "git"}
    return {**head, "why": "its source differs", "settings": [], "warnings": [], "diff": diff}


def test_each_diff_stands_below_its_function_and_what_is_shared_is_shown_once() -> None:
    own = "--- a/beta/index.ts\n+++ b/beta/index.ts\n@@ -1 +1 @@\n--- old\n+++ new\n"
    data = {"functions": [_row("alpha", SHARED), _row("beta", SHARED + own)], "unchanged": [], "secrets": [],
            "hold": None, "lock": None, "notes": [], "hash": "0" * 64, "environment": "prod",
            "revision": "1" * 40}  # fmt: skip
    stream = io.StringIO()
    deploy.plan(data, Canvas(Console(file=stream, width=120)))
    text = stream.getvalue()
    assert text.index("alpha: live (v1)") < text.index("+const x = 2;") < text.index("beta: live (v1)")
    assert text.count("+const x = 2;") == 1
    assert "+++ b/_shared/x.ts  as in alpha" in text
    assert "--- old\n+++ new" in text


@pytest.mark.parametrize(("files", "words"), [(["a.ts"], "1 file: a.ts"), (["a.ts", "b.ts"], "2 files: a.ts, b.ts")])
def test_a_rollback_counts_what_git_takes_back_as_people_do(files: list[str], words: str) -> None:
    stream = io.StringIO()
    data = {"functions": [], "message": "This takes back x.", "files": files, "notes": []}
    deploy.rollback_plan(data, Canvas(Console(file=stream, width=120)))
    assert f"Git reverts {words}" in stream.getvalue()


def test_only_a_deploy_that_had_a_gate_failed_it() -> None:
    found = {"id": "d1", "outcome": "restored", "functions": []}
    for more, words in (({"gate": {"verdict": "fail"}}, "failed its gate"), ({"phases": []}, "did not go live")):
        stream = io.StringIO()
        deploy.deployment({"deployment": found, **more}, Canvas(Console(file=stream, width=120)))
        assert words in stream.getvalue()


def test_a_restored_version_names_its_code() -> None:
    """A restore is a new version on the platform: what matters is whose code it is."""
    rows = [{"slug": "alpha", "before": {"version": 7}, "after": {"version": 9}}]
    stream = io.StringIO()
    record = {"id": "d1", "outcome": "restored", "functions": rows}
    deploy.deployment({"deployment": record}, Canvas(Console(file=stream, width=120)))
    assert "v9 (code of v7)" in stream.getvalue()


def test_failed_gate_is_one_line() -> None:
    """The first line says that the gate failed and the code is back; then why, and how long the new code was live."""
    why = "smoke case alpha: status: expected 200, got 500: Busy (request r1, log: no such table)"
    record = {"id": "d1", "outcome": "restored", "functions": [], "new_code_seconds": 4.9}
    message = f"The gate failed: {why}. What was live before is live again; the new code was live for 4.9s."
    stream = io.StringIO()
    data = {"deployment": record, "message": message, "gate": {"verdict": "fail", "why": why}}
    deploy.deployment(data, Canvas(Console(file=stream, width=200)))
    assert stream.getvalue().splitlines() == [
        "Deployment d1 failed its gate; the previous code is live again.",
        f"S{why[1:]}.",
        "The new code was live for 4.9s.",
    ]


def test_a_warning_about_several_functions_is_one_line() -> None:
    rows = [
        {**_row(slug, ""), "warnings": ["supabase/config.toml: functions.x is not a setting"]} for slug in ("a", "b")
    ]
    data = {"functions": rows, "unchanged": [], "secrets": [], "hold": None, "lock": None, "notes": [],
            "hash": "0" * 64, "environment": "prod", "revision": "1" * 40}  # fmt: skip
    stream = io.StringIO()
    deploy.plan(data, Canvas(Console(file=stream, width=120)))
    assert "a, b: supabase/config.toml: functions.x is not a setting" in stream.getvalue()
    assert stream.getvalue().count("is not a setting") == 1
