"""What is live of a function: downloaded, made into a source that can be sent again, and kept where git cannot
give it back."""

from __future__ import annotations

import base64
import contextlib
import glob
import json
import posixpath
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from migration.base import durable
from migration.base.command import inv
from migration.base.errors import Refused
from migration.base.filename import filename
from migration.base.files import by_use, keep_newest
from migration.clients.supabase_types import Body, Function
from migration.git import messages
from migration.git.giterrors import GitFailed
from migration.git.refs import Move
from migration.source import graph, importmap, source
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context
    from migration.git.repository import Repository

_DOWNLOADS = 100
_LARGEST = 64 * 1024 * 1024  # bytes of a snapshot's files
_BODIES = re.compile(r".+-.+-\d+-\d+\.json")  # function, its id, version, and when it was updated


# Downloads


def download(context: Context, function: Function) -> Body:
    """The deployed body. A version never changes, so one that was fetched before is not fetched again."""
    parts = filename(function.slug, "The function"), filename(function.id, "The function id")
    name = "-".join([*parts, f"{function.version:d}", f"{function.updated_at or 0:d}.json"])
    path = context.state / "bodies" / context.supabase.ref / name
    with contextlib.suppress(OSError, ValueError, KeyError):
        return _body(json.loads(path.read_bytes()))
    body = context.supabase.body(function.slug)
    with contextlib.suppress(OSError):  # a cache that cannot be written is not a reason to stop
        durable.write(path, json.dumps(_plain(body)).encode(), sync=False)
        _prune(path.parent)
    return body


def downloaded(context: Context, slug: str, before: Mapping[str, Any], digest: str) -> Source | None:
    """What this machine downloaded of a version that was live, if it is that snapshot; `before` is its record."""
    parts = filename(slug, "The function"), filename(str(before.get("function_id") or "-"), "The function id")
    folder = context.state / "bodies" / context.supabase.ref
    for path in folder.glob(f"{glob.escape('-'.join(parts))}-{int(before.get('version') or 0)}-*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            live = from_body(_body(json.loads(path.read_bytes())), _as_it_was(slug, before))
            kept = next(
                (each for each in (live, usable(live, context.state)[0]) if each and each.digest == digest), None
            )
            if kept is not None:
                return kept
    return None


def _as_it_was(slug: str, before: Mapping[str, Any]) -> Function:
    """A function as a deployment's record has it."""
    own = {name: before.get(name) for name in ("verify_jwt", "entrypoint_path", "import_map_path", "version")}
    return Function.of({**own, "id": str(before.get("function_id")), "slug": slug, "status": "ACTIVE"})


def _plain(body: Body) -> dict[str, Any]:
    files = {path: base64.b64encode(data).decode() for path, data in body.files.items()}
    return {"metadata": dict(body.metadata), "files": files}


def _body(cached: Mapping[str, Any]) -> Body:
    return Body(cached["metadata"], {path: base64.b64decode(data) for path, data in cached["files"].items()})


@cache
def _prune(folder: Path) -> None:
    """Once a process."""
    keep_newest(folder, _BODIES, _DOWNLOADS, by_use)


# A download as a source


def cut(path: str) -> str:
    """A path without what the platform puts before the app: `source/`, `file:///tmp/user_fn…/source/`, or nothing.

    A folder of the app that is called `source` stays: only the beginning is cut.
    """
    plain = unquote(urlsplit(path).path) if path.startswith("file:") else path
    if plain.startswith("/"):
        _, cut_at, rest = plain.partition("/source/")
        return rest if cut_at else plain.lstrip("/")
    return plain.removeprefix("source/")


def from_body(body: Body, function: Function) -> Source:
    """The source as it would be sent again, in the paths it was sent with; `verify_jwt` is always named."""
    files = {cut(path): data for path, data in body.files.items()}
    entrypoint = _entrypoint(body.metadata, function)
    files = _below(files, entrypoint)
    mapped = cut(function.import_map_path or "")
    patterns = [str(each) for each in body.metadata.get("static_patterns") or ()]
    import_map = mapped if mapped in files else ""
    return Source(function.slug, entrypoint, files, import_map, tuple(patterns), function.verify_jwt)


def usable(live: Source, state: Path) -> tuple[Source | None, str]:
    """The source, ready to restore, or None and why not: no entrypoint, or an import that does not resolve.

    Files that no import reaches are static ones: the platform does not return their patterns, so their paths serve.
    """
    if live.entrypoint not in live.files:
        return None, f"its entrypoint {live.entrypoint} is not in the download"
    try:
        reached, problems = _reach(live, state)
    except (Refused, OSError) as error:
        return None, str(error)
    if problems:
        return None, problems[0]
    loose = sorted(set(live.files) - reached)
    patterns = live.static_patterns or tuple(loose)
    return Source(live.slug, live.entrypoint, live.files, live.import_map, patterns, live.verify_jwt), ""


def same_files(one: Source, other: Source) -> bool:
    """File for file the same, seen from the entrypoint: the platform may have cut the folders above.

    Loose files do not count, and a download does not know which those are.
    """
    ours, theirs = one.from_entrypoint, other.from_entrypoint
    loose = one.loose_from_entrypoint | other.loose_from_entrypoint
    return all(ours.get(path) == theirs.get(path) for path in {*ours, *theirs} - loose)


def _entrypoint(metadata: Mapping[str, object], function: Function) -> str:
    named = metadata.get("deno2_entrypoint_path") or metadata.get("entrypoint_path") or function.entrypoint_path
    return cut(str(named or "file:///source/index.ts"))


def _below(files: dict[str, bytes], entrypoint: str) -> dict[str, bytes]:
    """Bare names: the entrypoint's path ends in one of them, and the rest of it goes before all."""
    if entrypoint in files:
        return files
    ends = [path for path in files if entrypoint.endswith(f"/{path}")]
    if len(ends) != 1:
        return files
    before = entrypoint.removesuffix(ends[0])
    return {posixpath.normpath(before + path): data for path, data in files.items()}


def _reach(live: Source, state: Path) -> tuple[set[str], Sequence[str]]:
    """The files that imports or the import map lead to, and what does not resolve."""
    (state / "check").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state / "check") as name:
        folder = Path(name).resolve()
        entrypoint = source.write(live, folder)
        imports = importmap.load(folder / live.import_map) if live.import_map else None
        resolved = graph.resolve(graph.Entrypoint(entrypoint, folder, imports), state)
        paths = [*resolved.files, *(imports.files if imports else ()), *(imports.targets if imports else ())]
        reached = {path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)}
    return reached, resolved.problems


# Snapshots in git's remote


def keep(context: Context, digest: str, snapshot: Source) -> str:
    """Write the source as a commit and put it on a ref of the ledger's remote; returns the ref. Repeating is harmless.

    Read back before anything rests on it: Refused where it would not be the same source again. Raises git's answer
    when the remote refuses it: a change does not begin then.
    """
    ref = _ref(context, digest)
    repository, refs = context.repository, context.ledger.refs
    if there := refs.read().get(ref):
        refs.bring(ref, there)
        _require_same(repository, there, digest, snapshot.slug)
        return ref
    commit = _commit(repository, snapshot)
    _require_same(repository, commit, digest, snapshot.slug)
    error = refs.move([Move(ref, None, commit)])
    if error is not None and ref not in refs.read():
        raise error
    return ref


def _require_same(repository: Repository, commit: str, digest: str, slug: str) -> None:
    if _load(repository, commit, digest) is None:
        text = f"{slug}: its snapshot cannot be read back as it is live. Nothing was changed."
        raise Refused(text, inv("plan", diff=True))


def stored(context: Context, digest: str) -> Source:
    """A snapshot that any machine kept. Refused when it is not there."""
    ref = _ref(context, digest)
    refs, repository = context.ledger.refs, context.repository
    commit = refs.read().get(ref)
    if commit is None:
        raise Refused(f"The snapshot {digest[:12]} is neither in git nor in {refs.place}.", inv("status"))
    refs.bring(ref, commit)
    kept = _load(repository, commit, digest)
    if kept is None:
        text = f"What {refs.place} holds as the snapshot {digest[:12]} is not that source: someone changed it."
        raise Refused(text, repository.typed("log", "-1", commit))
    return kept


class _About(Struct):
    """What a snapshot's message says beside its files."""

    slug: str
    entrypoint: str
    import_map: str
    static_patterns: list[str]
    verify_jwt: bool | None
    paths: dict[str, str] | None = None


def _load(repository: Repository, commit: str, digest: str) -> Source | None:
    """The source with this digest; None where anyone has put something else there."""
    with contextlib.suppress(GitFailed, msgspec.MsgspecError, KeyError, ValueError, RecursionError):
        read = _read(repository, commit)
        return read if read.digest == digest else None
    return None


def _read(repository: Repository, commit: str) -> Source:
    about = msgspec.json.decode(messages.one(repository, commit).text or b"", type=_About)
    blobs = _entries(repository, commit, _LARGEST)
    files = {path: repository.git("cat-file", "blob", blob).out for path, blob in blobs.items()}
    if about.paths is not None:
        files = {path: files[name] for name, path in about.paths.items()}
    patterns = tuple(about.static_patterns)
    return Source(about.slug, about.entrypoint, files, about.import_map, patterns, about.verify_jwt)


def _entries(repository: Repository, tree: str, largest: int = 0) -> dict[str, str]:
    """Path to blob. ValueError where they have more than `largest` bytes, if there is such a bound."""
    entries = repository.git("ls-tree", "-r", "-z", "-l", "--full-tree", tree).names
    heads = {path: head.split() for head, _, path in (entry.partition("\t") for entry in entries)}
    if largest and sum(int(head[3]) for head in heads.values() if head[3] != "-") > largest:
        raise ValueError("its files are too large")
    return {path: head[2] for path, head in heads.items()}


def _ref(context: Context, digest: str) -> str:
    return f"{context.ledger.prefix}/snapshots/{context.environment.name}/{digest}"


def _commit(repository: Repository, snapshot: Source) -> str:
    """The files under their own paths; where git takes not all of them (`.git` in a path, a file where another one
    needs a folder), all under numbers, with their paths in the message."""
    hashing = "hash-object", "-w", "--stdin"
    blobs = {path: repository.git(*hashing, stdin=data).text for path, data in snapshot.files.items()}
    about, tree = _about(snapshot), _tree(repository, blobs)
    if tree is None:
        numbers = {str(number): path for number, path in enumerate(blobs)}
        about["paths"] = numbers
        tree = _tree(repository, {number: blobs[path] for number, path in numbers.items()})
    return repository.commit(json.dumps(about, ensure_ascii=False), tree=tree or "")


def _tree(repository: Repository, blobs: Mapping[str, str]) -> str | None:
    """The files as a tree object, by way of an index of our own; None where git left any of them out."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in blobs.items())
        if not repository.run("update-index", "-z", "--index-info", stdin=lines.encode(), env=index).ok:
            return None
        tree = repository.git("write-tree", env=index).text
    return tree if _entries(repository, tree) == blobs else None


def _about(snapshot: Source) -> dict[str, Any]:
    names = ("slug", "entrypoint", "import_map", "static_patterns", "verify_jwt")
    return {name: getattr(snapshot, name) for name in names}
