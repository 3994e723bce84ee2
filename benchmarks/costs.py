"""Costs over many usage lines in ClickHouse, beside one awk pass over the same lines as text.

    python -m benchmarks.costs [LINES]

Ten million lines by default. Our own process, without the engine, is measured for a tenth of the lines and for all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.logserver import ROOT, Server, context, started
from tests.support.clock import VirtualClock

ALLOWED_SECONDS = 5.0
ALLOWED_RATIO = 0.6  # of one awk pass
ALLOWED_MEGABYTES = 60
DAY = datetime(2026, 11, 22, tzinfo=UTC)
HOURS = 23

LINES = """
INSERT INTO logs SELECT toString(number), toDateTime64('2026-11-22 00:00:00', 6, 'UTC') + number * {step},
concat('[', lower(hex(number + 268435456)), '] 💰 Token usage: {{ input: ', toString(1000 + number % 2000),
', output: ', toString(300 + number * 7 % 900), ', total: ', toString(1300 + number % 2000 + number * 7 % 900),
', estimatedCost: "$', toString(toDecimal64(((1000 + number % 2000) * 0.6 + (300 + number * 7 % 900) * 2.5) / 1e6, 4)),
'" }}'), '', 'function_logs', map('event_type', 'Log', 'level', 'info', 'function_id', 'id-a', 'version', '7',
'execution_id', lower(hex(number))) FROM numbers({first}, {count})"""

AWK = r"""
/^\[[^]]+\] 💰 Token usage: \{/ {
  if (match($0, /input: [0-9]+/)) i += substr($0, RSTART + 7, RLENGTH - 7)
  if (match($0, /output: [0-9]+/)) o += substr($0, RSTART + 8, RLENGTH - 8)
  if (match($0, /cached: [0-9]+/)) h += substr($0, RSTART + 8, RLENGTH - 8)
  if (match($0, /\$[0-9.]+/)) c += substr($0, RSTART + 1, RLENGTH - 1)
  n++
}
END { printf "%d %.0f %.0f %.4f\n", n, i, o, c }"""


def fill(server: Server, first: int, count: int, total: int) -> None:
    """Lines over the hours of one day, a million at a time."""
    step = HOURS * 3600 / total
    for start in range(first, first + count, 1_000_000):
        size = min(1_000_000, first + count - start)
        server.run(LINES.format(step=f"{step:.9f}", first=start, count=size))


def ask(url: str, folder: Path) -> dict[str, Any]:
    """One run of costs in a process of its own: seconds, peak memory, figures."""
    command = [sys.executable, "-m", "benchmarks.costs", "client", url, str(folder)]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout))


def client(url: str, folder: Path) -> None:
    import resource

    from migration.costs import costs

    found = context(url, folder, clock=VirtualClock(DAY + timedelta(hours=HOURS)))
    began = time.monotonic()
    report = costs.run(found, DAY, "hour")
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer = {"seconds": seconds, "megabytes": peak, "lines": report.lines, "input": report.tokens.input,
              "output": report.tokens.output, "logged": report.logged_cost}  # fmt: skip
    sys.stdout.write(json.dumps(answer))


def awk(text: Path) -> tuple[float, list[float]]:
    """Seconds of one awk pass, and its sums."""
    began = time.monotonic()
    out = subprocess.run(["awk", AWK, text], check=True, capture_output=True, text=True).stdout
    return time.monotonic() - began, [float(word) for word in out.split()]


def _seconds(rounds: Sequence[tuple[dict[str, Any], tuple[float, list[float]]]]) -> tuple[list[float], list[float]]:
    return [ours["seconds"] for ours, _ in rounds], [peer for _, (peer, _) in rounds]


def main(count: int = 10_000_000) -> int:
    """Print seconds, memory and the ratio; 1 when a figure is missed or the sums differ."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder) / "logs") as server:
        place, text = Path(folder), Path(folder) / "lines.txt"
        fill(server, 0, count // 10, count)
        small = ask(server.url, place)
        fill(server, count // 10, count - count // 10, count)
        server.run("OPTIMIZE TABLE logs FINAL")  # a store at rest: no merging beside the rounds
        server.run(f"SELECT event_message FROM logs INTO OUTFILE '{text}' TRUNCATE FORMAT TSVRaw")
        subprocess.run(["cat", text], stdout=subprocess.DEVNULL, check=True)  # warm in the cache
        rounds = [(ask(server.url, place), awk(text)) for _ in range(3)]
    best = min((ours for ours, _ in rounds), key=lambda each: float(each["seconds"]))
    seconds, sums = min(peer for _, peer in rounds)
    same = [best["lines"], best["input"], best["output"]] == sums[:3] and abs(best["logged"] - sums[3]) < 0.005
    ratio, growth = best["seconds"] / seconds, best["megabytes"] - small["megabytes"]
    took, peers = (", ".join(f"{each:.2f}" for each in column) for column in _seconds(rounds))
    sys.stdout.write(
        f"costs over {count:,} usage lines: {took} s ({ALLOWED_SECONDS:g} allowed)\n"
        f"one awk pass over the same lines as text: {peers} s, "
        f"costs takes {ratio:.2f} of it ({ALLOWED_RATIO:g} allowed)\n"
        f"our own process: {small['megabytes']:.0f} MB for {count // 10:,} lines, {best['megabytes']:.0f} MB for all "
        f"({growth:+.0f} MB, {ALLOWED_MEGABYTES} allowed)\n"
        f"the same sums: {'yes' if same else f'no: {best} against {sums}'}\n"
    )
    good = same and best["seconds"] <= ALLOWED_SECONDS and ratio <= ALLOWED_RATIO
    return 0 if good and best["megabytes"] <= ALLOWED_MEGABYTES and growth < 10 else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["client"]:
        client(words[1], Path(words[2]))
    else:
        raise SystemExit(main(int(words[0]) if words else 10_000_000))
