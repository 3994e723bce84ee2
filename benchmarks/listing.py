"""CPU time of `inv --list` against an empty Invoke collection, in one run: `uv run python benchmarks/listing.py`.

The figure to hold: at most 25 ms more than the empty collection.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15


def cpu(folder: Path) -> float:
    """Milliseconds of CPU of one `inv --list` in this folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "invoke", "--list"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "tasks.py").write_text("from invoke import task\n\n\n@task\ndef nothing(_):\n    '''Nothing.'''\n")
        for folder in (empty, ROOT):
            cpu(folder)
        pairs = [(cpu(empty), cpu(ROOT)) for _ in range(ROUNDS)]
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    sys.stdout.write(f"empty {bare:.0f} ms, ours {ours:.0f} ms: {ours - bare:+.0f} ms, ratio {ours / bare:.2f}\n")


if __name__ == "__main__":
    main()
