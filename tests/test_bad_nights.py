"""docs/bad-nights.md starts from what is on the screen: each phrase in quotes is one that Cutover prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [line.split("|")[1] for line in (ROOT / "docs/bad-nights.md").read_text("utf-8").splitlines() if line[:1] == "|"]
PHRASES = [phrase for row in ROWS for phrase in re.findall(r'"([^"]+)"', row)]


def _texts(tree: ast.AST) -> Iterator[str]:
    """Text in the code, without the docstrings."""
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


@pytest.fixture(scope="module")
def printed() -> str:
    files = (file for room in ("migration", "checks") for file in sorted((ROOT / room).rglob("*.py")))
    return "\n".join(text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrase_is_printed(printed: str, phrase: str) -> None:
    """Parts around an ellipsis are looked for each on its own."""
    for part in filter(None, (each.strip() for each in phrase.split("…"))):
        assert part.lower() in printed.lower(), part


def test_phrases_are_quoted() -> None:
    assert len(PHRASES) >= 10
