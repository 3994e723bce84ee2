"""Reading a ledger of 50,000 records, beside plain git printing the same messages.

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

ALLOWED_SECONDS = 0.3  # of the 0.6 that `status` may take
ALLOWED_MEGABYTES = 150
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


QUESTIONS = """
import json, sys, time
from pathlib import Path
from migration.git.repository import AUTHOR, Repository
from migration.inspect.history import row
from migration.ledger.chain import ChainReader
began = time.perf_counter()
repository = Repository(Path(sys.argv[1]), AUTHOR)
history = ChainReader(repository, Path(sys.argv[2])).upto(repository.revision(sys.argv[3]))
history.live, history.newest, history.undone("x"), history.left("function-0"), history.slugs, history.holds
asked = time.perf_counter() - began
rows = sum(1 for one in history.deployments if row(history, one)) if len(sys.argv) > 4 else 0
[line] = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
memory = int(line.split()[1]) / 1024  # ru_maxrss would begin with the parent's
print(json.dumps({"asked": asked, "all": time.perf_counter() - began, "rows": rows, "memory": memory}))
"""


def process(folder: Path, *more: str) -> dict[str, float]:
    """What a process of its own needs: seconds until `status` has its answers, and with all rows; MB at its largest."""
    command = [sys.executable, "-c", QUESTIONS, str(folder / "app"), str(folder / "ledger.json"), REF, *more]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = build(folder / "app", count)
        plain = best(lambda: repository.git("log", "--format=%s", REF, timeout=60))
        first = process(folder)
        again = min((process(folder) for _ in range(ROUNDS)), key=lambda one: one["asked"])
        whole = process(folder, "all")
    print(f"{count} records: first {first['asked']:.2f} s and {first['memory']:.0f} MB")  # noqa: T201
    print(f"again {again['asked']:.3f} s and {again['memory']:.0f} MB; git log of the same {plain:.2f} s")  # noqa: T201
    print(f"all {whole['rows']} deployments as rows: {whole['all']:.2f} s and {whole['memory']:.0f} MB")  # noqa: T201
    print(f"again / git log: {again['asked'] / plain:.2f}")  # noqa: T201
    memory = max(one["memory"] for one in (first, again, whole))
    return 0 if again["asked"] <= ALLOWED_SECONDS * count / 50_000 and memory <= ALLOWED_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
