"""`inv status` and `inv history` as whole processes over a long ledger, beside an empty Invoke task.

    python -m benchmarks.status [RECORDS]

The project is a copy that acts on a sandbox; its app's remote holds the ledger. Warm: each was typed once before. On a
busy machine the CPU time (of the process and its children, git among them) is the figure, not the clock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.ledger import REF, build
from migration.rehearsal.running import Running, start

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
ALLOWED_SECONDS, ALLOWED_MEGABYTES = 0.6, 150
PEER = "from invoke import task\n\n\n@task\ndef nothing(_):\n    '''Nothing.'''\n    print('nothing')\n"


@dataclass(frozen=True, order=True)
class Cost:
    """One process: seconds of CPU with its children, seconds on the clock, megabytes at its largest."""

    cpu: float
    seconds: float
    memory: float

    def __str__(self) -> str:
        return f"CPU {self.cpu:.2f} s, clock {self.seconds:.2f} s, {self.memory:.0f} MB"


def typed(folder: Path, *words: str) -> Cost:
    """The cost of `inv WORDS`; raises where it fails."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "invoke", *words], cwd=folder, stdout=subprocess.DEVNULL)
    largest, status, used = 0.0, 0, None
    while used is None:
        with contextlib.suppress(OSError, StopIteration):  # ru_maxrss would begin with this process's own
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            largest = max(largest, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)
        pid, status, found = os.wait4(child.pid, os.WNOHANG)
        used = found if pid else None
        time.sleep(0.01)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"inv {' '.join(words)} exits {child.returncode}")
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - began, largest)


def project(folder: Path, running: Running, count: int) -> Path:
    """A copy of the project whose environment prod is the sandbox, and whose app has so many records."""
    app, remote, own = folder / "app", folder / "remote.git", folder / "project"
    build(app, count)
    for slug in ("function-0", "function-1"):
        home = app / "supabase/functions" / slug
        home.mkdir(parents=True)
        (home / "index.ts").write_text("Deno.serve(() => new Response());\n")
    identity = ["-c", "user.name=B", "-c", "user.email=b@localhost"]
    for words in (["init", "--quiet", "--bare", str(remote)], ["remote", "add", "origin", str(remote)],
                  ["add", "."], [*identity, "commit", "--quiet", "--message", "Begin"],
                  ["push", "--quiet", "origin", "HEAD:refs/heads/main", f"{REF}:{REF}"],
                  ["update-ref", "-d", REF]):  # fmt: skip
        subprocess.run(["git", *words], cwd=app, check=True)
    for name in ("migration", "checks"):
        shutil.copytree(ROOT / name, own / name, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "tasks.py", own / "tasks.py")
    prod = {"url": running.url, "api_url": running.api_url, "project_ref": running.project_ref,
            "access_token": running.access_token}  # fmt: skip
    config = {"migration": {"name": "long", "functions": ["function-0", "function-1"]}, "app": {"path": str(app)},
              "environments": {"prod": prod}}  # fmt: skip
    (own / "config.yaml").write_text(yaml.safe_dump(config))
    return own


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    count -= count % 3  # whole deployments
    with tempfile.TemporaryDirectory() as name, start(Path(name) / "sandbox") as running:
        folder = Path(name)
        own, empty = project(folder, running, count), folder / "empty"
        empty.mkdir()
        (empty / "tasks.py").write_text(PEER)
        rows = {"nothing": (empty, ["nothing"]), "status": (own, ["status"]), "history": (own, ["history"]),
                "history, all": (own, ["history", "--limit", str(count)])}  # fmt: skip
        found: dict[str, Cost] = {}
        for what, (where, words) in rows.items():
            first = typed(where, *words)
            found[what] = min(typed(where, *words) for _ in range(ROUNDS if "all" not in what else 1))
            sys.stdout.write(f"{what:13} {found[what]}; the first time {first}\n")
    ours, peer = found["status"], found["nothing"]
    sys.stdout.write(f"{count} records: status / an empty task: {ours.cpu / peer.cpu:.2f} of its CPU\n")
    largest = max(cost.memory for cost in found.values())
    return 0 if ours.cpu <= ALLOWED_SECONDS and largest <= ALLOWED_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
