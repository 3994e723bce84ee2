"""Real git repositories for tests: a bare remote, clones of it, and commits by name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from migration.base.clock import Clock
from migration.git.refs import choose
from migration.git.repository import Repository
from migration.ledger.deployments import History
from migration.ledger.ledger import Ledger, LedgerAddress
from migration.ledger.lock import Lock
from tests.support.collector import Collector

QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


def git(folder: Path, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run git as a user would, without the machine's settings."""
    found = subprocess.run(
        ["git", *arguments], cwd=folder, check=check, capture_output=True, text=True, errors="surrogateescape",
        env={**os.environ, **QUIET, **(env or {})},
    )  # fmt: skip
    return found.stdout.strip()


def commit(folder: Path, files: Mapping[str, str | bytes | None], subject: str = "Change") -> str:
    """Write (None deletes) and commit files; returns the commit."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(folder, "rev-parse", "HEAD")


def bare(folder: Path) -> Path:
    """A bare repository to push to."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


def clone(remote: str | Path, folder: Path, *options: str) -> Path:
    """A clone of a remote, on main."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(folder.parent, "clone", "--quiet", *options, str(remote), str(folder))
    git(folder, "symbolic-ref", "HEAD", "refs/heads/main", check=False)
    return folder


def alone(folder: Path) -> Path:
    """A repository without a remote, with one commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, {"README": "app\n"}, "Begin")
    return folder


def pair(folder: Path) -> tuple[Path, Path]:
    """A bare remote with one commit on main, and a clone of it."""
    remote = bare(folder / "remote.git")
    first = clone(remote, folder / "one")
    commit(first, {"README": "app\n"}, "Begin")
    git(first, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    git(first, "branch", "--quiet", "--set-upstream-to=origin/main", "main", check=False)
    return remote, first


def ledger(folder: Path, environment: str = "prod", prefix: str = "refs/cutover", clock: Clock | None = None) -> Ledger:
    """The ledger as a phase would get it, with an observer that collects."""
    repository = Repository(folder, QUIET)
    refs = choose(repository, "origin", prefix)
    address = LedgerAddress(environment, "ref1", folder / ".cutover", prefix)
    return Ledger(repository, refs, address, Collector(), clock)


def lock(own: Ledger, heartbeat: float = 15.0, **more: object) -> Lock:
    return Lock(own, own.repository.path / ".cutover", heartbeat, **more)  # type: ignore[arg-type]


def fold(records: Iterable[Mapping[str, Any]]) -> History:
    """The records of one environment, oldest first, as history."""
    return History().plus(tuple(records))
