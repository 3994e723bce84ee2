"""A revision's files in a folder of our own, so that Deno can read the past as it reads the present."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from migration.errors import Refused
from migration.git import Repository

_KEPT = 12


def tree(repository: Repository, revision: str, state: Path) -> Path:
    """The app's folder as it was at a revision, below `state`; made once for each tree, then found again.

    Nobody's index or working copy is touched: the index is a temporary one. Refused for an unknown revision.
    """
    found = repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
    if not found.ok:
        raise Refused(
            f"There is no commit {revision} here.", "git fetch --unshallow" if repository.shallow() else "git fetch"
        )
    name = found.text
    folder = state.resolve() / "trees" / name
    if not folder.is_dir():
        _make(repository, name, folder)
    return folder / repository.prefix


def _make(repository: Repository, name: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder.parent))
    index = {"GIT_INDEX_FILE": str(draft.with_suffix(".index"))}
    try:
        repository.git("read-tree", name, env=index)
        names = "\0".join(repository.git("ls-files", "-z", env=index).names).encode("utf-8", "surrogateescape")
        options = ["--force", "-z", "--stdin", f"--prefix={draft}/"]
        repository.git("checkout-index", *options, stdin=names, env=index, timeout=300)
        _settle(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        draft.with_suffix(".index").unlink(missing_ok=True)
    _prune(folder.parent)


def _settle(draft: Path, folder: Path) -> None:
    """Rename is the last step: a folder that is there is whole. Somebody else's may have come first."""
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _prune(parent: Path) -> None:
    found = sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in [path for path in found if path.is_dir() and not path.name.startswith("draft-")][_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
