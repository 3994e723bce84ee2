"""The report of a day (288 rounds, 10 deployments): its size, and the time from facts to files.

    python -m benchmarks.report [RUNS]

The peer is Python's own json.dumps with indent over the same figures: what writing them costs without drawing them.
"""

# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from migration.report import report
from tests.support import reported

LARGEST, SLOWEST = 300_000, 1.0  # bytes, seconds


def seconds(act: Callable[[], object], runs: int) -> float:
    """The median."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main(runs: int = 9) -> int:
    """Prints the figures; 1 where one is missed."""
    facts = reported.facts()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "report.html"
        began = time.perf_counter()
        first = report.write(facts, target)
        cold = time.perf_counter() - began
        warm = seconds(lambda: report.write(facts, target), runs)
        peer = seconds(lambda: json.dumps(first.figures, indent=1), runs)
        size = target.stat().st_size
    print(f"size            {size / 1000:.0f} kB (aim: at most 300)")
    print(f"written, first  {cold:.2f} s (aim: at most 1)")
    print(
        f"written, again  {warm:.2f} s, {warm / peer:.0f} times json.dumps of the same figures ({peer * 1000:.0f} ms)"
    )
    return int(size > LARGEST or min(cold, warm) > SLOWEST)


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:2])))
