"""Code that was staged and never went live is not called clean: whoever meets it next would be refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from migration.deploy import deploy
from migration.deploy.result import DeployResult
from migration.inspect import status
from migration.rollback import rollback
from tests.support import crash, drawn, scene
from tests.support.edge import until
from tests.support.scene import Scene

pytestmark = pytest.mark.slow

WAITS = (
    "A version of alpha, beta may be staged on the platform: the next inv deploy activates it first; until then the "
    "Supabase CLI gets 409."
)


def _deploy(stage: Scene, **more: Any) -> DeployResult:
    return deploy.run(
        stage.context(), deploy.DeployOptions(**{"yes": True, "gate": False, "pace": crash.QUICK, **more})
    )


def _staged_and_stopped(stage: Scene) -> None:
    """Both uploads have arrived, and no answer has, when the signal comes."""
    stage.running.fault("stage", "hang", hold=8.0, times=2, applied=True)
    known = len(stage.running.history(operation="stage"))
    child = crash.start(stage, "")
    until(lambda: sum(bool(entry["effect"]) for entry in stage.running.history(operation="stage")[known:]) == 2)
    os.kill(child.pid, signal.SIGHUP)
    child.join(20)
    assert child.exitcode == 5


def test_a_version_that_may_wait_is_named_until_something_newer_is_live(stage: Scene) -> None:
    _staged_and_stopped(stage)
    seen = status.run(stage.context())
    assert seen.exit_code == 5 and seen.message.endswith(f"nothing of it went live. {WAITS}")
    assert WAITS not in seen.notes
    done = rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK))
    assert done.exit_code == 0 and done.message.startswith("Nothing to roll back") and WAITS in done.message
    seen = status.run(stage.context())
    assert seen.exit_code == 0 and WAITS in seen.notes
    assert WAITS in rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK)).message
    stage.running.heal()
    assert _deploy(stage).exit_code == 0
    assert not any("may wait" in note for note in status.run(stage.context()).notes)


def test_of_a_single_function_no_version_ever_waits(stage: Scene) -> None:
    stage.commit({scene.index("beta"): scene.text(1)})
    assert crash.run(stage, "deploy.send") == -9
    seen = status.run(stage.context())
    assert seen.exit_code == 5 and "may wait" not in seen.message


def test_a_rollback_says_for_how_long_the_staged_version_answered(stage: Scene) -> None:
    assert crash.run(stage, "record.staged.after") == -9
    name = stage.context().ledger.history().interrupted
    assert name is not None
    done = rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK))
    assert done.exit_code == 0, done.message
    assert [note for note in done.notes if f"alpha, beta that {name.id} had staged was live for " in note], done.notes
    record = _outcome(stage, str(done.deployment and done.deployment.id))
    assert record["new_code_seconds"] == record["waited"][0]["seconds"] > 0


def test_a_rollback_that_settled_and_could_not_restore_is_not_called_untouched(stage: Scene) -> None:
    assert crash.run(stage, "record.staged.after") == -9
    stage.running.fault("stage", "status", status=400, body={"message": "no"}, times=0)
    done = rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK))
    assert done.exit_code == 5 and "not finished" in done.message
    assert status.run(stage.context()).exit_code == 5
    stage.running.heal()
    assert rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK)).exit_code == 0


def test_a_deploy_says_for_how_long_what_another_one_left_answered(stage: Scene) -> None:
    _staged_and_stopped(stage)
    stage.running.heal()
    first = stage.context().ledger.history().interrupted
    assert first is not None
    stage.change(3)
    done = _deploy(stage)
    assert done.exit_code == 0, done.message
    assert [note for note in done.notes if f"alpha, beta that {first.id} had staged was live for " in note], done.notes
    record = _outcome(stage, done.deployment.id)
    assert record["new_code_seconds"] == 0 and record["waited"][0]["seconds"] > 0
    assert done.notes[0] in drawn.drawn("deploy", done)


def _outcome(stage: Scene, name: str) -> Mapping[str, Any]:
    records = stage.context().ledger.history().records
    return next(one for one in records if one.get("deployment") == name and one["record"] == "outcome")
