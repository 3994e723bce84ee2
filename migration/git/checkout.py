"""A revision's files in a folder of our own, so that Deno can read the past as it reads the present."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from migration.base.command import AGAIN
from migration.base.errors import Refused
from migration.git import endings
from migration.git.repository import QUIET, Repository

FILES, INDEX = "files", "index.plain"
PLAIN = [*endings.PLAIN, "-c", "core.splitIndex=false", "-c", "core.untrackedCache=false", "-c", "core.trustCTime=true",
         "-c", "core.checkStat=default"]  # fmt: skip
_KEPT = 12
_OURS = re.compile(r"[0-9a-f]{40,64}(\.\w+)?")  # the parent may be a link to a folder of others
_IN_USE = 3600.0  # seconds: no verb reads a folder for longer without using it again
_FULL = 40  # digits of a commit that is named in full
_proven: set[tuple[Path, Path]] = set()
_trees: dict[tuple[Path, str], str] = {}


Select = Callable[["Listing"], Collection[str]]


class Listing:
    """The files of the app at a revision, read from git's objects without a checkout: path to mode and blob."""

    def __init__(self, repository: Repository, tree: str) -> None:
        self.repository, self.tree = repository, tree
        where = [repository.prefix.rstrip("/")] if repository.prefix else []
        names = repository.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", *where).names
        heads = [(entry.split("\t", 1)[1], entry.split("\t", 1)[0].split(" ")) for entry in names]
        self.entries = {path.removeprefix(repository.prefix): (mode, blob) for path, (mode, kind, blob) in heads
                        if kind == "blob"}  # fmt: skip

    def read(self, paths: Collection[str]) -> dict[str, bytes]:
        """The bytes of these files (of a symlink its target); what this clone lacks arrives in one fetch."""
        wanted = [path for path in paths if path in self.entries]
        blobs = [self.entries[path][1] for path in wanted]
        self.fetch(blobs)
        out = self.repository.git("cat-file", "--batch", stdin="\n".join([*blobs, ""]).encode(), timeout=300).out
        contents: dict[str, bytes] = {}
        for path in wanted:
            head, _, rest = out.partition(b"\n")
            size = int(head.split(b" ")[2])
            contents[path], out = rest[:size], rest[size + 1 :]
        return contents

    def fetch(self, blobs: Collection[str]) -> None:
        """A blobless clone would else fetch file by file (https://git-scm.com/docs/partial-clone)."""
        if not self.repository.promisor:
            return
        walk = ["rev-list", "--objects", "--missing=print", "--no-object-names", self.tree]
        lines = self.repository.git(*walk, timeout=300).text.splitlines()
        missing = sorted({line[1:] for line in lines if line.startswith("?")} & set(blobs))
        if missing:
            self.repository.fetch_objects(missing)


def tree(repository: Repository, revision: str, state: Path, select: Select | None = None) -> Path:
    """The app's folder as it was at a revision, below `state`; written once for each tree, then checked and reused.

    `select` chooses the files to write, all of the app's without it. Refused for an unknown revision.
    """
    known = _trees.get((repository.path, revision)) or _named(repository, revision)
    top = state.resolve() / "trees" / (f"{known}.part" if select else known)
    if not _whole(repository, top):
        _make(repository, known, top, select)
    return top / FILES / repository.prefix


def _named(repository: Repository, revision: str) -> str:
    """The id of a revision's tree; of a commit named in full it is kept, since it cannot change."""
    answer = repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    if not answer.ok:
        fetch = repository.typed("fetch", *(["--unshallow"] if repository.shallow() else []))
        steps = (fetch, AGAIN) if repository.remotes() else ()
        raise Refused(f"Commit {revision} is not in this clone.", *steps)
    if len(revision) >= _FULL:
        _trees[repository.path, revision] = answer.text
    return answer.text


def _whole(repository: Repository, top: Path) -> bool:
    """Whether the folder still holds what was written: git compares it with its index, by size and times mostly.

    Checked once a process: a file that was changed, added or removed there would make a plan wrong. That it is still
    there is looked at each time, and its use is noted, so that no other process evicts it meanwhile.
    """
    if not (top / FILES).is_dir() or not (top / INDEX).is_file():
        return False
    with contextlib.suppress(OSError):
        os.utime(top)
    if (repository.path, top) not in _proven:
        command = ["ls-files", "-z", "--modified", "--deleted", "--others"]
        done = repository.run(*PLAIN, *command, env=_at(top), timeout=300)
        if not done.ok or done.out:
            return False
        _proven.add((repository.path, top))
    return True


def _at(top: Path) -> dict[str, str]:
    """git's environment for a work tree and an index of our own; the user's stay untouched."""
    return {"GIT_INDEX_FILE": str(top / INDEX), "GIT_WORK_TREE": str(top / FILES)}


def _make(repository: Repository, tree: str, top: Path, select: Select | None) -> None:
    listing = Listing(repository, tree)
    chosen = select(listing) if select else listing.entries
    paths = [path for path in listing.entries if path in chosen or path.endswith(".gitattributes")]
    listing.fetch([listing.entries[path][1] for path in paths])
    lines = [
        *_attributes(repository, tree),
        *(_line(repository.prefix + path, *listing.entries[path]) for path in paths),
    ]
    top.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=top.parent))
    try:
        (draft / FILES / repository.prefix).mkdir(parents=True)
        index = "".join(dict.fromkeys(lines)).encode("utf-8", "surrogateescape")
        repository.git(*PLAIN, "update-index", "-z", "--index-info", stdin=index, env=_at(draft))
        repository.git(*PLAIN, *QUIET, "checkout-index", "--all", "--force", "--index", env=_at(draft), timeout=300)
        _settle(repository, draft, top)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _prune(top.parent)


def _line(path: str, mode: str, blob: str) -> str:
    return f"{mode} {blob}\t{path}\0"


def _attributes(repository: Repository, tree: str) -> list[str]:
    """Every .gitattributes: those above the app decide its line endings too."""
    names = repository.git("ls-tree", "-r", "-z", "--full-tree", tree).names if repository.prefix else []
    own = f"/{repository.prefix}"
    above = [entry.split("\t", 1) for entry in names if entry.endswith(".gitattributes")]
    return [
        f"{head.replace(' blob ', ' ')}\t{path}\0"
        for head, path in above
        if own.startswith(f"/{path.removesuffix('.gitattributes')}") and not path.startswith(repository.prefix)
    ]


def _settle(repository: Repository, draft: Path, top: Path) -> None:
    """Rename is the last step, so a folder that exists is whole. Another process may have been first."""
    for _ in range(3):
        try:
            draft.rename(top)
            _proven.add((repository.path, top))
            return
        except OSError:
            if _whole(repository, top):
                return
            shutil.rmtree(top, ignore_errors=True)
    draft.rename(top)


def _prune(parent: Path) -> None:
    """Removes the folders that were used longest ago, but none that this process or a running one still reads."""
    folders = [path for path in parent.iterdir() if _OURS.fullmatch(path.name)]
    used = {path: _used(path) for path in folders}
    mine = {top for _, top in _proven}
    for old in sorted(folders, key=lambda path: used[path], reverse=True)[_KEPT:]:
        if old not in mine and used[old] < time.time() - _IN_USE:
            shutil.rmtree(old, ignore_errors=True)


def _used(folder: Path) -> float:
    """When it was used last; another process may be removing it."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
