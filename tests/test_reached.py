"""What stands in the code is reached by the code: no function, class or constant is kept for tests alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.test_layers import FILES, ROOT

# Reached by another way: by the verbs of Invoke, by registration, by the name in a list of routers, by a test of names.
ELSEWHERE = {"tasks", "checks.criteria", "checks.conftest", "checks.test_criteria"}
NAMES = {"routes", "migration.base.failpoint.NAMES"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _defined(path: Path) -> Iterator[str]:
    """The names that a file defines at its top."""
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def _used(module: str, path: Path) -> Iterator[tuple[str, str]]:
    """The names that a file reads, each with the file that defines it; a text that is a name counts too."""
    files: dict[str, set[str]] = {}
    nodes = list(ast.walk(_tree(path)))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                if f"{node.module}.{one.name}" in FILES:
                    files.setdefault(one.asname or one.name, set()).add(f"{node.module}.{one.name}")
                else:
                    yield node.module, one.name
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from ((file, node.attr) for file in files.get(node.value.id, ()))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield module, node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield module, node.value


def _all_used(paths: Iterable[tuple[str, Path]]) -> set[tuple[str, str]]:
    return {use for module, path in paths for use in _used(module, path)}


def test_nothing_is_kept_for_tests_alone() -> None:
    """Benchmarks and scripts count as users."""
    further = [(str(path), path) for folder in ("scripts", "benchmarks") for path in (ROOT / folder).glob("*.py")]
    used = _all_used([*FILES.items(), *further])
    unreached = [
        f"{module}.{name}"
        for module, path in FILES.items()
        if not any(module == one or module.startswith(f"{one}.") for one in ELSEWHERE)
        for name in _defined(path)
        if (module, name) not in used and not name.startswith("__") and not NAMES & {name, f"{module}.{name}"}
    ]
    assert unreached == []
