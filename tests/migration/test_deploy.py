"""A deploy makes all of a change live or none of it, and says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration import deploy, plan
from migration.clients.supabase import Upload
from migration.context import Context
from migration.errors import Refused
from migration.outcome import DeployResult
from migration.rehearsal.server import Running
from migration.staging import Pace
from tests.support import scene
from tests.support.scene import Scene, index, text

QUICK = Pace(upload=2.0, retry=2.0, activate=2.0, wait=0.02, longest=0.1)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.make(tmp_path, sandbox)


def _deploy(context: Context, **more: object) -> DeployResult:
    return deploy.run(context, **{"yes": True, "gate": False, "pace": QUICK, **more})  # type: ignore[arg-type]


def _versions(stage: Scene) -> dict[str, int]:
    return {function.slug: function.version for function in stage.context().supabase.functions()}


def _texts(stage: Scene) -> dict[str, str]:
    context = stage.context()
    return {slug: context.supabase.body(slug).files for slug in _versions(stage)}  # type: ignore[misc]


def _sent(stage: Scene, *operations: str) -> list[str]:
    return [entry["operation"] for entry in stage.running.history() if entry["operation"] in operations]


def test_all_changed_functions_go_live_with_one_activation(stage: Scene) -> None:
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("ungated", 0)
    assert _versions(stage) == {"alpha": 1, "beta": 1}
    assert _sent(stage, "stage", "activate") == ["stage", "stage", "activate"]
    assert stage.context().lock.holder() is None


def test_a_second_deploy_of_the_same_changes_nothing_and_takes_no_lock(stage: Scene) -> None:
    _deploy(stage.context())
    before = stage.context().ledger.records()
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("same", 0)
    assert stage.context().ledger.records() == before


def test_only_what_changed_is_sent_and_a_single_function_goes_in_one_step(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2, "beta")
    _deploy(stage.context())
    assert _versions(stage) == {"alpha": 1, "beta": 2}
    assert _sent(stage, "stage", "deploy") == ["stage", "stage", "deploy"]
