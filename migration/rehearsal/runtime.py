"""The Deno that functions run on: the platform's own version, fetched once, or the newer one that Cutover brings."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from migration.base.progress import Observer

# https://github.com/supabase/edge-runtime: what `Deno.version` says on the platform in November 2026.
PLATFORM = "2.1.4"
OURS = version("deno")
_PATIENCE = 300.0  # seconds for 50 MB from the registry that npm is configured with
_DIFFERS = 'a newer Deno also accepts `with { type: "text" }`, `import defer` and `import source`'


def choose(wanted: str | None, root: Path, observer: Observer) -> Path | None:
    """The executable of `rehearsal.deno`; None for the one that Cutover brings, with a word on what differs."""
    if wanted is None:
        observer.note(f"Functions run on Deno {OURS}, the platform has {PLATFORM}: {_DIFFERS}. "
                      f"Set rehearsal.deno: {PLATFORM} in config.yaml to run on that.")  # fmt: skip
        return None
    folder = root / ".cutover" / "runtime" / f"deno-{wanted}"
    found = _installed(folder)
    if found is not None:
        return found
    observer.step("deno", detail=f"fetching Deno {wanted}")
    reason = _fetch(folder, wanted)
    found = _installed(folder)
    if found is None:
        observer.failed("deno")
        observer.warn(f"Cannot fetch Deno {wanted} ({reason}): functions run on {OURS}; {_DIFFERS}.")
        return None
    observer.done("deno", detail=str(found))
    return found


def _installed(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("node_modules/@deno/*/deno"))), None)


def _fetch(folder: Path, wanted: str) -> str:
    """Let npm fetch it, by the registry and the proxies that it is configured with; the reason when it cannot."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    command = [npm, "install", *options, f"deno@{wanted}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=folder)
    except subprocess.TimeoutExpired:
        return f"npm did not finish within {_PATIENCE:g}s"
    lines = [line for line in done.stderr.splitlines() if line.startswith("npm error") and "A complete log" not in line]
    return "" if done.returncode == 0 else (lines[0] if lines else f"npm ended with {done.returncode}")
