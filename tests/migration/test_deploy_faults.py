"""Whatever fails, what is live is the old code or the new, the lock is free, and the next deploy ends it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from migration import deploy
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.errors import CutoverError
from migration.rehearsal.server import Running
from migration.release.outcome import DeployResult
from migration.release.staging import Pace
from tests.support import scene
from tests.support.scene import Scene, text

QUICK = Pace(upload=1.5, retry=1.0, activate=1.5, wait=0.02, longest=0.1)
STATUSES = [400, 401, 402, 403, 404, 409, 413, 500, 502, 503, 504]
FAULTS: dict[str, dict[str, Any]] = {
    **{str(status): {"do": "status", "status": status, "body": {"message": "no"}} for status in STATUSES},
    "429": {"do": "status", "status": 429, "body": {"message": "slow down"}},
    "429 with Retry-After": {"do": "status", "status": 429, "headers": {"Retry-After": "0.05"}},
    "429 for long": {"do": "status", "status": 429, "headers": {"Retry-After": "600"}},
    "html": {"do": "html"},
    "refused": {"do": "down", "down_seconds": 0.3},
    "reset before the body": {"do": "reset"},
    "reset after the body": {"do": "reset", "after_body": True},
    "applied, answer lost": {"do": "reset", "applied": True},
    "applied, 502": {"do": "status", "status": 502, "applied": True},
    "hang": {"do": "hang", "hold": 2.0},
    "applied, hang": {"do": "hang", "hold": 2.0, "applied": True},
    "trickle": {"do": "trickle", "bytes": 1, "ms": 50},
    "cut": {"do": "cut", "share": 0.5},
    "garbage": {"do": "garbage"},
    "empty": {"do": "empty"},
}
OPERATIONS = ["list", "body", "get", "stage", "activate", "deploy"]
CELLS = [(operation, name) for operation in OPERATIONS for name in FAULTS]
TIMES: dict[str, dict[str, Any]] = {"once": {}, "second": {"nth": 2}, "always": {"times": 0}}
GRID = [
    pytest.param(operation, name, more, id=f"{operation}-{name}-{times}")
    for operation, name in CELLS
    for times, more in TIMES.items()
    if not (name == "refused" and times == "always")  # then nobody could heal the sandbox either
]
SOME = [("stage", "applied, answer lost"), ("activate", "applied, hang"), ("stage", "400")]
SOME += random.Random(11).sample([cell for cell in CELLS if cell not in SOME], 1)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.deployed(tmp_path, sandbox)


def _deploy(stage: Scene) -> DeployResult:
    context = stage.context()
    headers = {"Authorization": f"Bearer {stage.running.access_token}", "Accept": "application/json"}
    quick = Http(stage.running.api_url, headers, name="the Management API", deadline=1.5)
    context.__dict__["supabase"] = Supabase(quick, stage.running.project_ref)
    return deploy.run(context, yes=True, gate=False, pace=QUICK)


def _texts(stage: Scene) -> list[str]:
    context = stage.context()
    return sorted(body.decode() for slug in stage.functions for body in context.supabase.body(slug).files.values())


def _survives(stage: Scene, operation: str, name: str, **more: Any) -> None:
    """One fault at one operation, then a deploy in peace."""
    stage.change(2, *(("alpha",) if operation == "deploy" else ()))
    old, new = [text(1), text(1)], sorted([text(2), text(1 if operation == "deploy" else 2)])
    stage.running.fault(operation, **{**FAULTS[name], **more})
    try:
        result = _deploy(stage)
        code, outcome = result.exit_code, result.deployment.outcome
    except CutoverError as error:
        code, outcome = error.exit_code, "refused"
    stage.running.heal()
    found = _texts(stage)
    assert code in (0, 2, 3, 5)
    assert found == (new if code == 0 else old) or (outcome == "unfinished" and found in (old, new))
    assert stage.context().lock.holder() is None
    again = _deploy(stage)
    assert again.exit_code == 0, again.message
    assert _texts(stage) == new
    assert stage.context().ledger.history().interrupted is None
    assert _deploy(stage).deployment.outcome == "same"


@pytest.mark.parametrize(("operation", "name"), SOME)
def test_a_fault_ends_in_old_or_new_and_is_mended_by_the_next_deploy(operation: str, name: str, stage: Scene) -> None:
    _survives(stage, operation, name)


@pytest.mark.long
@pytest.mark.parametrize(("operation", "name", "more"), GRID)
def test_every_fault_at_every_operation(operation: str, name: str, more: dict[str, Any], stage: Scene) -> None:
    _survives(stage, operation, name, **more)
