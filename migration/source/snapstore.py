"""Where snapshots are kept: downloads on this machine, and in git's remote what git itself cannot give back."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import durable
from migration.base.errors import Refused
from migration.clients.supabase_types import Body, Function
from migration.git.refs import Move
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context

_KEPT = 100


def download(context: Context, function: Function) -> Body:
    """The deployed body. A version never changes, so one that was fetched before is not fetched again."""
    name = f"{function.slug}-{function.id}-{function.version}-{function.updated_at}.json"
    path = context.state / "bodies" / context.supabase.ref / name
    with contextlib.suppress(OSError, ValueError, KeyError):
        return _body(json.loads(path.read_bytes()))
    body = context.supabase.body(function.slug)
    with contextlib.suppress(OSError):  # a cache that cannot be written is no reason to stop
        durable.write(path, json.dumps(_plain(body)).encode(), sync=False)
        _prune(path.parent)
    return body


def keep(context: Context, digest: str, source: Source) -> str:
    """Write the source as a commit and put it on a ref of the ledger's remote; returns the ref. Repeating is harmless.

    Raises what git says when the remote does not take it: a change is not begun then.
    """
    ref = _ref(context, digest)
    repository, refs = context.repository, context.ledger.refs
    if ref in refs.read():
        return ref
    commit = repository.commit(json.dumps(_about(source), ensure_ascii=False), tree=_tree(context, source))
    error = refs.move([Move(ref, None, commit)])
    if error is not None and ref not in refs.read():
        raise error
    return ref


def stored(context: Context, digest: str) -> Source:
    """A kept snapshot, from any machine. Refused when it is not there."""
    ref = _ref(context, digest)
    refs, repository = context.ledger.refs, context.repository
    commit = refs.read().get(ref)
    if commit is None:
        raise Refused(f"The snapshot {digest[:12]} is neither in git nor in {refs.place}.", "inv status")
    refs.bring(ref, commit)
    header = repository.git("cat-file", "commit", commit).out.partition(b"\n\n")[2]
    about = json.loads(header)
    entries = repository.git("ls-tree", "-r", "-z", "--full-tree", commit).names
    blobs = {entry.split("\t", 1)[1]: entry.split("\t", 1)[0].split(" ")[2] for entry in entries}
    files = {path: repository.git("cat-file", "blob", blob).out for path, blob in blobs.items()}
    patterns = tuple(about["static_patterns"])
    return Source(about["slug"], about["entrypoint"], files, about["import_map"], patterns, about["verify_jwt"])


def _ref(context: Context, digest: str) -> str:
    return f"{context.ledger.prefix}/snapshots/{context.environment.name}/{digest}"


def _tree(context: Context, source: Source) -> str:
    """The files as a tree object, by way of an index of our own."""
    repository = context.repository
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        blobs = {
            path: repository.git("hash-object", "-w", "--stdin", stdin=data).text for path, data in source.files.items()
        }
        lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in blobs.items())
        repository.git("update-index", "-z", "--index-info", stdin=lines.encode(), env=index)
        return repository.git("write-tree", env=index).text


def _about(source: Source) -> dict[str, Any]:
    names = ("slug", "entrypoint", "import_map", "static_patterns", "verify_jwt")
    return {name: getattr(source, name) for name in names}


def _plain(body: Body) -> dict[str, Any]:
    files = {path: base64.b64encode(data).decode() for path, data in body.files.items()}
    return {"metadata": dict(body.metadata), "files": files}


def _body(found: dict[str, Any]) -> Body:
    return Body(found["metadata"], {path: base64.b64decode(data) for path, data in found["files"].items()})


@cache
def _prune(folder: Path) -> None:
    """Once a process."""
    for old in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
