"""A git remote that takes a push and never answers: every verb ends, and says what was asked of whom."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from migration.base.errors import CutoverError
from migration.deploy import deploy
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.rollback.rollback import RollbackOptions
from tests.support import crash, repos, scene
from tests.support.scene import Scene

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Scene:
    found = scene.deployed(tmp_path, sandbox, functions=("alpha",))
    monkeypatch.setattr("migration.git.repository.NETWORK", 3.0)
    monkeypatch.setattr("migration.git.repository.SILENT", 1.0)
    monkeypatch.setattr("migration.ledger.lock.PATIENCE", 4.0)
    monkeypatch.setattr("migration.ledger.ledger.PATIENCE", 4.0)
    return found


def _hang(stage: Scene, name: str) -> None:
    hook = stage.folder / "remote.git" / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec sleep 120\n")
    hook.chmod(0o755)


def test_a_push_hook_that_hangs_ends_a_deploy(stage: Scene) -> None:
    """All tries of taking the lock end within its patience; nothing was changed."""
    stage.change(2)
    _hang(stage, "pre-receive")
    began = time.monotonic()
    with pytest.raises(CutoverError, match="The git remote origin did not answer git push within"):
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK))
    assert time.monotonic() - began < 40
    assert [one.version for one in stage.context().supabase.functions()] == [1]


def test_a_push_hook_that_hangs_does_not_keep_a_service_from_its_restore(stage: Scene) -> None:
    stage.change(2)
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK))
    _hang(stage, "pre-receive")
    began = time.monotonic()
    with pytest.raises(CutoverError, match="did not answer git push") as caught:
        rollback.run(stage.context(), RollbackOptions(pace=crash.QUICK))
    assert "--without-lock" in caught.value.hint
    result = rollback.run(stage.context(), RollbackOptions(without_lock="the host hangs", pace=crash.QUICK))
    assert time.monotonic() - began < 80
    assert result.restored_seconds is not None and result.exit_code == 5
    assert repos.git(stage.folder / "remote.git", "log", "-1", "--format=%s", "main") == "Version 2"
