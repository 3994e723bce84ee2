"""A git remote on a file system that is full or read-only, in a mount namespace of its own.

    unshare --mount python -m tests.support.mounted full|read-only FOLDER

Prints one JSON object: what each question to such a remote ended with, and in how many seconds. The mounts end with
the process, whatever happens to it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migration.base.errors import CutoverError
from migration.ledger.lock import Lock
from tests.support import repos

NOTE = {"record": "note", "text": "while the disk was as it should be"}


def namespace() -> list[str] | None:
    """The command that a process with mounts of its own is started by; None where this machine does not let us."""
    for words in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        try:
            tried = subprocess.run(
                [*words, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"], capture_output=True, check=False
            )
        except FileNotFoundError:
            return None
        if tried.returncode == 0:
            return words
    return None


def main(state: str, folder: Path) -> None:
    home = folder / "disk"
    home.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(home))
    remote, clone = repos.pair(home)
    clone = repos.clone(remote, folder / "app")
    repos.ledger(clone).append(NOTE)
    before = repos.git(remote, "for-each-ref")
    filler = home / "filler"
    if state == "full":
        with filler.open("wb", buffering=0) as file:
            _fill(file.write)
    else:
        _run("mount", "-o", "remount,ro", str(home))
    answers = {
        "append": _asked(lambda: repos.ledger(clone).append({"record": "note", "text": "x" * 9000})),
        "lock": _asked(lambda: _held(repos.lock(repos.ledger(clone)))),
        "read": _asked(lambda: len(repos.ledger(clone).records())),
    }
    unchanged = repos.git(remote, "for-each-ref") == before
    if state == "full":
        filler.unlink()
    else:
        _run("mount", "-o", "remount,rw", str(home))
    answers["again"] = _asked(lambda: repos.ledger(clone).append(NOTE))
    answers["after"] = _asked(lambda: len(repos.ledger(clone).records()))
    json.dump({**answers, "unchanged": unchanged}, sys.stdout)


def _fill(write: Callable[[bytes], Any]) -> None:
    """Until not a byte fits."""
    for size in (65536, 4096, 1):
        try:
            while True:
                write(b"x" * size)
        except OSError:
            continue


def _held(lock: Lock) -> str:
    with lock.held("a test"):
        return "held"


def _asked(ask: Callable[[], Any]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        found = {"answer": str(ask())}
    except CutoverError as error:
        found = {"error": type(error).__name__, "message": error.message, "words": str(error.data.get("stderr") or "")}
    return {**found, "seconds": time.monotonic() - began}


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
