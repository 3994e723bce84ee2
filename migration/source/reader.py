"""Reading functions: from the working copy, from a folder, or from any revision in git."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from migration.base.command import AGAIN, Do, inv
from migration.base.errors import Refused
from migration.git import checkout, endings
from migration.git.repository import Repository
from migration.source import functions_config, graph, importmap
from migration.source.functions_config import NO_PROJECT, Project, Settings
from migration.source.graph import Entrypoint, Graph
from migration.source.importmap import ImportMap
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context

LIMIT = 20_000_000  # bytes; the API refuses more
LARGE = 5_000_000  # bytes; the hosted bundler refuses more
_WORKERS = min(8, (os.cpu_count() or 2) * 2)
_SCRIPTS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")

Attempt = Source | Refused


class Absent(Refused):
    """The app has no entrypoint of this function."""


@dataclass(frozen=True)
class Reader:
    """Reads the functions of one app for one project; `state` is the folder for caches."""

    repository: Repository
    state: Path
    project: Project = NO_PROJECT

    def working(self, slugs: Iterable[str]) -> dict[str, Source]:
        """Several from the working copy; all refusals together. Line ends are git's, whatever this clone does."""
        return whole(self.tried(slugs))

    def tried(self, slugs: Iterable[str]) -> dict[str, Attempt]:
        """The same, each with its own source or refusal."""
        found = attempts(self.repository.path, slugs, self.state, self.project)
        return {slug: self._as_git_has_it(result) for slug, result in found.items()}

    def at(self, revision: str, slugs: Iterable[str]) -> dict[str, Source]:
        """What git holds for these functions at a revision, without those that are absent or broken there."""
        folder = checkout.tree(self.repository, revision, self.state)
        found = attempts(folder, slugs, self.state, self.project)
        return {slug: result for slug, result in found.items() if isinstance(result, Source)}

    def settings(self, slugs: Iterable[str]) -> dict[str, Settings]:
        """What config.toml of the working copy says of each."""
        return {slug: functions_config.load(self.repository.path, slug, self.project) for slug in slugs}

    def _as_git_has_it(self, found: Attempt) -> Attempt:
        if isinstance(found, Refused):
            return found
        return replace(found, files=endings.committed(self.repository, found.files))


def reader(context: Context) -> Reader:
    """The reader of a run's app, for the project of its environment."""
    project = Project(context.environment.project_ref or "", context.app)
    return Reader(context.repository, context.state, project)


def attempts(app: Path, slugs: Iterable[str], state: Path, project: Project = NO_PROJECT) -> dict[str, Attempt]:
    """Several as they stand on the disk, each with its own source or refusal: the time goes into Deno's processes."""
    names = list(slugs)
    graphs = _graphs(app.resolve(), names, state, project)
    with ThreadPoolExecutor(_WORKERS) as pool:
        results = pool.map(lambda slug: _attempt(app, slug, state, project, graphs), names)
        return dict(zip(names, results, strict=True))


def whole(found: Mapping[str, Attempt]) -> dict[str, Source]:
    """The sources, or all refusals as one."""
    refusals = [result for result in found.values() if isinstance(result, Refused)]
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Refused("\n".join(dict.fromkeys(each.message for each in refusals)), *refusals[0].steps)
    return {slug: result for slug, result in found.items() if isinstance(result, Source)}


def read(
    app: Path, slug: str, state: Path, project: Project = NO_PROJECT, graphs: Mapping[Path, Graph] | None = None
) -> Source:
    """Read one function from the files under `app`; `state` is the folder for caches, `graphs` those known already.

    Refused for what must not be deployed: broken settings, a syntax error, a local import that does not resolve, a
    file outside the app, more than 20 MB.
    """
    app = app.resolve()
    settings = functions_config.load(app, slug, project)
    entry = _entrypoint(app, slug, settings)
    imports = entry.imports
    modules = (graphs or {}).get(entry.path) or graph.resolve(entry, state)
    patterns = functions_config.patterns(app, settings.static_files)
    assets = {pattern: functions_config.match(app, pattern) for pattern in patterns}
    mapped, extra = _mapped(entry, modules, state)
    _refuse(slug, [*modules.problems, *(problem for each in extra for problem in each.problems)])
    paths = [*(imports.files if imports else ()), *(path for matched in assets.values() for path in matched)]
    paths += [*modules.files, *mapped, *(path for each in extra for path in each.files)]
    files = _load(app, slug, paths)
    warnings = [*settings.warnings, *modules.warnings, *_weight(files), *_unmatched(assets), *_shared(imports)]
    map_path = imports.files[0].relative_to(app).as_posix() if imports else ""
    start = entry.path.relative_to(app).as_posix()
    return Source(slug, start, files, map_path, tuple(patterns), settings.verify_jwt, tuple(warnings), modules.local)


def _attempt(app: Path, slug: str, state: Path, project: Project, graphs: Mapping[Path, Graph]) -> Attempt:
    try:
        return read(app, slug, state, project, graphs)
    except Refused as error:
        return error


def _graphs(app: Path, slugs: Sequence[str], state: Path, project: Project) -> dict[Path, Graph]:
    """One run of Deno over all of them; what stands in the way of one of them, `read` says."""
    entries = []
    for slug in slugs:
        with contextlib.suppress(Refused):
            entries.append(_entrypoint(app, slug, functions_config.load(app, slug, project)))
    return graph.resolve_all(entries, state)


def _entrypoint(app: Path, slug: str, settings: Settings) -> Entrypoint:
    path = Path(normpath(app / "supabase" / (settings.entrypoint or f"functions/{slug}/index.ts")))
    if not path.is_relative_to(app):
        raise Refused(f"{slug}: the entrypoint {path} lies outside the app.", Do("move it into the app"), AGAIN)
    if not path.is_file():
        shown = path.relative_to(app).as_posix()
        fix = Do("create it, or correct migration.functions in config.yaml"), AGAIN
        raise Absent(f"{slug}: {shown} does not exist.", *fix, path=shown)
    return Entrypoint(path, app, importmap.find(app, settings, path))


def _mapped(entry: Entrypoint, modules: Graph, state: Path) -> tuple[list[Path], list[Graph]]:
    """Every local target of the map goes along, imported or not; from an unused file the walk goes on."""
    imports, app = entry.imports, entry.app
    targets = imports.targets if imports else ()
    for target in targets:
        if not target.exists():
            shown = imports.files[-1].relative_to(app) if imports else ""
            text = f"{shown}: it names {target.name}, which does not exist."
            raise Refused(text, Do("remove that entry, or add the file"), AGAIN)
    files = [path for target in targets for path in _files(target)]
    unused = [target for target in targets if target.suffix in _SCRIPTS and target not in modules.files]
    inside = [Entrypoint(target, app, imports) for target in unused if target.is_relative_to(app)]
    return files, [graph.resolve(each, state) for each in inside]


def _files(target: Path) -> list[Path]:
    if target.is_file():
        return [target]
    return sorted(Path(root) / name for root, _, names in os.walk(target) for name in names)


def _load(app: Path, slug: str, paths: list[Path]) -> dict[str, bytes]:
    unique = list(dict.fromkeys(paths))
    outside = [path for path in unique if not path.is_relative_to(app) or not path.resolve().is_relative_to(app)]
    if outside:
        fix = Do("move it into the app and correct the import"), AGAIN
        raise Refused(f"{slug}: {outside[0]} lies outside the app.", *fix)
    sizes = {path: path.stat().st_size for path in unique}
    if sum(sizes.values()) > LIMIT:
        largest = max(sizes, key=lambda path: sizes[path]).relative_to(app).as_posix()
        text = f"{slug}: {sum(sizes.values()) / 1e6:.1f} MB of files, and the platform takes at most 20 MB."
        raise Refused(f"{text} The largest is {largest}.", Do("make it smaller, then"), inv("plan"))
    return {path.relative_to(app).as_posix(): path.read_bytes() for path in unique}


def _refuse(slug: str, problems: list[str]) -> None:
    if problems:
        lines = "\n  ".join(dict.fromkeys(problems))
        raise Refused(f"{slug} cannot be deployed:\n  {lines}", Do("fix the source, then"), inv("plan"))


def _weight(files: Mapping[str, bytes]) -> list[str]:
    size = sum(map(len, files.values()))
    text = f"{size / 1e6:.1f} MB of files; bundled on the platform, more than 5 MB is refused."
    return [text] if size > LARGE else []


def _unmatched(assets: Mapping[str, list[Path]]) -> list[str]:
    return [f"no file matches the static pattern {pattern}." for pattern, found in assets.items() if not found]


def _shared(imports: ImportMap | None) -> list[str]:
    text = "it uses the shared supabase/functions/import_map.json; give it a deno.json of its own."
    return [text] if imports and imports.fallback else []
