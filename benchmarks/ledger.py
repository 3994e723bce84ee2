"""Reading a ledger of 10,000 records, beside plain git printing the same messages.

    python -m benchmarks.ledger [RECORDS]

`first` is a machine that never read this ledger, `again` a later command on the same machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from migration.git.repository import AUTHOR, Repository
from migration.ledger.chain import ChainReader
from migration.ledger.deployments import fold

ALLOWED_SECONDS = 0.15
ROUNDS = 7
REF = "refs/cutover/ledger/prod"
PLACE = {"class": "laptop", "host": "h", "run_url": None}
WHO = {"environment": "prod", "project_ref": "p" * 20, "who": "Ada", "where": PLACE}


def records(count: int) -> list[dict[str, object]]:
    """Deployments as they are recorded: intent, staged, outcome."""
    found: list[dict[str, object]] = []
    for number in range(count):
        name, step = f"20261123-{number // 3:06d}-abcd", number % 3
        head = {"id": f"{number:016x}", "at": "2026-11-23T01:51:27.000Z", "deployment": name}
        found.append({**(_intent(number), _staged(number), _outcome(number))[step], **head, **WHO})
    return found


def _intent(number: int) -> dict[str, object]:
    before = {"version": number, "source_digest": "a" * 64, "snapshot_digest": "b" * 64, "verify_jwt": False}
    functions = [
        {"slug": f"function-{n}", "action": "update", "before": before, "wanted": {"source_digest": "c" * 64}}
        for n in range(2)
    ]
    head = {"record": "intent", "kind": "deploy", "revision": "d" * 40, "base_revision": "e" * 40}
    return {**head, "functions": functions, "secrets": {}, "snapshots": {}}


def _staged(number: int) -> dict[str, object]:
    answers = [{"slug": f"function-{n}", "version": number + 1, "status": "ACTIVE"} for n in range(2)]
    return {"record": "staged", "answers": answers, "perhaps_stranded": []}


def _outcome(number: int) -> dict[str, object]:
    after = [{"slug": f"function-{n}", "after": {"version": number, "source_digest": "c" * 64}} for n in range(2)]
    steps = [{"name": name, "seconds": 0.31, "detail": "2 functions"} for name in ("snapshot", "stage", "activate")]
    return {"record": "outcome", "outcome": "live", "functions": after, "steps": steps, "gate": {}, "message": "Live."}


def build(folder: Path, count: int) -> Repository:
    """A repository whose ledger holds so many records, written in one go."""
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    parts = []
    for number, record in enumerate(records(count)):
        text = json.dumps(record, separators=(",", ":")) + "\n"
        parts.append(f"commit {REF}\ncommitter Cutover <c@localhost> {1_700_000_000 + number} +0000\n")
        parts.append(f"data {len(text.encode())}\n{text}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="".join(parts).encode(), check=True)
    return Repository(folder, AUTHOR)


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        repository, cache = build(Path(folder) / "app", count), Path(folder) / "ledger.json"
        tip = repository.revision(REF)
        plain = best(lambda: repository.git("log", "--format=%s", REF, timeout=60))
        first = best(lambda: ChainReader(repository, Path(folder) / "nothing" / str(time.monotonic_ns())).upto(tip))
        ChainReader(repository, cache).upto(tip)
        again = best(lambda: ChainReader(repository, cache).upto(tip))
        known = ChainReader(repository, cache).upto(tip)
        folded = best(lambda: fold(known))
    size = sum(len(json.dumps(record, separators=(",", ":"))) for record in known) / len(known)
    print(f"{len(known)} records of {size:.0f} bytes: first {first * 1000:.0f} ms, again {again * 1000:.0f} ms")  # noqa: T201
    print(f"folded into deployments: {folded * 1000:.0f} ms; git log of the same: {plain * 1000:.0f} ms")  # noqa: T201
    print(f"again / git log: {again / plain:.2f}")  # noqa: T201
    return 0 if len(known) == count and again <= ALLOWED_SECONDS * count / 10_000 else 1


if __name__ == "__main__":
    sys.exit(main())
