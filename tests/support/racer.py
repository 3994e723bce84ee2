"""One process of a race: waits for the start, then takes the lock or appends, and prints what it knows as JSON.

Arguments: clone, job (`append` or `deploy`), name, count. `deploy` tries to take the lock once per round that
arrives on stdin, and records an intent and an outcome while holding it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from migration.errors import CutoverError, Refused
from tests.support.repos import ledger, lock


def append(folder: Path, name: str, count: int) -> dict[str, object]:
    own, written = ledger(folder), []
    for number in range(count):
        text = f"{name}-{number}"
        try:
            own.append({"record": "note", "text": text})
            written.append(text)
        except CutoverError as error:
            return {"name": name, "written": written, "failed": error.message}
    return {"name": name, "written": written}


def deploy(folder: Path, name: str, number: str) -> dict[str, object]:
    """Try once; while holding the lock write twice, with another process able to see an overlap in the ledger."""
    own = ledger(folder)
    taken = lock(own)
    try:
        with taken.held(f"deploy {name}"):
            own.append({"record": "note", "text": f"begin {name} {number}"})
            own.append({"record": "note", "text": f"end {name} {number}"}, release=True)
        return {"name": name, "won": True}
    except Refused as error:
        return {"name": name, "won": False, "told": error.message}
    except CutoverError as error:
        return {"name": name, "won": False, "failed": f"{type(error).__name__}: {error.message}"}


def main() -> None:
    folder, job, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        number = line.strip()
        answer = append(folder, f"{name}r{number}", count) if job == "append" else deploy(folder, name, number)
        print(json.dumps(answer), flush=True)  # noqa: T201


main()
