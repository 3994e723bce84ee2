"""Seconds until a verb's first line is on a terminal, against an empty Invoke task that prints one.

`uv run python -m benchmarks.first_line [ROUNDS]`. The figure to hold: at most 0.5 s for every verb on a quiet machine.
Each verb is stopped as soon as its first line is there: it needs no sandbox and changes nothing.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST = 0.5
PATIENCE = 20.0
PEER = "from invoke import task\n\n\n@task\ndef nothing(_):\n    '''Nothing.'''\n    print('nothing')\n"
ARGUMENTS = {"unlock": ["some-id"]}
EVERYWHERE = ("rehearse", "sandbox", "init", "config")


def verbs() -> list[str]:
    """As tasks.py defines them."""
    source = (ROOT / "tasks.py").read_text(encoding="utf-8")
    return re.findall(r"^def (\w+)\(\s*_: Context", source, re.MULTILINE)


def first_line(arguments: list[str], folder: Path) -> float:
    """Seconds from the start of the process to its first whole line on a terminal; then it is stopped."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(sys.executable, [sys.executable, "-m", "invoke", *arguments])
    seen = b""
    while b"\n" not in seen and time.monotonic() - began < PATIENCE:
        if select.select([terminal], [], [], 0.01)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
    seconds = time.monotonic() - began
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return seconds if b"\n" in seen else PATIENCE


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "tasks.py").write_text(PEER)
        first_line(["nothing"], empty)
        for verb in verbs():
            env = [] if verb in EVERYWHERE else ["--env", "sandbox"]
            arguments = [verb, *ARGUMENTS.get(verb, []), *env]
            pairs = [(first_line(["nothing"], empty), first_line(arguments, ROOT)) for _ in range(rounds)]
            peer, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
            missed += ours > MOST
            sys.stdout.write(f"{verb:10} {ours:.2f} s, empty task {peer:.2f} s: ratio {ours / peer:.2f}\n")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
