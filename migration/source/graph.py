"""The module graph of one entrypoint as Deno itself resolves it, without network and without npm."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from migration.base.errors import Refused
from migration.base.secrets_type import spare
from migration.source.importmap import DENO_CONFIG, ImportMap

_SECONDS = 60
_LOOKING = threading.Lock()  # two threads at once find Python's own sysconfig half made
_LOCAL = ("./", "../", "/", "file:")


@dataclass(frozen=True)
class Graph:
    """`files`: every local module, entrypoint first. `problems`: what stops a deploy. `unmapped`: bare imports that
    neither a path nor the import map explains (the platform may know them, this machine does not). `local`: nothing
    comes from the network or from npm."""

    files: tuple[Path, ...]
    problems: tuple[str, ...]
    unmapped: tuple[str, ...]
    local: bool = True


@lru_cache(maxsize=1)
def deno() -> str:
    """The path of the deno program; Refused when it is not installed."""
    try:
        with _LOOKING:
            import deno as package  # type: ignore[import-untyped]

            return str(package.find_deno_bin())
    except (ImportError, FileNotFoundError):
        raise Refused("Deno is not installed.", "uv sync") from None


def environment(cache: Path) -> dict[str, str]:
    """What a deno child gets: its own cache folder, no look-up of newer versions, no package.json."""
    wanted = {"DENO_DIR": str(cache), "DENO_NO_PACKAGE_JSON": "1", "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    return {**spare(os.environ), **wanted}


def resolve(entrypoint: Path, app: Path, imports: ImportMap | None, state: Path) -> Graph:
    """Runs `deno info`; `state` is the folder for Deno's cache. Paths in messages are relative to the app."""
    report = info(command(entrypoint, map_options(imports, state)), app, state)
    return read({module["specifier"]: module for module in report["modules"]}, entrypoint, app)


def read(modules: dict[str, Any], entrypoint: Path, app: Path) -> Graph:
    """What Deno's report says of one entrypoint; `modules` by specifier."""
    importers = _importers(modules.values(), app)
    files = [Path(module["local"]) for module in modules.values() if module.get("local") and "error" not in module]
    problems = [_problem(module, importers, app) for module in modules.values() if _is_local_error(module)]
    ordered = sorted(dict.fromkeys(files), key=lambda path: (path != entrypoint, str(path)))
    local = all(str(specifier).startswith(("file:", "node:", "data:")) for specifier in modules)
    blocked, bare = _blocked(modules, app), _bare(modules, app)
    return Graph(tuple(ordered), tuple(problems + blocked), tuple(bare), local)


def command(entrypoint: Path, options: list[str]) -> list[str]:
    fixed = ["info", "--json", "--no-remote", "--no-npm", "--no-lock", "--unstable-raw-imports"]
    return [deno(), *fixed, *options, str(entrypoint)]


def map_options(imports: ImportMap | None, state: Path) -> list[str]:
    """A deno.json is Deno's own format; any other map is handed over as plain JSON with file URLs."""
    if imports is None:
        return ["--no-config"]
    if imports.files[0].name in DENO_CONFIG:
        return ["--config", str(imports.files[0])]
    return ["--no-config", "--import-map", str(_plain(imports, state))]


def _plain(imports: ImportMap, state: Path) -> Path:
    return kept(json.dumps(imports.absolute(), ensure_ascii=False), state / "maps", ".json")


def kept(text: str, folder: Path, suffix: str) -> Path:
    """A file with this text, named by it and written once."""
    target = folder / (hashlib.sha256(text.encode()).hexdigest()[:16] + suffix)
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        draft.write_text(text, "utf-8")
        draft.replace(target)
    return target


def info(argv: list[str], app: Path, state: Path) -> dict[str, Any]:
    """Deno's report as it prints it; Refused when Deno ends with an error or takes too long."""
    options: Mapping[str, Any] = {"capture_output": True, "text": True, "cwd": app, "timeout": _SECONDS}
    try:
        result = subprocess.run(argv, env=environment(state / "deno"), stdin=subprocess.DEVNULL, **options)
    except subprocess.TimeoutExpired:
        raise Refused(f"{_shown(argv[-1], app)}: Deno did not resolve its imports within {_SECONDS} s.") from None
    if result.returncode:
        reason = " ".join(
            line.strip() for line in result.stderr.split("Stack backtrace")[0].splitlines() if line.strip()
        )
        raise Refused(f"{_shown(argv[-1], app)}: Deno cannot read its imports: {reason}", "Mend it, then `inv plan`.")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def _importers(modules: Any, app: Path) -> dict[str, str]:
    """For each specifier the first place that imports it, as file:line:column."""
    found: dict[str, str] = {}
    for module, edge in _edges(modules):
        if "specifier" in edge:
            found.setdefault(edge["specifier"], _place(module, edge, app))
    return found


def _edges(modules: Any) -> Any:
    for module in modules:
        for dependency in module.get("dependencies", ()):
            for kind in ("code", "type"):
                if kind in dependency:
                    yield module, {**dependency[kind], "written": dependency["specifier"]}


def _place(module: dict[str, Any], edge: dict[str, Any], app: Path) -> str:
    start = edge.get("span", {}).get("start", {"line": 0, "character": 0})
    return f"{_shown(module['specifier'], app)}:{start['line'] + 1}:{start['character'] + 1}"


def _is_local_error(module: dict[str, Any]) -> bool:
    return "error" in module and str(module["specifier"]).startswith("file:")


def _problem(module: dict[str, Any], importers: dict[str, str], app: Path) -> str:
    specifier, text = module["specifier"], str(module["error"])
    shown = _shown(specifier, app)
    place = importers.get(specifier, shown)
    if text.startswith("SyntaxError"):
        return f"{_syntax(text, shown)}: syntax error: {text.split(chr(10))[0].removeprefix('SyntaxError: ')}"
    if "Module not found" in text:
        return f"{place}: {shown} does not exist."
    if "Directory import" in text:
        return f"{place}: {shown} is a folder; name the file."
    return f"{place}: {shown}: {text.split(chr(10))[0]}"


def _syntax(text: str, shown: str) -> str:
    tail = text.rsplit(":", 2)[-2:]
    return f"{shown}:{tail[0]}:{tail[1]}" if all(part.strip().isdigit() for part in tail) else shown


def _blocked(modules: dict[str, Any], app: Path) -> list[str]:
    """Local imports that never became a module, such as one that the import map forbids."""
    edges = [(module, edge) for module, edge in _edges(modules.values()) if "error" in edge]
    local = [(module, edge) for module, edge in edges if edge["written"].startswith(_LOCAL)]
    return [f"{_place(module, edge, app)}: {edge['error']}" for module, edge in local]


def _bare(modules: dict[str, Any], app: Path) -> list[str]:
    edges = [(module, edge) for module, edge in _edges(modules.values()) if "error" in edge]
    bare = [(module, edge) for module, edge in edges if not edge["written"].startswith(_LOCAL)]
    return [f'{_place(module, edge, app)}: nothing here explains "{edge["written"]}".' for module, edge in bare]


def _shown(place: str, app: Path) -> str:
    path = unquote(urlsplit(place).path) if place.startswith("file:") else place
    return str(Path(path).relative_to(app)) if Path(path).is_relative_to(app) else path
