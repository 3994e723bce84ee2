"""A function's source: exactly the files that are sent for it, and what is said about them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from os.path import normpath
from pathlib import Path
from typing import Any

from migration.base.errors import Refused
from migration.clients.supabase_types import Upload
from migration.git import checkout, endings
from migration.git.repository import Repository
from migration.source import functions_config, graph, graphcache, importmap, jointgraph, static
from migration.source.importmap import ImportMap

LIMIT = 20_000_000
LARGE = 5_000_000
_WORKERS = min(8, (os.cpu_count() or 2) * 2)
_SCRIPTS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")


@dataclass(frozen=True)
class Source:
    """The files of one function by path (relative to the app, `/` between parts) and what config.toml says.

    `verify_jwt` is None where nothing is written: the platform then keeps what it has. `local`: every import is a
    file of the app.
    """

    slug: str
    entrypoint: str
    files: Mapping[str, bytes] = field(repr=False)
    import_map: str = ""
    static_patterns: tuple[str, ...] = ()
    verify_jwt: bool | None = None
    warnings: tuple[str, ...] = ()
    local: bool = field(default=False, compare=False)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by path."""
        return {path: hashlib.sha256(data).hexdigest() for path, data in sorted(self.files.items())}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over files and metadata: equal digests mean that nothing would change."""
        return hashlib.sha256(canonical({**self.metadata(), "files": self.hashes})).hexdigest()

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))

    def metadata(self, live: bool | None = None) -> dict[str, Any]:
        """The metadata part in sent order; `live` is the deployed `verify_jwt`, kept where none is written."""
        known = self.verify_jwt if self.verify_jwt is not None else live
        head = {"entrypoint_path": self.entrypoint, "import_map_path": self.import_map}
        body = {"static_patterns": list(self.static_patterns)} | ({} if known is None else {"verify_jwt": known})
        return {**head, **body, "name": self.slug}

    def upload(self, verify_jwt: bool | None = None) -> Upload:
        """Ready to send, with exactly this `verify_jwt`; None sends what is written, if anything is."""
        told = self if verify_jwt is None else replace(self, verify_jwt=verify_jwt)
        return Upload(self.slug, told.metadata(), list(self.files.items()))


def canonical(value: Any) -> bytes:
    """JSON that is the same for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def working(repository: Repository, slugs: Iterable[str], state: Path) -> dict[str, Source]:
    """Several from the working copy, all refusals told together; line ends are git's, whatever this clone does."""
    return whole(tried(repository, slugs, state))


def tried(repository: Repository, slugs: Iterable[str], state: Path) -> dict[str, Source | Refused]:
    """The same, each with what became of it."""
    found = attempts(repository.path, slugs, state)
    kept = {slug: endings.committed(repository, one.files) for slug, one in found.items() if isinstance(one, Source)}
    return {slug: replace(one, files=kept[slug]) if isinstance(one, Source) else one for slug, one in found.items()}


def read(app: Path, slug: str, state: Path, graphs: Mapping[Path, graph.Graph] | None = None) -> Source:
    """Reads one function from the files under `app`; `state` is the folder for caches, `graphs` those known already.

    Raises Refused for what must not be deployed: broken settings, a syntax error, a local import that does not
    resolve, a file outside the app, more than 20 MB.
    """
    app = app.resolve()
    settings = functions_config.load(app, slug)
    entrypoint, imports = _entry(app, slug, settings)
    modules = (graphs or {}).get(entrypoint) or graphcache.resolve(entrypoint, app, imports, state)
    patterns = static.patterns(app, settings.static_files)
    assets = {pattern: static.match(app, pattern) for pattern in patterns}
    mapped, extra = _mapped(app, imports, modules, state)
    _refuse(slug, [*modules.problems, *(problem for each in extra for problem in each.problems)])
    found = [*(imports.files if imports else ()), *(path for paths in assets.values() for path in paths)]
    found += [*modules.files, *mapped, *(path for each in extra for path in each.files)]
    files = _load(app, slug, found)
    warnings = [*modules.unmapped, *_weight(files), *_unmatched(assets), *_shared(imports)]
    map_path = imports.files[0].relative_to(app).as_posix() if imports else ""
    start = entrypoint.relative_to(app).as_posix()
    return Source(slug, start, files, map_path, tuple(patterns), settings.verify_jwt, tuple(warnings), modules.local)


class Absent(Refused):
    """The app has no entrypoint of this function."""


def read_all(app: Path, slugs: Iterable[str], state: Path) -> dict[str, Source]:
    """Several at once, as they stand on the disk. All refusals are told together."""
    return whole(attempts(app, slugs, state))


def attempts(app: Path, slugs: Iterable[str], state: Path) -> dict[str, Source | Refused]:
    """What became of each, several at once: the time goes into Deno's processes."""
    return dict(zip(names := list(slugs), _attempts(app, names, state), strict=True))


def whole(found: Mapping[str, Source | Refused]) -> dict[str, Source]:
    """The sources, or all refusals as one."""
    refusals = [result for result in found.values() if isinstance(result, Refused)]
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Refused("\n".join(dict.fromkeys(each.message for each in refusals)), refusals[0].hint)
    return {slug: result for slug, result in found.items() if isinstance(result, Source)}


def at_revision(repository: Repository, revision: str, slugs: Iterable[str], state: Path) -> dict[str, Source]:
    """What git holds for these functions at a revision; one that is not there, or is broken there, is left out."""
    folder = checkout.tree(repository, revision, state)
    return {found.slug: found for found in _attempts(folder, list(slugs), state) if isinstance(found, Source)}


def _attempts(app: Path, slugs: Sequence[str], state: Path) -> list[Source | Refused]:
    graphs = _graphs(app.resolve(), slugs, state)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(lambda slug: _attempt(app, slug, state, graphs), slugs))


def _attempt(app: Path, slug: str, state: Path, graphs: Mapping[Path, graph.Graph]) -> Source | Refused:
    try:
        return read(app, slug, state, graphs)
    except Refused as error:
        return error


def _graphs(app: Path, slugs: Sequence[str], state: Path) -> dict[Path, graph.Graph]:
    """What one run of Deno tells of all of them; what stands in the way of one of them, `read` says."""
    entries = []
    for slug in slugs:
        with contextlib.suppress(Refused):
            entries.append(jointgraph.Entry(*_entry(app, slug, functions_config.load(app, slug))))
    return jointgraph.resolve(entries, app, state)


def _entry(app: Path, slug: str, settings: functions_config.Settings) -> tuple[Path, ImportMap | None]:
    """The entrypoint and its import map."""
    entrypoint = _normal(app / "supabase" / (settings.entrypoint or f"functions/{slug}/index.ts"))
    _expect(app, slug, entrypoint)
    return entrypoint, importmap.find(app, settings, entrypoint)


def write(source: Source, folder: Path) -> Path:
    """Puts the files under a folder, which stands for the app; returns the entrypoint's path."""
    for name, data in source.files.items():
        path = folder / name
        if not _normal(path).is_relative_to(folder):
            raise Refused(f"{source.slug}: the path {name} leads outside the app.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / source.entrypoint


def _expect(app: Path, slug: str, entrypoint: Path) -> None:
    if not entrypoint.is_relative_to(app):
        raise Refused(f"{slug}: the entrypoint {entrypoint} lies outside the app.", "Move it into the app.")
    if not entrypoint.is_file():
        shown = entrypoint.relative_to(app)
        hint = "Create it, or mend migration.functions in config.yaml."
        raise Absent(f"{slug}: {shown} does not exist.", hint, path=shown.as_posix())


def _mapped(
    app: Path, imports: ImportMap | None, modules: graph.Graph, state: Path
) -> tuple[list[Path], list[graph.Graph]]:
    """Every local target of the map goes along, imported or not; from an unused file the walk goes on."""
    targets = imports.targets if imports else ()
    for target in targets:
        if not target.exists():
            shown = imports.files[-1].relative_to(app) if imports else ""
            raise Refused(
                f"{shown}: it names {target.name}, which does not exist.", "Remove that entry, or add the file."
            )
    files = [path for target in targets for path in _files(target)]
    unused = [target for target in targets if target.suffix in _SCRIPTS and target not in modules.files]
    return files, [graphcache.resolve(target, app, imports, state) for target in unused if target.is_relative_to(app)]


def _files(target: Path) -> list[Path]:
    if target.is_file():
        return [target]
    return sorted(Path(root) / name for root, _, names in os.walk(target) for name in names)


def _load(app: Path, slug: str, paths: list[Path]) -> dict[str, bytes]:
    unique = list(dict.fromkeys(paths))
    outside = [path for path in unique if not path.is_relative_to(app) or not path.resolve().is_relative_to(app)]
    if outside:
        raise Refused(f"{slug}: {outside[0]} lies outside the app.", "Move it into the app and mend the import.")
    sizes = {path: path.stat().st_size for path in unique}
    if sum(sizes.values()) > LIMIT:
        largest = max(sizes, key=lambda path: sizes[path]).relative_to(app).as_posix()
        text = f"{slug}: {sum(sizes.values()) / 1e6:.1f} MB of files, and the platform takes at most 20 MB."
        raise Refused(f"{text} The largest is {largest}.", "Make it smaller, then inv plan.")
    return {path.relative_to(app).as_posix(): path.read_bytes() for path in unique}


def _refuse(slug: str, problems: list[str]) -> None:
    if problems:
        lines = "\n  ".join(dict.fromkeys(problems))
        raise Refused(f"{slug} cannot be deployed:\n  {lines}", "Mend the source, then `inv plan`.")


def _weight(files: Mapping[str, bytes]) -> list[str]:
    size = sum(map(len, files.values()))
    text = f"{size / 1e6:.1f} MB of files; bundled on the platform, more than 5 MB is refused."
    return [text] if size > LARGE else []


def _unmatched(assets: Mapping[str, list[Path]]) -> list[str]:
    return [f"no file matches the static pattern {pattern}." for pattern, found in assets.items() if not found]


def _shared(imports: ImportMap | None) -> list[str]:
    text = "it uses the shared supabase/functions/import_map.json; give it a deno.json of its own."
    return [text] if imports and imports.fallback else []


def _normal(path: Path) -> Path:
    return Path(normpath(path))
