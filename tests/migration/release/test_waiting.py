"""Code that was staged and never went live is not called clean: whoever meets it next would be refused."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from migration import deploy, rollback, status
from migration.rehearsal.server import Running
from migration.release.outcome import DeployResult
from tests.support import crash, scene
from tests.support.scene import Scene

WAITS = (
    "A version of alpha, beta may wait on the platform: the next inv deploy activates it first; the Supabase CLI is "
    "refused until then."
)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 is deployed, version 2 is committed and pushed."""
    made = scene.deployed(tmp_path, sandbox)
    made.change(2)
    return made


def _deploy(stage: Scene, **more: Any) -> DeployResult:
    return deploy.run(stage.context(), **{"yes": True, "gate": False, "pace": crash.QUICK, **more})


def _staged_and_stopped(stage: Scene) -> None:
    """Both uploads have arrived, and no answer has, when the signal comes."""
    stage.running.fault("stage", "hang", hold=8.0, times=2, applied=True)
    known = len(stage.running.history(operation="stage"))
    child = crash.start(stage, "")
    end = time.monotonic() + 30
    while len(stage.running.history(operation="stage")) < known + 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGHUP)
    child.join(20)
    assert child.exitcode == 5


def test_a_version_that_may_wait_is_named_until_something_newer_is_live(stage: Scene) -> None:
    _staged_and_stopped(stage)
    told = status.run(stage.context())
    assert told.exit_code == 5 and told.message.endswith(f"nothing of it went live. {WAITS}")
    assert WAITS not in told.notes
    done = rollback.run(stage.context(), pace=crash.QUICK)
    assert done.exit_code == 0 and f"there is nothing to roll back. {WAITS}" in done.message
    told = status.run(stage.context())
    assert told.exit_code == 0 and WAITS in told.notes
    assert WAITS in rollback.run(stage.context(), pace=crash.QUICK).message
    stage.running.heal()
    assert _deploy(stage).exit_code == 0
    assert not any("may wait" in note for note in status.run(stage.context()).notes)


def test_of_a_single_function_no_version_ever_waits(stage: Scene) -> None:
    stage.commit({scene.index("beta"): scene.text(1)})
    assert crash.run(stage, "deploy.send") == -9
    told = status.run(stage.context())
    assert told.exit_code == 5 and "may wait" not in told.message
