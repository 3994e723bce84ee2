"""Where a run keeps its files, also where it may not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.context import _refuse_absent_submodule, temporary, writable
from migration.git.giterrors import SHUT, ReadOnly, translate
from migration.inspect import history, status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.support import scene


@pytest.fixture(autouse=True)
def folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(found))
    return found


def test_writable_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert writable(tmp_path / "not" / "there") and not (tmp_path / "not").exists()
    assert not writable(tmp_path / "file") and not writable(tmp_path / "file" / ".cutover")


def test_temporary_folder_is_ours(tmp_path: Path) -> None:
    """It is the same in each run, unless another user could write there."""
    first = temporary(tmp_path / "a")
    assert first == temporary(tmp_path / "a") != temporary(tmp_path / "b") and first.stat().st_mode & 0o777 == 0o700
    first.chmod(0o777)
    assert temporary(tmp_path / "a") != first
    first.rmdir()
    first.symlink_to(tmp_path / "temporary")
    assert temporary(tmp_path / "a") != first


def test_a_submodule_that_is_not_checked_out(tmp_path: Path) -> None:
    """git takes its empty folder for a part of the repository above, whose remote holds no ledger of ours."""
    above, app = tmp_path / "above", tmp_path / "above" / "apps" / "own app"
    app.mkdir(parents=True)
    _refuse_absent_submodule(app)
    (above / ".gitmodules").write_text('[submodule "x"]\n\tpath = apps/own app\n\turl = x\n')
    for path in (app, app / "functions"):
        with pytest.raises(Refused, match="own app is a git submodule that is not checked out") as refused:
            _refuse_absent_submodule(path)
        assert refused.value.hint == f"git -C {above} submodule update --init 'apps/own app'"
    (app / "file").touch()
    _refuse_absent_submodule(app)


def test_verbs_without_a_writable_state_folder(tmp_path: Path, sandbox: Running) -> None:
    """Each works, and says once where its files are."""
    stage = scene.deployed(tmp_path, sandbox, ("alpha",))
    state = stage.context().state
    if state.exists():
        state.rename(tmp_path / "moved")
    state.parent.mkdir(exist_ok=True)
    state.touch()  # as a read-only one: even root cannot make files in it
    context = stage.context()
    assert status.run(context).exit_code == 0 and history.run(stage.context()).exit_code == 0
    warned = [event[3] for event in context.observer.events if "Cannot write to" in event[3]]  # type: ignore[attr-defined]
    assert len(warned) == 1 and str(context.state) in warned[0] and context.state.is_dir()
    assert list(context.state.iterdir())


def test_read_only_clone_names_the_way_round(tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback needs no commit to restore the service."""
    words = "fatal: could not open 'objects/x': Read-only file system"
    error = translate("commit-tree", words, tmp_path)
    assert isinstance(error, ReadOnly) and isinstance(error, SHUT)
    stage = scene.deployed(tmp_path, sandbox, ("alpha",))
    context = stage.context()
    goal = context.ledger.history().deployments[0].id

    def check() -> None:
        raise error

    monkeypatch.setattr(context.ledger.refs, "check", check)
    with pytest.raises(ReadOnly, match="The service can be restored without it") as caught:
        rollback.run(context, rollback.RollbackOptions(to=goal))
    assert "--without-lock" in caught.value.hint
