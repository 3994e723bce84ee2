"""The words of this project: what never appears in a text that someone reads, help and docstrings included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORDS = (
    r"told", r"said", r"heard", r"asked for alone", r"mend(?:s|ed|ing)?", r"shall", r"(?<!there )is no(?! longer)",
    r"no word of",
    r"of late", r"for ever", r"nobody", r"somebody else'?s?", r"by another road", r"pointless", r"that which",
    r"the runbook",
    # what was printed once, and is written otherwise now
    r"the ledger does not know it", r"cannot be had", r"moved at every try", r"who is gone", r"taken away from us",
    r"this machine failed us", r"others push all the time", r"cannot be heard", r"lost its owner", r"rather \d+",
    r"knows how to find", r"no log line so far", r"answered no list", r"an artifact:", r"a month:",
    r"the former code answers", r"is not what is live of", r"it was given up", r"there is no terminal",
    r"empty to leave it out", r"at most so many", r"show so many", r"what waited on this machine",
)  # fmt: skip
PATTERN = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
# "file: words around it", each with the reason. It only gets shorter.
EXCEPTIONS: frozenset[str] = frozenset()


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _files() -> list[Path]:
    app = ROOT / "migration" / "rehearsal" / "app"
    paths = [*(ROOT / "migration").rglob("*.py"), *(ROOT / "checks").rglob("*.py")]
    return [ROOT / "tasks.py", *sorted(path for path in paths if app not in path.parents)]


def _pages() -> list[Path]:
    """What people read beside the program: pages, the comments of config.yaml, the table of rounds."""
    tops = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "config.yaml")]
    return [*tops, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]


def found() -> set[str]:
    """Each use of a word as `file: the words around it`."""
    texts = [(path, text) for path in _files() for _, text in _texts(ast.parse(path.read_text(encoding="utf-8")))]
    texts += [(path, path.read_text(encoding="utf-8")) for path in _pages()]
    return {
        f"{path.relative_to(ROOT)}: {' '.join(text[max(match.start() - 30, 0) : match.end() + 20].split())}"
        for path, text in texts
        for match in PATTERN.finditer(text)
    }


def test_words_that_never_appear() -> None:
    """A text in other words is always at hand: `docs` and the table above show how."""
    assert found() - EXCEPTIONS == set()


def test_exceptions_are_in_use() -> None:
    assert EXCEPTIONS - found() == set()


def test_printed_commands_hold_no_placeholder() -> None:
    """A command works when it is pasted: where a word is for the reader to fill in, it is a sentence (`Do`)."""
    calls = (
        (path, node)
        for path in _files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "inv"
    )
    words = (
        (path, node.lineno, part.value)
        for path, node in calls
        for part in (*node.args[1:], *(one.value for one in node.keywords))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )
    assert [
        f"{path.name}:{line}" for path, line, word in words if re.fullmatch(r"<.*>|[A-Z][A-Z_.]+(?:\.md)?", word)
    ] == []
