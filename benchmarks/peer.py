"""The real Supabase CLI as peer: found, pointed at a sandbox, and run outside any coding agent.

Install it once with `npm install --prefix .cutover/cli supabase@3.1.0`, or name it in CUTOVER_SUPABASE_CLI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

VERSION = "3.1.0"
INSTALL = f"npm install --prefix .cutover/cli supabase@{VERSION}"
_ROOT = Path(__file__).resolve().parents[1]
_MODULES = _ROOT / ".cutover" / "cli" / "node_modules"


class Project(Protocol):
    """What the CLI must know of a sandbox."""

    @property
    def profile(self) -> Path: ...

    @property
    def access_token(self) -> str: ...

    @property
    def project_ref(self) -> str: ...


class Missing(Exception):
    """There is no CLI to run; the text says what to do."""


@dataclass(frozen=True)
class Run:
    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class Cli:
    """One CLI for one project; `home` takes what it keeps between runs."""

    executable: Path
    project: Project
    home: Path

    def run(self, arguments: Sequence[str], cwd: Path, timeout: float = 120.0) -> Run:
        """Run one command against the project; never raises for its exit code."""
        command = [str(self.executable), *arguments]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=cwd, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def environment(self) -> Mapping[str, str]:
        """Nothing is inherited but the path: inside a coding agent the CLI would answer JSON instead of text."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "SUPABASE_PROFILE": str(self.project.profile),
            "SUPABASE_ACCESS_TOKEN": self.project.access_token,
            "SUPABASE_PROJECT_ID": self.project.project_ref,
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "DO_NOT_TRACK": "1",
            "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        }


def find() -> Path:
    """The executable: CUTOVER_SUPABASE_CLI, else the one under .cutover/cli, else PATH. Missing if none is 3.1.0."""
    named = os.environ.get("CUTOVER_SUPABASE_CLI")
    native = sorted(_MODULES.glob("@supabase/cli-*/bin/supabase"))  # without the wrapper's start of Node
    on_path = shutil.which("supabase")
    candidates = [Path(named)] if named else [*native, *([Path(on_path)] if on_path else [])]
    for each in candidates:
        if version(each) == VERSION:
            return each
    where = f"CUTOVER_SUPABASE_CLI={named} is not" if named else "neither .cutover/cli nor PATH holds"
    raise Missing(f"{where} Supabase CLI {VERSION}: {INSTALL}")


def version(executable: Path) -> str:
    """What it says of itself; empty when it does not run."""
    with tempfile.TemporaryDirectory() as home:
        try:
            done = subprocess.run(
                [str(executable), "--version"], env={"PATH": os.environ.get("PATH", os.defpath), "HOME": home},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return ""
    return done.stdout.strip()
