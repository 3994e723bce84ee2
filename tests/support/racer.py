"""One process of a race: waits for the start, then does its job once a round, and prints what it knows as JSON.

Arguments: clone, job, name, count, and for `release` the sandbox as JSON. `append` writes notes; `deploy` tries to take
the lock and writes two records while holding it; `release` is a whole deploy of the clone (`count` is how many seconds
it waits for the lock), and a note of its own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from migration.base.errors import CutoverError, Refused
from migration.deploy import deploy as phase
from tests.support.repos import ledger, lock
from tests.support.scene import Scene

TRIES = 80


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


def release(scene: Scene, folder: Path, name: str, number: str, wait: float) -> dict[str, object]:
    """What `inv deploy --yes --no-gate` and `inv history --note` do, at once with everybody else.

    Where the remote failed it, it does what a person does: it types the same again.
    """
    tries: list[dict[str, object]] = []
    while not tries or (tries[-1]["code"] in (3, 5) and len(tries) < TRIES):
        try:
            ended = phase.run(scene.context(folder, root=name), phase.DeployOptions(yes=True, gate=False, wait=wait))
            tries.append({"outcome": ended.deployment.outcome, "code": ended.exit_code, "told": ended.message})
        except CutoverError as error:
            tries.append({"outcome": "", "code": error.exit_code, "told": error.message})
    return {"tries": tries, "code": tries[-1]["code"], **append(folder, f"{name}r{number}", 1)}


def _scene(folder: Path, about: str) -> Scene:
    found: dict[str, Any] = json.loads(about)
    return Scene(folder.parent, SimpleNamespace(**found["running"]), found["settings"])  # type: ignore[arg-type]


def main() -> None:
    folder, job, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    scene = _scene(folder, sys.argv[5]) if job == "release" else None
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        number = line.strip()
        if scene is not None:
            answer = release(scene, folder, name, number, count)
        else:
            answer = append(folder, f"{name}r{number}", count) if job == "append" else deploy(folder, name, number)
        print(json.dumps(answer), flush=True)  # noqa: T201


main()
