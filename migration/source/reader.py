"""Reading functions: from the working copy, from a folder, or from any revision in git."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from migration.base.command import AGAIN, Do, inv, sh
from migration.base.errors import Refused
from migration.git import checkout, endings, lfs
from migration.git.repository import Repository
from migration.source import functions_config, graph, importmap, past, sparse
from migration.source.functions_config import NO_PROJECT, Project, Settings
from migration.source.graph import Entrypoint, Graph
from migration.source.importmap import ImportMap
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context

LIMIT = 20_000_000  # bytes; the API refuses more
LARGE = 5_000_000  # bytes; the hosted bundler refuses more
_APP = "the folder that holds supabase/: only files in it are uploaded"
_WORKERS = min(8, (os.cpu_count() or 2) * 2)
_SCRIPTS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")

Attempt = Source | Refused
_requested: dict[Path, set[str]] = {}


class Absent(Refused):
    """The app has no entrypoint of this function."""


@dataclass(frozen=True)
class Tree:
    """A folder that holds the app's files as they are now, or were at a revision; `state` is the folder for caches.

    `tracked`: the files that git has, None where every file counts. `stored`: the file behind a Git LFS pointer by
    its id, None where pointers are not followed.
    """

    app: Path
    state: Path
    project: Project = NO_PROJECT
    tracked: Callable[[], Collection[str]] | None = None
    stored: Callable[[str], bytes | None] | None = None
    folders: dict[Path, Path] = field(default_factory=dict, compare=False, repr=False)

    def real(self, path: Path) -> Path:
        """Where a file is, behind any symlinks; a folder is resolved once, since many files share it."""
        folder = self.folders.get(path.parent)
        if folder is None:
            folder = self.folders[path.parent] = path.parent.resolve()
        place = folder / path.name
        return place.resolve() if place.is_symlink() else place


@dataclass(frozen=True)
class Reader:
    """Reads the functions of one app for one project; `state` is the folder for caches."""

    repository: Repository
    state: Path
    project: Project = NO_PROJECT
    obtain: Callable[[str], bool] | None = None  # has a missing revision brought from the remote

    def working(self, slugs: Iterable[str]) -> dict[str, Source]:
        """Several from the working copy; all refusals together. Line ends are git's, whatever this clone does."""
        return whole(self.tried(slugs))

    def tried(self, slugs: Iterable[str]) -> dict[str, Attempt]:
        """The same, each with its own source or refusal."""
        tree = Tree(self.repository.path, self.state, self.project, tracked=cache(self._tracked))
        results = {slug: self._as_git_has_it(result) for slug, result in _attempts(tree, slugs).items()}
        out = sparse.left_out(self.repository)
        return {slug: self._complete(slug, result, out) for slug, result in results.items()} if out else results

    def _complete(self, slug: str, result: Attempt, out: Sequence[str]) -> Attempt:
        """The same, or a refusal where it lacks what a sparse checkout leaves out."""
        try:
            settings = functions_config.load(self.repository.path, slug, self.project)
        except Refused:
            return result
        absent = result.data.get("absent", ()) if isinstance(result, Refused) else result.absent
        lacking = sparse.needed(self.repository, settings, absent, out)
        return sparse.refused(self.repository, slug, lacking) if lacking else result

    def at(self, revision: str, slugs: Iterable[str]) -> dict[str, Source]:
        """What git holds for these functions at a revision, without those that are absent or broken there."""
        return {slug: each for slug, each in self.tried_at(revision, slugs).items() if isinstance(each, Source)}

    def tried_at(self, revision: str, slugs: Iterable[str]) -> dict[str, Attempt]:
        """The same, each with its source or its refusal: `Absent` where the app has none of it."""
        self.bring(revision)
        sources = self._past(revision, slugs, past.select)
        broken = [
            slug for slug, result in sources.items() if isinstance(result, Refused) and not isinstance(result, Absent)
        ]
        if broken:  # it may need a file that no text names
            sources |= self._past(revision, broken, None)
        return sources

    def _past(self, revision: str, slugs: Iterable[str], select: checkout.Select | None) -> dict[str, Attempt]:
        folder = checkout.tree(self.repository, revision, self.state, select)
        return _attempts(Tree(folder, self.state, self.project, stored=partial(lfs.content, self.repository)), slugs)

    def bring(self, revision: str) -> None:
        """Have a revision that this clone lacks, if the remote has it."""
        if self.obtain and self.repository.revision(revision) is None:
            self.obtain(revision)

    def settings(self, slugs: Iterable[str]) -> dict[str, Settings]:
        """What config.toml of the working copy says of each."""
        return {slug: functions_config.load(self.repository.path, slug, self.project) for slug in slugs}

    def _tracked(self) -> Collection[str]:
        return frozenset(self.repository.git("ls-files", "-z", "--", ".").names)

    def _as_git_has_it(self, source: Attempt) -> Attempt:
        if isinstance(source, Refused):
            return source
        real = {path: source.real.get(path, path) for path in source.files}
        held = endings.committed(self.repository, {real[path]: data for path, data in source.files.items()})
        return replace(source, files={path: held[real[path]] for path in source.files})


def reader(context: Context) -> Reader:
    """The reader of a run's app, for the project of its environment."""
    project = Project(context.environment.project_ref or "", context.app)
    return Reader(context.repository, context.state, project, partial(_obtain, context))


def _obtain(context: Context, revision: str) -> bool:
    """Ask the remote for a revision that this clone lacks, once a run, and not where the ledger is out of reach."""
    repository, remote = context.repository, context.remote
    requested = _requested.setdefault(repository.path, set())
    if revision in requested or context.ledger.offline or remote not in repository.remotes():
        return False
    requested.add(revision)
    return repository.obtain(remote, revision)


def whole(results: Mapping[str, Attempt]) -> dict[str, Source]:
    """The sources, or all refusals as one."""
    refusals = [result for result in results.values() if isinstance(result, Refused)]
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise Refused("\n".join(dict.fromkeys(each.message for each in refusals)), *refusals[0].steps)
    return {slug: result for slug, result in results.items() if isinstance(result, Source)}


def _attempts(tree: Tree, slugs: Iterable[str]) -> dict[str, Attempt]:
    """The time goes into Deno's processes."""
    tree, names = replace(tree, app=tree.app.resolve()), list(slugs)
    graphs = _graphs(tree, names)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip(names, pool.map(lambda slug: _attempt(tree, slug, graphs), names), strict=True))


def _attempt(tree: Tree, slug: str, graphs: Mapping[Path, Graph]) -> Attempt:
    try:
        return _read(tree, slug, graphs)
    except Refused as error:
        return error


def _graphs(tree: Tree, slugs: Sequence[str]) -> dict[Path, Graph]:
    """One run of Deno over all of them; what stands in the way of one of them, `_read` says."""
    entries = []
    for slug in slugs:
        with contextlib.suppress(Refused, OSError, RuntimeError):
            entries.append(_entrypoint(tree.app, slug, functions_config.load(tree.app, slug, tree.project)))
    return graph.resolve_all(entries, tree.state)


def _read(tree: Tree, slug: str, graphs: Mapping[Path, Graph]) -> Source:
    """`graphs` are those known already. What the file system refuses, such as a name that is too long, is Refused."""
    try:
        return _source(tree, slug, graphs)
    except (OSError, RuntimeError) as error:  # RuntimeError: symlinks in a circle
        reason = error.strerror if isinstance(error, OSError) else str(error)
        path = str(error.filename or "")[-120:] if isinstance(error, OSError) else ""
        raise Refused(f"{slug}: cannot read {path or 'its files'}: {reason}.", Do("correct the path"), AGAIN) from error


def _source(tree: Tree, slug: str, graphs: Mapping[Path, Graph]) -> Source:
    app = tree.app
    settings = functions_config.load(app, slug, tree.project)
    entry = _entrypoint(app, slug, settings)
    imports = entry.imports
    modules = graphs.get(entry.path) or graph.resolve(entry, tree.state)
    _refuse(slug, modules)
    patterns = functions_config.patterns(app, settings.static_files)
    assets = {pattern: functions_config.match(app, pattern) for pattern in patterns}
    own = [*(imports.files if imports else ()), *(path for matched in assets.values() for path in matched)]
    files = _load(tree, slug, [*own, *modules.files])
    extra = {**files, **_loose(tree, entry, modules, files)}
    mapped = extra if sum(map(len, extra.values())) <= LARGE else files
    links, real = _links(tree, files)
    warnings = [
        *settings.warnings,
        *modules.warnings,
        *_weight(files),
        *_unmatched(assets),
        *_static(assets),
        *_shared(imports),
    ]
    return Source(
        slug,
        entry.path.relative_to(app).as_posix(),
        mapped,
        imports.files[0].relative_to(app).as_posix() if imports else "",
        tuple(patterns),
        settings.verify_jwt,
        tuple(warnings),
        modules.local,
        frozenset(mapped) - frozenset(files),
        links,
        real,
        modules.absent,
    )


def _entrypoint(app: Path, slug: str, settings: Settings) -> Entrypoint:
    path = Path(normpath(app / "supabase" / (settings.entrypoint or f"functions/{slug}/index.ts")))
    if not path.is_relative_to(app):
        raise Refused(f"{slug}: the entrypoint {path} lies outside the app.", Do("move it into the app"), AGAIN)
    if not path.is_file():
        shown = path.relative_to(app).as_posix()
        fix = Do("create it, or correct migration.functions in config.yaml"), AGAIN
        raise Absent(f"{slug}: {shown} does not exist.", *fix, path=shown)
    return Entrypoint(path, app, importmap.find(app, settings, path))


# Files that only an import map names


def _loose(tree: Tree, entry: Entrypoint, modules: Graph, own: Collection[str]) -> dict[str, bytes]:
    """The local targets of the map that nothing imports: the CLI sends them, and nothing that runs can reach them.

    Never what git ignores or keeps for itself. From a file the walk goes on. Refused for a target that is not there,
    as the CLI refuses it.
    """
    imports, app = entry.imports, entry.app
    loose: dict[str, bytes] = {}
    for target in imports.targets if imports else ():
        if not target.exists():
            shown = imports.files[-1].relative_to(app) if imports else ""
            text = f"{shown}: it names {target.name}, which does not exist."
            absent = [target.relative_to(app).as_posix()] if target.is_relative_to(app) else []
            raise Refused(text, Do("remove that entry, or add the file"), AGAIN, absent=absent)
        for path in _below(target, entry, modules, tree.state):
            name = _inside(path, app, target)
            if name not in own and _counts(tree, path, name) and path.stat().st_size <= LARGE:
                loose[name] = path.read_bytes()
                if sum(map(len, loose.values())) > LARGE:
                    return loose
    return loose


def _below(target: Path, entry: Entrypoint, modules: Graph, state: Path) -> Iterator[Path]:
    """The files of a folder; or the file with what it imports, where the entrypoint does not reach it."""
    if target.is_dir():
        for root, folders, names in os.walk(target):
            folders[:] = sorted(name for name in folders if name != ".git")
            yield from (Path(root) / name for name in sorted(names))
        return
    yield target
    if target.suffix in _SCRIPTS and target not in modules.files and target.is_relative_to(entry.app):
        with contextlib.suppress(Refused):
            yield from graph.resolve(replace(entry, path=target), state).files


def _inside(path: Path, app: Path, target: Path) -> str:
    if not path.is_relative_to(app):
        fix = Do("move it, or a copy of it, into the app and correct the map"), AGAIN
        raise Refused(f"{target} lies outside the app, {_APP}.", *fix)
    return path.relative_to(app).as_posix()


def _counts(tree: Tree, path: Path, name: str) -> bool:
    if not path.is_file() or not tree.real(path).is_relative_to(tree.app) or not _utf8(name) or lfs.is_pointer(path):
        return False
    return tree.tracked is None or name in tree.tracked()


# The files themselves


def _load(tree: Tree, slug: str, paths: list[Path]) -> dict[str, bytes]:
    app, unique = tree.app, list(dict.fromkeys(paths))
    outside = [path for path in unique if not path.is_relative_to(app) or not tree.real(path).is_relative_to(app)]
    if outside:
        path, real = outside[0], tree.real(outside[0])
        fix = Do("move it, or a copy of it, into the app and correct the import"), AGAIN
        name = f"{path.relative_to(app)} is a symlink to {real}, which" if path.is_relative_to(app) else f"{path}"
        raise Refused(f"{slug}: {name} lies outside the app, {_APP}.", *fix)
    names = {path: path.relative_to(app).as_posix() for path in unique}
    odd = [name for name in names.values() if not _utf8(name)]
    if odd:
        raise Refused(f"{slug}: the file name {odd[0]!r} is not UTF-8.", Do("rename it"), AGAIN)
    sizes = {path: path.stat().st_size for path in unique}
    if sum(sizes.values()) > LIMIT:
        largest = names[max(sizes, key=lambda path: sizes[path])]
        text = f"{slug}: {sum(sizes.values()) / 1e6:.1f} MB of files, and the platform takes at most 20 MB."
        raise Refused(f"{text} The largest is {largest}.", Do("make it smaller, then"), inv("plan"))
    return {names[path]: _bytes(tree, slug, path, names[path]) for path in unique}


def _bytes(tree: Tree, slug: str, path: Path, name: str) -> bytes:
    """A file's bytes; the ones that a Git LFS pointer stands for, where those are followed and here."""
    data = path.read_bytes()
    oid = lfs.pointer(data)
    if not oid:
        return data
    stored = tree.stored(oid) if tree.stored else None
    if stored is None:
        raise Refused(f"{slug}: {name} is a Git LFS pointer, not the file itself.", sh("git", "lfs", "pull"))
    return stored


def _links(tree: Tree, names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The symlinks on the way to these files, with their targets; and the place of each file that is behind one."""
    links: dict[str, str] = {}
    real: dict[str, str] = {}
    app = tree.app
    for name in names:
        place = tree.real(app / name).relative_to(app).as_posix()
        if place != name:
            real[name] = place
            links |= _on_the_way(app, app / name)
    return links, real


def _on_the_way(app: Path, path: Path) -> Iterator[tuple[str, str]]:
    """Every symlink that is followed to reach a file, those behind other symlinks too."""
    current = app
    for part in path.relative_to(app).parts:
        current /= part
        while current.is_symlink():
            target = str(current.readlink())
            yield current.relative_to(app).as_posix(), target
            current = Path(normpath(current.parent / target))
            current = current.parent.resolve() / current.name


def _utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _refuse(slug: str, modules: Graph) -> None:
    if modules.problems:
        lines, fix = "\n  ".join(dict.fromkeys(modules.problems)), Do("fix the source, then")
        raise Refused(f"{slug} cannot be deployed:\n  {lines}", fix, inv("plan"), absent=modules.absent)


def _weight(files: Mapping[str, bytes]) -> list[str]:
    size = sum(map(len, files.values()))
    text = f"{size / 1e6:.1f} MB of files; bundled on the platform, more than 5 MB is refused."
    return [text] if size > LARGE else []


def _unmatched(assets: Mapping[str, list[Path]]) -> list[str]:
    return [f"no file matches the static pattern {pattern}." for pattern, matching in assets.items() if not matching]


def _static(assets: Mapping[str, list[Path]]) -> list[str]:
    """https://supabase.com/docs/guides/functions/limits: "Static files cannot be deployed using the API flag"."""
    text = "static_files may be missing when it runs: Supabase documents them for deploys with Docker, not by its API."
    return [text] if any(assets.values()) else []


def _shared(imports: ImportMap | None) -> list[str]:
    text = "it uses the shared supabase/functions/import_map.json; give it a deno.json of its own."
    return [text] if imports and imports.fallback else []
