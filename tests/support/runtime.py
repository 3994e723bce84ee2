"""The platform's Deno for tests, fetched once into the repository's .cutover."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from migration.rehearsal import runtime
from migration.source.graph import PLATFORM
from tests.support.project import ROOT

_FETCH = (
    "from pathlib import Path; from migration.base.progress import Observer; from migration.rehearsal import runtime; "
    "runtime.choose(None, Path.cwd(), Observer())"
)


@lru_cache(maxsize=1)
def _found() -> Path | None:
    folder = ROOT / ".cutover" / "runtime" / f"deno-{PLATFORM}"
    if runtime.installed(folder) is None:
        subprocess.run([sys.executable, "-c", _FETCH], cwd=ROOT, check=False)
    return runtime.installed(folder)


def installed() -> Path:
    """Its executable. Skips, in CI fails, where no registry is in reach."""
    found = _found()
    if found is None:
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)("the platform's Deno cannot be fetched")
    return found


def shared(root: Path) -> None:
    """Let a project of a test find it, instead of fetching its own 140 MB."""
    if _found() is not None:
        (root / ".cutover").mkdir(parents=True, exist_ok=True)
        (root / ".cutover" / "runtime").symlink_to(ROOT / ".cutover" / "runtime")
