"""Strange records in the shared ledger stop no verb."""

from __future__ import annotations

import json
from pathlib import Path

from migration.deploy import deploy, plan
from migration.inspect import history, status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.migration.ledger.test_records import INTENT, push
from tests.support import scene

REF = "refs/cutover/ledger/prod"
STRANGE = [
    {"record": "note", "id": ["x"]},
    {**INTENT, "deployment": "../../victim/zzz"},
    {**INTENT, "id": "later", "schema": 2},
    {**INTENT, "id": "shape", "functions": [{"slug": ["alpha"]}]},
    {"record": "staged", "id": "s", "deployment": "x", "answers": "none"},
    {"record": "outcome", "id": "o", "deployment": "x", "functions": [[]]},
    {"record": "costs", "id": "c", "day": "tomorrow"},
    {"record": "lift", "id": "l", "hold": {"all": True}},
    {"record": "future", "id": "f", "functions": "many"},
]


def test_strange_records_stop_no_verb(tmp_path: Path, sandbox: Running) -> None:
    """A deploy, reading, and a rollback work as before, and no file is written outside the state folder."""
    stage = scene.deployed(tmp_path, sandbox, ("alpha",))
    for record in STRANGE:
        push(stage.folder / "remote.git", REF, json.dumps(record))
    push(stage.folder / "remote.git", REF, "hello there")
    stage.change(2)
    before = {path for path in tmp_path.rglob("*.jsonl") if ".cutover" not in path.parts}
    assert plan.make(stage.context()).functions[0].action == "update"
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    assert status.run(stage.context()).functions[0].version == 2
    assert len(history.run(stage.context()).deployments) == 2
    assert rollback.run(stage.context()).exit_code in (0, 4)
    assert len(history.run(stage.context()).deployments) == 3
    assert {path for path in tmp_path.rglob("*.jsonl") if ".cutover" not in path.parts} == before
