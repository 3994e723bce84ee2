"""A copy of the project as a user has it, so that a test may break its config, its .env and its .cutover."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.program import Program

from tests.support import schema

ROOT = Path(__file__).parent.parent.parent
_OURS = ("SUPABASE_", "OPENROUTER_", "SMOKE_", "CUTOVER_", "CLAUDE", "GITHUB_")


@dataclass(frozen=True)
class Done:
    """How a verb ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout, which must fit its schema in docs/schema/."""
        return schema.check(self.out)


@dataclass(frozen=True)
class Project:
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def inv(self, *arguments: str, env: Mapping[str, str] | None = None, text: str = "", seconds: float = 110) -> Done:
        """Type a verb, without a terminal and without any variable of ours around."""
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.folder, env={**environment(), **(env or {})}, input=text, capture_output=True, text=True,
            check=False, timeout=seconds,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    """This process's environment without what changes a verb's behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS) and name != "CI"}
    return {**kept, "PYTHONPATH": "", "NO_COLOR": "1", "COLUMNS": "120"}


def copy(folder: Path) -> Project:
    """tasks.py, config.yaml, migration and checks, copied; nothing of .env or .cutover.

    Functions run on the Deno that is installed: fetching the platform's for each copy would take longer than a test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skip = shutil.ignore_patterns("node_modules")  # modules come along compiled
    for name in ("migration", "checks"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in ("tasks.py", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    project = Project(folder)
    project.edit("\nrehearsal:\n", "\nrehearsal:\n  deno: own\n")
    return project


def helped(verb: str) -> str:
    """What `inv --help VERB` prints, without a process for it."""
    import tasks

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        Program(namespace=Collection.from_module(tasks), name="inv").run(["inv", "--help", verb], exit=False)
    return said.getvalue()
