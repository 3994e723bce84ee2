"""Module graphs known from before: the text of the modules determines what they import, so equal text needs no Deno."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from migration.source import graph
from migration.source.graph import Graph
from migration.source.importmap import ImportMap

_KEPT = 400
_DYNAMIC = re.compile(rb"\bimport\s*(?:/\*.*?\*/\s*)?\(", re.DOTALL)


def resolve(entrypoint: Path, app: Path, imports: ImportMap | None, state: Path) -> Graph:
    """As `graph.resolve`. A graph with problems is not kept, nor one with `import(…)`, which may mean whole folders."""
    known = _known(_place(entrypoint, app, imports, state), app)
    if known is not None:
        return known
    found = graph.resolve(entrypoint, app, imports, state)
    remember(entrypoint, app, imports, state, found)
    return found


def knows(entrypoint: Path, app: Path, imports: ImportMap | None, state: Path) -> bool:
    return _known(_place(entrypoint, app, imports, state), app) is not None


def remember(entrypoint: Path, app: Path, imports: ImportMap | None, state: Path, found: Graph) -> None:
    """Keep a graph for later commands, if it is one that may be kept."""
    if not found.problems and all(path.is_relative_to(app) and not _dynamic(path) for path in found.files):
        _keep(_place(entrypoint, app, imports, state), found, app)


def _place(entrypoint: Path, app: Path, imports: ImportMap | None, state: Path) -> Path:
    return state / "graphs" / f"{_key(entrypoint, app, imports)}.json"


def _key(entrypoint: Path, app: Path, imports: ImportMap | None) -> str:
    maps = [path.read_text("utf-8-sig") for path in imports.files] if imports else []
    head = [entrypoint.relative_to(app).as_posix(), _digest(entrypoint), *maps]
    return hashlib.sha256("\0".join(head).encode()).hexdigest()[:32]


def _known(place: Path, app: Path) -> Graph | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told: dict[str, Any] = json.loads(place.read_bytes())
        files = {app / name: digest for name, digest in told["files"].items()}
        if all(_digest(path) == digest for path, digest in files.items()):
            return Graph(tuple(files), (), tuple(told["unmapped"]), bool(told["local"]))
    return None


def _keep(place: Path, found: Graph, app: Path) -> None:
    files = {path.relative_to(app).as_posix(): _digest(path) for path in found.files}
    draft = place.with_suffix(f".{os.getpid()}-{id(found)}")
    with contextlib.suppress(OSError):  # a cache that cannot be written is no reason to stop
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"files": files, "unmapped": found.unmapped, "local": found.local}))
        draft.replace(place)
        _prune(place.parent)


def _dynamic(path: Path) -> bool:
    return _DYNAMIC.search(path.read_bytes()) is not None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _prune(folder: Path) -> None:
    """Once a process: looking through the folder takes longer than one graph does."""
    found = list(folder.glob("*.json"))
    if len(found) > 2 * _KEPT:
        for old in sorted(found, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            old.unlink(missing_ok=True)
