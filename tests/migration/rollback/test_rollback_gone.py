"""Commits that git no longer has: force-pushed away and collected. What can be done is done, and what cannot is named
once; what is printed reaches an end."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from migration.base.command import Chain, Command, Do, Shell
from migration.base.errors import Refused
from migration.deploy import deploy, plan
from migration.inspect import status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.rollback.result import RollbackResult
from migration.rollback.rollback import RollbackOptions
from tests.support import crash, repos, scene
from tests.support.scene import Scene, index, text

pytestmark = pytest.mark.slow

PACE = crash.QUICK
ONCE = 4  # commands that are followed before a sequence counts as endless


@pytest.fixture(autouse=True)
def _warm(tmp_path: Path, deno_state: Path) -> None:
    state = tmp_path / "root" / ".cutover"
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (deno_state / name).mkdir(exist_ok=True)
        (state / name).symlink_to(deno_state / name)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 deployed, version 2 on the branch; one function, so that a change is one request."""
    made = scene.make(tmp_path, sandbox, ("alpha",))
    _deploy(made)
    made.change(2)
    return made


def _deploy(stage: Scene, **more: object) -> None:
    options = deploy.DeployOptions(**{"yes": True, "gate": False, "pace": PACE, **more})  # type: ignore[arg-type]
    assert deploy.run(stage.context(), options).exit_code == 0


def _rollback(stage: Scene, **more: object) -> RollbackResult:
    return rollback.run(stage.context(), RollbackOptions(pace=PACE, overwrites=True, **more))  # type: ignore[arg-type]


def _gone(stage: Scene, tip: str, keep: bool = False) -> None:
    """Force-push the branch to another commit, collect what nothing names, and clone anew (unless `keep`)."""
    remote = stage.folder / "remote.git"
    repos.git(stage.app, "push", "--quiet", "--force", "origin", f"{tip}:refs/heads/main")
    repos.git(remote, "reflog", "expire", "--expire=now", "--all")
    repos.git(remote, "gc", "--quiet", "--prune=now")
    if not keep:
        shutil.rmtree(stage.app)
        repos.clone(remote, stage.app)


def _anew(stage: Scene) -> str:
    """A first commit with the files of the checkout, as a rewritten history has it."""
    return repos.git(stage.app, "commit-tree", "HEAD^{tree}", "-m", "All anew")


def _live(stage: Scene) -> str:
    files = stage.context().supabase.body("alpha").files
    return next(data.decode() for path, data in files.items() if path.endswith("alpha/index.ts"))


def _followed(stage: Scene) -> list[str]:
    """The commands that `status` prints, typed until it prints none that changes anything."""
    typed: list[str] = []
    while len(typed) <= ONCE:
        plan.make(stage.context())
        steps = [one for one in status.run(stage.context()).next if not isinstance(one, Do)]
        last = steps[0].parts if steps and isinstance(steps[0], Chain) else steps[:1]
        if not last or (isinstance(last[-1], Command) and last[-1].verb in ("checks", "plan")):
            return typed
        typed.append(str(steps[0]))
        for part in last:
            _type(stage, part)
    raise AssertionError(f"no end: {typed}")


def _type(stage: Scene, part: object) -> None:
    if isinstance(part, Shell):
        subprocess.run(part.line, shell=True, check=True, cwd=stage.folder, capture_output=True)
    elif isinstance(part, Command) and part.verb == "rollback":
        _rollback(stage)
    elif isinstance(part, Command) and part.verb == "deploy":
        flags = {name.replace("-", "_"): value for name, value in part.flags if name != "plan"}
        _deploy(stage, **flags)


@pytest.mark.parametrize("how", ["restored only", "killed when live"])
def test_deployed_commit_gone(stage: Scene, how: str) -> None:
    """The service is restored; the branch holds that code already, and so nothing is left to do."""
    first = repos.git(stage.app, "rev-parse", "HEAD~1")
    if how == "restored only":
        _deploy(stage)
        assert _rollback(stage, restore_only=True).exit_code in (0, 4)
    else:
        assert crash.run(stage, "deploy.sent=kill") == -9
    _gone(stage, first)
    assert _followed(stage) == ([] if how == "restored only" else ["inv rollback"])
    assert _live(stage) == text(1)
    newest = stage.context().ledger.history().newest
    assert newest and (how == "restored only" or (newest.revert and newest.revert["state"] == "already"))
    assert "no longer in git" not in status.run(stage.context()).message


def test_revert_impossible_said_once(stage: Scene) -> None:
    """The branch has other code than what is live again, and the commit to revert is gone: named, with what to do,
    and not asked for again; once the branch holds what is live, a rollback closes the record."""
    _deploy(stage)
    gone = repos.git(stage.app, "rev-parse", "HEAD~1")
    _gone(stage, _anew(stage))
    done = _rollback(stage)
    assert done.exit_code == 5 and _live(stage) == text(1)
    assert done.revert and done.revert.state == "lost" and gone[:9] in done.message, done.message
    assert "main differs from what is live again: alpha" in done.message
    assert "inv plan --diff" in [str(step) for step in done.next]
    shown = status.run(stage.context())
    assert "it no longer has the commit to revert" in shown.message and "inv rollback" not in [
        str(step) for step in shown.next
    ]
    again = _rollback(stage)
    assert again.exit_code == 5 and again.revert and again.revert.state == "lost"
    assert "inv rollback" not in [str(step) for step in again.next]
    stage.change(1)
    last = _rollback(stage)
    assert last.exit_code in (0, 4) and last.revert and last.revert.state == "already", last.message


def test_lost_commit_found_again(stage: Scene) -> None:
    """A clone that still has the commits does the git half after all."""
    _deploy(stage)
    kept = stage.folder / "kept"
    shutil.copytree(stage.app, kept)
    _gone(stage, _anew(stage))
    assert _rollback(stage).exit_code == 5
    shutil.rmtree(stage.app)
    shutil.copytree(kept, stage.app)
    done = _rollback(stage)
    assert done.revert is not None and done.revert.state != "lost", done.message


def test_first_deployment_without_base(tmp_path: Path, sandbox: Running) -> None:
    """Nothing was before the first deployment and app.base is not set: said once, and done where it is set later."""
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    first = repos.git(stage.app, "rev-parse", "HEAD")
    stage.change(2)
    _deploy(stage)
    done = _rollback(stage)
    assert done.exit_code == 5 and "app.base in config.yaml is not set" in done.message
    assert any(isinstance(step, Do) and "set app.base" in str(step) for step in done.next)
    assert "inv rollback" not in [str(step) for step in status.run(stage.context()).next]
    named = scene.Scene(tmp_path, sandbox, {"app": {"path": str(stage.app), "base": first}}, stage.functions)
    again = _rollback(named)
    assert again.revert is not None and again.revert.state != "lost", again.message


@pytest.mark.parametrize("downloaded", [True, False], ids=["downloaded here", "another machine"])
def test_former_commit_gone(stage: Scene, downloaded: bool) -> None:
    """What was live comes from this machine's download of it; without one the rollback refuses, and names the commit
    and what can be done."""
    _deploy(stage)
    first = repos.git(stage.app, "rev-parse", "HEAD~1")
    _gone(stage, _anew(stage))
    if not downloaded:
        shutil.rmtree(stage.folder / "root/.cutover/bodies")
        with pytest.raises(Refused) as refusal:
            _rollback(stage)
        assert first[:9] in refusal.value.message and "no longer in git" in refusal.value.message
        assert [str(step) for step in refusal.value.steps][-1] == "inv plan --diff"
        assert _live(stage) == text(2)
        return
    assert _rollback(stage).exit_code == 5
    assert _live(stage) == text(1)
    _followed(stage)


def test_former_commit_rewritten(stage: Scene) -> None:
    """Where the checkout has the very source that was live before, it is restored from there."""
    _deploy(stage)
    repos.git(stage.app, "checkout", "--quiet", "HEAD~1")
    _gone(stage, _anew(stage))
    shutil.rmtree(stage.folder / "root/.cutover/bodies")
    done = _rollback(stage)
    assert _live(stage) == text(1)
    assert done.revert and done.revert.state == "already", done.message


def test_hold_and_revert_gone(stage: Scene) -> None:
    """The held commit and its revert are gone: the source is still held by its digest, and lifting the hold deploys."""
    _deploy(stage)
    _rollback(stage)
    _gone(stage, _anew(stage))
    assert "alpha" in str(plan.make(stage.context()).hold)
    assert _followed(stage) == ["inv deploy --lift-hold 'why it is safe now'"]
    assert _live(stage) == text(2)


def test_unreachable_commit_by_id(stage: Scene) -> None:
    """A commit that no branch holds, and that the remote still gives by its id, is fetched: nothing is lost."""
    _deploy(stage)
    remote = stage.folder / "remote.git"
    repos.git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    repos.git(stage.app, "push", "--quiet", "--force", "origin", f"{_anew(stage)}:refs/heads/main")
    shutil.rmtree(stage.app)
    repos.clone(f"file://{remote}", stage.app)
    done = _rollback(stage)
    assert done.revert and done.revert.state == "pushed", done.message
    assert repos.git(remote, "show", f"main:{index('alpha')}") + "\n" == text(1)


def test_plan_names_lost_base(stage: Scene) -> None:
    """A base that is gone is not said to come with a fetch."""
    _deploy(stage)
    repos.git(stage.app, "checkout", "--quiet", "HEAD~1")
    _gone(stage, _anew(stage))
    notes = " ".join(plan.make(stage.context()).notes)
    assert "no longer in git" in notes and "--unshallow" not in notes
