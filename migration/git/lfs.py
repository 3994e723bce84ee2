"""Git LFS: telling a pointer from the file it stands for, and finding that file where git-lfs keeps it.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import re
from pathlib import Path

from migration.git.repository import Repository

_LONGEST = 1024  # bytes; a pointer is shorter
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


def pointer(data: bytes) -> str:
    """The id of the file that these bytes point to; empty where they are no pointer."""
    match = _POINTER.match(data) if len(data) < _LONGEST else None
    return match[1].decode() if match else ""


def is_pointer(path: Path) -> bool:
    """The same of a file on the disk; False where it cannot be read."""
    try:
        return path.is_file() and path.stat().st_size < _LONGEST and bool(pointer(path.read_bytes()))
    except OSError:
        return False


def content(repository: Repository, oid: str) -> bytes | None:
    """The file that a pointer stands for, where this clone has it."""
    path = repository.common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    return path.read_bytes() if path.is_file() else None
