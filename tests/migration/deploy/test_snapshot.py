"""What was live can be had again, from git where git has it, and else from what was kept for every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused, Unfinished
from migration.clients.supabase_types import Upload
from migration.deploy import deploy, plan, snapshot
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.rollback.rollback import RollbackOptions
from migration.source import snapshots
from migration.source.source import Source
from tests.support import crash, repos, scene
from tests.support.scene import Scene, index, text

PNG = b"\x89PNG\r\n\x00\xff"


@pytest.fixture
def live(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.deployed(tmp_path, sandbox)


def _drift(stage: Scene) -> None:
    about = {"entrypoint_path": index("alpha"), "import_map_path": "", "static_patterns": [], "name": "alpha"}
    stage.context().supabase.deploy(Upload("alpha", about, [(index("alpha"), text("theirs").encode())]))


def _texts(stage: Scene) -> set[str]:
    context = stage.context()
    return {body.decode() for slug in stage.functions for body in context.supabase.body(slug).files.values()}


def test_a_kept_snapshot_is_the_same_from_another_clone(live: Scene, tmp_path: Path) -> None:
    kept = Source("alpha", index("alpha"), {index("alpha"): b"x", "a b/ü.png": PNG}, "", ("a b/*",), False)
    ref = snapshots.keep(live.context(), kept.digest, kept)
    assert snapshots.keep(live.context(), kept.digest, kept) == ref
    other = live.context(app=repos.clone(live.folder / "remote.git", tmp_path / "elsewhere/app"), root="elsewhere-root")
    found = snapshots.stored(other, kept.digest)
    assert found == kept
    assert dict(found.files) == dict(kept.files)


def test_a_snapshot_that_was_never_kept_is_refused(live: Scene) -> None:
    with pytest.raises(Refused, match="neither in git nor in"):
        snapshots.stored(live.context(), "0" * 64)


def test_drift_that_was_overwritten_comes_back_from_a_machine_without_any_state(live: Scene, tmp_path: Path) -> None:
    _drift(live)
    live.change(2)
    made = plan.make(live.context())
    assert (
        deploy.run(live.context(), deploy.DeployOptions(plan_hash=made.hash, gate=False, pace=crash.QUICK)).exit_code
        == 0
    )
    assert _texts(live) == {text(2)}
    other = live.context(app=repos.clone(live.folder / "remote.git", tmp_path / "elsewhere/app"), root="elsewhere-root")
    rollback.run(other, RollbackOptions(restore_only=True, pace=crash.QUICK))
    assert _texts(live) == {text("theirs"), text(1)}


def test_a_source_with_another_digest_than_recorded_is_not_sent(live: Scene) -> None:
    live.change(2)
    deploy.run(live.context(), deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK))
    context = live.context()
    deployment = context.ledger.history().newest
    assert deployment is not None
    assert set(snapshot.restorer(context, deployment, ["alpha"])) == {"alpha"}
    change = deployment.change("alpha")
    assert change is not None
    assert change.before is not None
    change.before["source_digest"] = "0" * 64  # type: ignore[index]
    with pytest.raises(Refused, match="differs from the recorded digest"):
        snapshot.restorer(context, deployment, ["alpha"])


def test_a_body_is_downloaded_once_for_each_version(live: Scene) -> None:
    context = live.context()
    function = context.supabase.function("alpha")
    assert function is not None
    before = len(live.running.history(operation="body"))
    assert snapshots.download(context, function) == snapshots.download(live.context(), function)
    assert len(live.running.history(operation="body")) == before + 1


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_restore_is_finished_by_rollback(tmp_path: Path, sandbox: Running) -> None:
    case = {"name": "answers", "function": "alpha", "auth": "none", "method": "GET", "expect": {"status": 200}}
    stage = scene.deployed(tmp_path, sandbox, gate={"delay": "0s", "within": "8s"}, smoke=[case])
    stage.change("broken")
    stage.commit({index("alpha"): 'throw new Error("no start");'})
    assert crash.run(stage, "record.staged.after:2", gate=True) == -9
    with pytest.raises(Unfinished, match="was restoring") as caught:
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, pace=crash.QUICK))
    assert caught.value.hint == "inv rollback"
    rollback.run(stage.context(), RollbackOptions(restore_only=True, pace=crash.QUICK))
    assert _texts(stage) == {text(1)}
    assert stage.context().ledger.history().interrupted is None
