"""The order of the rooms: a file imports only from rooms below its own, and nothing goes in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent

# From top to bottom. `migration.context` is a file among the rooms; what stands below it never sees it.
LAYERS = (
    "tasks",
    "migration.cli",
    "migration.rehearsal",
    "migration.report",
    "migration.watch",
    "migration.e2e",
    "migration.inspect",
    "migration.rollback",
    "migration.deploy",
    "migration.verify",
    "migration.setup",
    "migration.costs",
    "migration.logs",
    "migration.source",
    "migration.context",
    "migration.ledger",
    "migration.providers",
    "migration.clients",
    "migration.config",
    "migration.git",
    "migration.base",
    "checks",
)
# Test files among the sources: the bridge by which pytest runs the criteria against an environment.
EXEMPT = {"checks.conftest", "checks.test_criteria"}


def _files() -> dict[str, Path]:
    paths = [ROOT / "tasks.py", *(ROOT / "checks").rglob("*.py"), *(ROOT / "migration").rglob("*.py")]
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return {name: path for name, path in named.items() if name not in EXEMPT}


FILES = _files()


def imports(module: str) -> Iterator[str]:
    """The files of ours that a file imports, for type checking and in function bodies too."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                found = name if name in FILES else base
                if found in FILES and found != module:
                    yield found


GRAPH = {module: sorted(set(imports(module))) for module in FILES}


def layer(module: str) -> int:
    """The place of a file's room from the top; -1 for `migration` itself, which holds nothing."""
    return next((n for n, room in enumerate(LAYERS) if module == room or module.startswith(f"{room}.")), -1)


def room(module: str) -> str:
    return LAYERS[layer(module)]


def circles(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """Groups of more than one that reach each other (Tarjan's strongly connected components)."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, []):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_every_file_has_a_room() -> None:
    assert [module for module in FILES if layer(module) < 0 and module != "migration"] == []


def test_imports_point_down() -> None:
    """Within a room too, files form no circle; between rooms an import never points up."""
    upward = {f"{one} -> {other}" for one, others in GRAPH.items() for other in others if layer(other) < layer(one)}
    assert not upward


def test_one_class_one_name() -> None:
    """A public class name means one thing in all rooms."""
    homes: dict[str, list[str]] = {}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_no_circle_between_files() -> None:
    """The package file of a room counts as a file: it imports its own and is imported by others."""
    assert circles(GRAPH) == []


def test_context_unseen_below() -> None:
    """What stands below the context takes its parts as arguments."""
    below = [module for module in FILES if layer(module) > LAYERS.index("migration.context")]
    assert [module for module in below if "migration.context" in GRAPH[module]] == []


def test_only_cli_imports_rehearsal() -> None:
    users = {module for module, others in GRAPH.items() for other in others if room(other) == "migration.rehearsal"}
    assert {room(module) for module in users} <= {"migration.rehearsal", "migration.cli"}


def test_checks_stand_alone() -> None:
    """The criteria are pure: nothing of the migration, nothing that reads or sends."""
    outside = {"migration", "httpx", "subprocess", "socket", "os", "pathlib"}
    for module, path in FILES.items():
        if room(module) != "checks":
            continue
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        assert not names & outside, module
