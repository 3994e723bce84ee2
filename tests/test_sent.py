"""docs/what-is-sent.md is what the code says, and no request to a function is outside it."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_page_is_current() -> None:
    """After a change of `Purpose`: uv run python scripts/what_is_sent.py"""
    script = runpy.run_path(str(ROOT / "scripts/what_is_sent.py"))
    assert (ROOT / "docs/what-is-sent.md").read_text(encoding="utf-8") == script["text"]()


def test_one_way_to_a_function() -> None:
    """Only `Edge.call` and the line for curl write the path of functions; the logs and `init` only read it."""
    holders = set()
    for path in (ROOT / "migration").rglob("*.py"):
        if "rehearsal" in path.parts:
            continue
        strings = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        if any(isinstance(text, str) and "/functions/v1/" in text and '"""' not in text for text in strings):
            holders.add(path.relative_to(ROOT / "migration").as_posix())
    senders = {"clients/edge.py", "verify/smoke.py", "verify/smoke_cases.py"}
    assert holders <= senders | {"config/logsql.py", "logs/logs.py", "setup/adoption/requests.py"}
