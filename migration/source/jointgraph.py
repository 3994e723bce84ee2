"""The module graphs of many functions from one run of Deno: starting it takes longer than reading a graph does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base.errors import Refused
from migration.source import graph, graphcache
from migration.source.graph import Graph
from migration.source.importmap import ImportMap


@dataclass(frozen=True)
class Entry:
    """An entrypoint and the import map that applies to it."""

    path: Path
    imports: ImportMap | None


def resolve(entries: Sequence[Entry], app: Path, state: Path) -> dict[Path, Graph]:
    """Graphs by entrypoint, of those entries that can be answered so; whoever is left out is to be asked for alone.

    Left out is what has a problem (its message should name the first importer of that function, not of another) and
    what one graph cannot tell: the same file imported as code here and as text there.
    """
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(tuple(graph.map_options(entry.imports, state)), []).append(entry)
    found: dict[Path, Graph] = {}
    for options, group in groups.items():
        unknown = [entry for entry in group if not graphcache.knows(entry.path, app, entry.imports, state)]
        if len(unknown) > 1:
            found |= _together(unknown, list(options), app, state)
    return found


def _together(entries: Sequence[Entry], options: list[str], app: Path, state: Path) -> dict[Path, Graph]:
    try:
        report = graph.info(graph.command(_root(entries, state), options), app, state)
    except Refused:
        return {}
    modules = {module["specifier"]: module for module in report["modules"]}
    if any(_typed(module) for module in modules.values()):
        return {}
    found: dict[Path, Graph] = {}
    for entry in entries:
        part = _reach(entry.path.as_uri(), modules, report.get("redirects") or {})
        told = graph.read(part, entry.path, app) if part else None
        if told and not told.problems:
            found[entry.path] = told
            graphcache.remember(entry.path, app, entry.imports, state, told)
    return found


def _root(entries: Sequence[Entry], state: Path) -> Path:
    """A module that imports every entrypoint, in the folder for caches."""
    text = "".join(f"import {json.dumps(entry.path.as_uri())};\n" for entry in entries)
    return graph.kept(text, state / "roots", ".ts").resolve()


def _typed(module: Mapping[str, Any]) -> bool:
    """Whether it imports something as text, bytes or css: then the same file may be two modules."""
    kinds = {edge.get("assertionType") or edge.get("attributeType") for edge in module.get("dependencies", ())}
    return bool(kinds - {None, "json"})


def _reach(start: str, modules: Mapping[str, Any], redirects: Mapping[str, str]) -> dict[str, Any]:
    """The modules that one entrypoint leads to, itself among them; nothing when it is not there."""
    found: dict[str, Any] = {}
    waiting = [start]
    while waiting:
        name = redirects.get(waiting[-1], waiting[-1])
        waiting.pop()
        if name in modules and name not in found:
            found[name] = modules[name]
            waiting += _named(modules[name])
    return found


def _named(value: Any) -> Iterator[str]:
    """Every specifier in a module's report, of code and of types."""
    if isinstance(value, dict):
        if isinstance(value.get("specifier"), str):
            yield value["specifier"]
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named(part)
