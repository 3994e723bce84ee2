"""A function as the platform gives it back, turned into a source that can be sent again."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from migration.base.errors import Refused
from migration.clients.supabase_types import Body, Function
from migration.source import graph, importmap, source
from migration.source.source import Source


def cut(path: str) -> str:
    """A path without what the platform puts before the app: `source/`, `file:///tmp/user_fn…/source/`, or nothing.

    A folder of the app that is called `source` stays: only the beginning is cut.
    """
    plain = unquote(urlsplit(path).path) if path.startswith("file:") else path
    if plain.startswith("/"):
        _, found, rest = plain.partition("/source/")
        return rest if found else plain.lstrip("/")
    return plain.removeprefix("source/")


def from_body(body: Body, function: Function) -> Source:
    """The source as it would be sent again, in the paths it was sent with; `verify_jwt` is always named."""
    files = {cut(path): data for path, data in body.files.items()}
    entry = _entry(body.metadata, function)
    files = _below(files, entry)
    mapped = cut(function.import_map_path or "")
    patterns = [str(each) for each in body.metadata.get("static_patterns") or ()]
    chosen = mapped if mapped in files else ""
    return Source(function.slug, entry, files, chosen, tuple(patterns), function.verify_jwt)


def usable(found: Source, state: Path) -> tuple[Source | None, str]:
    """The source, ready to restore, or None and why not: no entrypoint, or an import that does not resolve.

    Files that no import reaches are static ones: the platform does not tell their patterns, so their paths serve.
    """
    if found.entrypoint not in found.files:
        return None, f"its entrypoint {found.entrypoint} is not in the download"
    try:
        reached, problems = _reach(found, state)
    except (Refused, OSError) as error:
        return None, str(error)
    if problems:
        return None, problems[0]
    loose = sorted(set(found.files) - reached)
    patterns = found.static_patterns or tuple(loose)
    parts = (found.slug, found.entrypoint, found.files, found.import_map, patterns, found.verify_jwt)
    return Source(*parts), ""


def same_files(one: Source, other: Source) -> bool:
    """File for file the same, seen from the entrypoint: the platform may have cut the folders above."""
    return _seen(one) == _seen(other)


def _seen(found: Source) -> dict[str, str]:
    folder = posixpath.dirname(found.entrypoint)
    return {posixpath.relpath(path, folder or "."): value for path, value in found.hashes.items()}


def _entry(metadata: Mapping[str, object], function: Function) -> str:
    named = metadata.get("deno2_entrypoint_path") or metadata.get("entrypoint_path") or function.entrypoint_path
    return cut(str(named or "file:///source/index.ts"))


def _below(files: dict[str, bytes], entry: str) -> dict[str, bytes]:
    """Bare names: the entrypoint's path ends in one of them, and the rest of it goes before all."""
    if entry in files:
        return files
    ends = [path for path in files if entry.endswith(f"/{path}")]
    if len(ends) != 1:
        return files
    before = entry.removesuffix(ends[0])
    return {posixpath.normpath(before + path): data for path, data in files.items()}


def _reach(found: Source, state: Path) -> tuple[set[str], Sequence[str]]:
    (state / "check").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state / "check") as name:
        folder = Path(name).resolve()
        entry = source.write(found, folder)
        imports = importmap.load(folder / found.import_map) if found.import_map else None
        resolved = graph.resolve(entry, folder, imports, state)
        kept = [*resolved.files, *(imports.files if imports else ()), *(imports.targets if imports else ())]
        reached = {path.relative_to(folder).as_posix() for path in kept if path.is_relative_to(folder)}
    return reached, resolved.problems
