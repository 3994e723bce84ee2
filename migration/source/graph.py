"""Module graphs as Deno itself resolves them, without network and without npm; known ones are not resolved again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.base.errors import Refused
from migration.base.files import by_use, keep_newest
from migration.git import lfs
from migration.source import commonjs, deno
from migration.source.deno import shown
from migration.source.functions_config import CONFIG
from migration.source.importmap import DENO_CONFIG, ImportMap, load, parse

_LOCAL = ("./", "../", "/", "file:")
_CACHED = 400
_GRAPHS = re.compile(r"[0-9a-f]{32}\.json")
# The Deno of the hosted runtime: https://github.com/supabase/edge-runtime/blob/main/Cargo.lock
PLATFORM = "2.1.4"
_PHASES = re.compile(rb"\bimport\s+defer\s+\*|\bimport\s+source\s+[\w$]+\s+from\b|\bimport\.(?:defer|source)\s*\(")
_BUILTIN = re.compile(  # https://docs.deno.com/api/node/
    r"(?:assert|async_hooks|buffer|child_process|cluster|console|constants|crypto|dgram|diagnostics_channel|dns|domain"
    r"|events|fs|https?|http2|module|net|os|path|perf_hooks|process|punycode|querystring|readline|repl|stream"
    r"|string_decoder|sys|timers|tls|tty|url|util|v8|vm|wasi|worker_threads|zlib)(?:/.*)?"
)
_DYNAMIC = re.compile(rb"\bimport\s*(?:/\*.*?\*/\s*)?\(", re.DOTALL)


@dataclass(frozen=True)
class Entrypoint:
    """Where a graph starts: the file, the app's folder, and the import map that applies."""

    path: Path
    app: Path
    imports: ImportMap | None = None


@dataclass(frozen=True)
class Graph:
    """`files`: every local module, entrypoint first. `problems`: what stops a deploy. `warnings`: what may fail when
    the function runs. `local`: nothing comes from the network or from npm. `absent`: files of the app that are not
    there, by their path from it."""

    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    local: bool = True
    absent: tuple[str, ...] = ()


def resolve(entry: Entrypoint, state: Path) -> Graph:
    """The graph of one entrypoint; `state` is the folder for caches. Refused where Deno cannot make one."""
    known = _known(entry, state)
    if known is None:
        report = deno.info(entry.path, map_options(entry.imports, state), entry.app, state)
        known = read({module["specifier"]: module for module in report["modules"]}, entry)
        _remember(entry, state, known)
    return known


def resolve_all(entries: Sequence[Entrypoint], state: Path) -> dict[Path, Graph]:
    """Graphs by entrypoint from one run of Deno per import map: starting it takes longer than reading a graph.

    Left out, and for `resolve` alone: an entry with a problem (its message should name the first importer of that
    function, not of another), and what one graph cannot show: the same file imported as code here and as text there.
    """
    groups: dict[tuple[str, ...], list[Entrypoint]] = {}
    for entry in entries:
        groups.setdefault(tuple(map_options(entry.imports, state)), []).append(entry)
    graphs: dict[Path, Graph] = {}
    for options, group in groups.items():
        cached = {entry.path: known for entry in group if (known := _known(entry, state))}
        unknown = [entry for entry in group if entry.path not in cached]
        graphs |= cached
        if len(unknown) > 1:
            graphs |= _together(unknown, list(options), state)
    return graphs


def map_options(imports: ImportMap | None, state: Path) -> list[str]:
    """Deno's options for a map, as a file of our own with file URLs.

    A deno.json becomes a workspace root without members: Deno would else read a workspace above it, or its members,
    and neither the Supabase CLI nor we upload those.
    """
    if imports is None:
        return ["--no-config"]
    if imports.files[0].name in DENO_CONFIG:
        config = {**imports.options, **imports.absolute(), "workspace": []}
        return ["--config", str(_written(json.dumps(config), state / "configs", "/deno.json"))]
    plain = _written(json.dumps(imports.absolute()), state / "maps", ".json")
    return ["--no-config", "--import-map", str(plain)]


# Reading Deno's report


def read(modules: Mapping[str, Any], entry: Entrypoint) -> Graph:
    """What Deno's report says of one entrypoint; `modules` by specifier.

    The hosted bundler follows code alone, and lets a dynamic import fail when it runs (GraphKind::CodeOnly, eszip's
    from_graph: https://github.com/supabase/edge-runtime). So only what code needs statically stops a deploy.
    """
    files = [Path(module["local"]) for module in modules.values() if module.get("local") and "error" not in module]
    ordered = sorted(dict.fromkeys(files), key=lambda path: (path != entry.path, str(path)))
    local = all(str(specifier).startswith(("file:", "node:", "data:")) for specifier in modules)
    static = needed(entry.path.as_uri(), modules)
    problems = list(_faults(modules, static, entry, dynamic=False))
    late = [f"{fault} The import fails when it runs." for fault in _faults(modules, static, entry, dynamic=True)]
    absent = tuple(
        shown(name, entry.app) for name, each in modules.items() if "Module not found" in str(each.get("error"))
    )
    return Graph(tuple(ordered), tuple(problems), (*late, *_fails_late(modules, entry.app)), local, absent)


def needed(start: str, modules: Mapping[str, Any]) -> set[str]:
    """The modules that code reaches from the entrypoint by static imports."""
    names: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            edges = _edges(modules[name], dynamic=False) if name in modules else ()
            waiting += [edge["specifier"] for edge in edges if "specifier" in edge]
    return names


def _edges(module: Mapping[str, Any], dynamic: bool) -> Iterator[dict[str, Any]]:
    """A module's imports of code, static or dynamic ones."""
    path = Path(module.get("local") or "")
    calls = list(commonjs.required(module, path)) if dynamic and path.is_file() else []
    for dependency in module.get("dependencies", ()):
        if "code" in dependency and bool(dependency.get("isDynamic")) is dynamic and dependency not in calls:
            yield {**dependency["code"], "written": dependency["specifier"]}


def _faults(modules: Mapping[str, Any], static: set[str], entry: Entrypoint, dynamic: bool) -> Iterator[str]:
    """What is wrong with imports of needed modules: where they lead, or that they lead nowhere."""
    start = modules.get(entry.path.as_uri(), {})
    if not dynamic and "error" in start:
        yield _problem(start, shown(start["specifier"], entry.app), entry.app)
    seen: set[str] = set()
    for name in [name for name in modules if name in static]:
        for edge in _edges(modules[name], dynamic):
            place, target = _place(name, edge, entry.app), modules.get(edge.get("specifier", ""), {})
            if "error" in edge:
                yield _unresolved(place, edge, entry)
            elif _is_local_error(target) and target["specifier"] not in seen:
                seen.add(target["specifier"])
                yield _problem(target, place, entry.app)


def _place(name: str, edge: Mapping[str, Any], app: Path) -> str:
    start = edge.get("span", {}).get("start", {"line": 0, "character": 0})
    return f"{shown(name, app)}:{start['line'] + 1}:{start['character'] + 1}"


def _is_local_error(module: Mapping[str, Any]) -> bool:
    return "error" in module and str(module["specifier"]).startswith("file:")


def _problem(module: Mapping[str, Any], place: str, app: Path) -> str:
    text, name = str(module["error"]), shown(module["specifier"], app)
    if lfs.is_pointer(app / name):
        return f"{place}: {name} is a Git LFS pointer, not the file itself."
    if text.startswith("SyntaxError"):
        return f"{_syntax(text, name)}: syntax error: {text.split(chr(10))[0].removeprefix('SyntaxError: ')}"
    if "Module not found" in text:
        return f"{place}: {name} does not exist."
    if "Directory import" in text:
        return f"{place}: {name} is a folder; name the file."
    return f"{place}: {name}: {text.split(chr(10))[0]}"


def _syntax(text: str, name: str) -> str:
    tail = text.rsplit(":", 2)[-2:]
    return f"{name}:{tail[0]}:{tail[1]}" if all(part.strip().isdigit() for part in tail) else name


def _unresolved(place: str, edge: Mapping[str, Any], entry: Entrypoint) -> str:
    """A local import that the map forbids, or a bare one that no uploaded map has."""
    written = edge["written"]
    if written.startswith(_LOCAL):
        return f"{place}: {edge['error']}"
    return f'{place}: "{written}" is in no import map that is uploaded{_elsewhere(written, entry)}.'


def _elsewhere(written: str, entry: Entrypoint) -> str:
    """The file on this machine that has it, and is not uploaded: a deno.json above, or a workspace of our own."""
    above = [folder for folder in entry.path.parents if folder.is_relative_to(entry.app)]
    own = entry.imports.files if entry.imports else ()
    for path in [folder / name for folder in above for name in DENO_CONFIG if folder / name not in own]:
        with contextlib.suppress(Refused):
            if path.is_file() and any(_matches(written, key) for key in load(path).imports):
                fix = f"name it as import_map in {CONFIG}, or copy the entry into the function's own deno.json"
                return f" ({path.relative_to(entry.app).as_posix()} has it, and is not: {fix})"
    if _BUILTIN.fullmatch(written):
        return f" (a module of Node's own: write node:{written})"
    node = entry.path.parent / "package.json"
    if node.is_file():
        return f" ({shown(str(node), entry.app)} is not, either: write npm:{written}, or map it in a deno.json)"
    if own and "workspace" in parse(own[0].read_text("utf-8-sig")):
        return " (the members of a workspace are not: map the name to its file in imports)"
    return ""


def _matches(written: str, key: str) -> bool:
    return written == key or (key.endswith("/") and written.startswith(key))


def _fails_late(modules: Mapping[str, Any], app: Path) -> Iterator[str]:
    """CommonJS, and syntax that this machine's Deno knows and the platform's does not."""
    for name, module in modules.items():
        path = Path(module.get("local") or "")
        if module.get("kind") != "esm" or not path.is_file() or not name.startswith("file:"):
            continue
        yield from commonjs.warnings(shown(name, app), module, path)
        kinds = {each.get("assertionType") or each.get("attributeType") for each in module.get("dependencies", ())}
        reasons = [f'an import with {{ type: "{kind}" }}' for kind in sorted(kinds - {None, "json"})]
        reasons += [f"`{' '.join(match[0].decode().split())}`" for match in _PHASES.finditer(path.read_bytes())]
        yield from (f"{shown(name, app)}: {each} is newer than the platform's Deno {PLATFORM}." for each in reasons)


# Many entrypoints in one run


def _together(entries: Sequence[Entrypoint], options: list[str], state: Path) -> dict[Path, Graph]:
    try:
        report = deno.info(_root(entries, state), options, entries[0].app, state)
    except Refused:
        return {}
    modules = {module["specifier"]: module for module in report["modules"]}
    if any(_typed(module) for module in modules.values()):
        return {}
    graphs: dict[Path, Graph] = {}
    for entry in entries:
        part = _reach(entry.path.as_uri(), modules, report.get("redirects") or {})
        graph = read(part, entry) if part else None
        if graph and not graph.problems:
            graphs[entry.path] = graph
            _remember(entry, state, graph)
    return graphs


def _root(entries: Sequence[Entrypoint], state: Path) -> Path:
    """A module that imports every entrypoint, in the folder for caches."""
    text = "".join(f"import {json.dumps(entry.path.as_uri())};\n" for entry in entries)
    return _written(text, state / "roots", ".ts").resolve()


def _typed(module: Mapping[str, Any]) -> bool:
    """Whether it imports something as text, bytes or css: then the same file may be two modules."""
    kinds = {each.get("assertionType") or each.get("attributeType") for each in module.get("dependencies", ())}
    return bool(kinds - {None, "json"})


def _reach(start: str, modules: Mapping[str, Any], redirects: Mapping[str, str]) -> dict[str, Any]:
    """The modules that one entrypoint leads to, itself among them; nothing when it is not there."""
    reached: dict[str, Any] = {}
    waiting = [start]
    while waiting:
        name = redirects.get(waiting[-1], waiting[-1])
        waiting.pop()
        if name in modules and name not in reached:
            reached[name] = modules[name]
            waiting += _specifiers(modules[name])
    return reached


def _specifiers(value: Any) -> Iterator[str]:
    """Every specifier in a module's report, of code and of types."""
    if isinstance(value, dict):
        if isinstance(value.get("specifier"), str):
            yield value["specifier"]
        for part in value.values():
            yield from _specifiers(part)
    elif isinstance(value, list):
        for part in value:
            yield from _specifiers(part)


# The cache: the text of the modules determines what they import, so equal text needs no Deno


def _known(entry: Entrypoint, state: Path) -> Graph | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        cached: dict[str, Any] = json.loads(_cache_file(entry, state).read_bytes())
        files = {entry.app / name: digest for name, digest in cached["files"].items()}
        if all(_digest(path) == digest for path, digest in files.items()):
            return Graph(tuple(files), (), tuple(cached["warnings"]), bool(cached["local"]))
    return None


def _remember(entry: Entrypoint, state: Path, graph: Graph) -> None:
    """Cache a graph, unless something is absent that may be there next time, or `import(…)` may mean whole folders."""
    if graph.problems or graph.absent:
        return
    if any(not path.is_relative_to(entry.app) or _dynamic(path) for path in graph.files):
        return
    files = {path.relative_to(entry.app).as_posix(): _digest(path) for path in graph.files}
    target = _cache_file(entry, state)
    with contextlib.suppress(OSError):  # a cache that cannot be written is not a reason to stop
        known = {"files": files, "warnings": graph.warnings, "local": graph.local}
        durable.write(target, json.dumps(known).encode(), sync=False)
        _prune(target.parent)


def _cache_file(entry: Entrypoint, state: Path) -> Path:
    maps = [path.read_text("utf-8-sig") for path in entry.imports.files] if entry.imports else []
    head = ["2", entry.path.relative_to(entry.app).as_posix(), _digest(entry.path), *maps]
    return state / "graphs" / f"{hashlib.sha256(chr(0).join(head).encode()).hexdigest()[:32]}.json"


def _dynamic(path: Path) -> bool:
    return _DYNAMIC.search(path.read_bytes()) is not None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _written(text: str, folder: Path, suffix: str) -> Path:
    """A file with this text, named by it and written once."""
    target = folder / (hashlib.sha256(text.encode()).hexdigest()[:16] + suffix)
    if not target.exists():
        durable.write(target, text.encode(), sync=False)
    return target


@cache
def _prune(folder: Path) -> None:
    """Once a process: looking through the folder takes longer than one graph does."""
    keep_newest(folder, _GRAPHS, _CACHED, by_use)
