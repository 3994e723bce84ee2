"""A git remote that does not take our credentials stops a deploy, and neither reading nor putting a service back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migration.base.errors import CutoverError, ServiceFailed
from migration.deploy import deploy, plan
from migration.git.giterrors import Denied, HostRefuses
from migration.inspect import history, status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.rollback.rollback import RollbackOptions
from tests.support import git_http, repos, scene
from tests.support.git_http import Faults
from tests.support.scene import Scene, text

pytestmark = pytest.mark.slow

REFUSED = "does not accept our credentials"


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 was live, version 2 is."""
    found = scene.deployed(tmp_path, sandbox, ("alpha",))
    found.change(2)
    assert deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    return found


@pytest.fixture
def faults(stage: Scene) -> Iterator[Faults]:
    """The app's remote over HTTP, and what that refuses."""
    repos.git(stage.folder / "remote.git", "config", "http.receivepack", "true")
    with git_http.serve(stage.folder) as (address, found):
        repos.git(stage.app, "remote", "set-url", "origin", f"{address}/remote.git")
        yield found


def _live(stage: Scene) -> str:
    [data] = stage.context().supabase.body("alpha").files.values()
    return data.decode()


def test_who_only_reads_goes_on_from_what_was_last_known_and_says_why(stage: Scene, faults: Faults) -> None:
    faults.deny = "all"
    told = status.run(stage.context())
    assert [row.version for row in told.functions] == [2] and told.exit_code == 0
    made = plan.make(stage.context())
    assert [item.action for item in made.functions] == ["same"]
    past = history.run(stage.context())
    assert len(past.deployments) == 2
    for said in (told.notes, made.notes, [past.message]):
        [line] = [line for line in said if REFUSED in line]
        assert "last read it" in line and f"git -C {stage.app} push --dry-run origin" in line


@pytest.mark.parametrize("deny", ["all", "push"])
def test_a_deploy_is_refused_whether_or_not_there_is_something_to_change(
    stage: Scene, faults: Faults, deny: str
) -> None:
    repos.git(stage.app, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
    faults.deny = "all"
    with pytest.raises(Denied, match=REFUSED):
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    faults.deny = ""
    stage.change(3)
    faults.deny = deny
    with pytest.raises(Denied) as caught:
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    assert caught.value.exit_code == 2 and _live(stage) == text(2)


@pytest.mark.parametrize(("deny", "words"), [("all", REFUSED), ("push", "lets us read but not push")])
def test_a_rollback_names_the_way_without_the_lock_and_goes_it(
    stage: Scene, faults: Faults, deny: str, words: str
) -> None:
    faults.deny = deny
    with pytest.raises(Denied, match=words) as caught:
        rollback.run(stage.context())
    assert caught.value.exit_code == 2 and _live(stage) == text(2)
    assert caught.value.hint.splitlines()[-1] == "inv rollback --without-lock 'could not acquire the lock'"
    result = rollback.run(stage.context(), RollbackOptions(without_lock="the token has expired"))
    assert result.exit_code == 5 and _live(stage) == text(1) and result.restored_seconds is not None
    faults.deny = ""
    assert rollback.run(stage.context()).exit_code == 0
    told = repos.git(stage.folder / "remote.git", "log", "--format=%s", "refs/cutover/ledger/prod")
    assert "the token has expired" in told and "rolled_back" in told


def test_a_host_that_takes_no_such_refs_does_not_stop_a_rollback_either(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = stage.context()
    goal = context.ledger.history().deployments[0].id

    def check() -> None:
        raise HostRefuses("The git host refuses refs/cutover/probe.")

    monkeypatch.setattr(context.ledger.refs, "check", check)
    with pytest.raises(HostRefuses, match="The service can be restored without it") as caught:
        rollback.run(context, RollbackOptions(to=goal))
    assert caught.value.hint == f"inv rollback --to {goal} --without-lock 'could not acquire the lock'"
    assert isinstance(caught.value, CutoverError) and caught.value.exit_code == 2


def test_rejected_writes_end_deploy_and_rollback(stage: Scene) -> None:
    """A stale lock file on the host ends both verbs with its name, and the rollback with the way round it."""
    stale = stage.folder / "remote.git/refs/cutover/lock/prod.lock"
    stale.parent.mkdir(exist_ok=True)
    stale.touch()
    with pytest.raises(ServiceFailed, match=r"rejected every write: .*prod\.lock") as caught:
        rollback.run(stage.context(clock=scene.Hurried()))
    assert caught.value.hint.splitlines()[-1].startswith("inv rollback --without-lock ")
    stage.change(3)
    with pytest.raises(ServiceFailed, match=r"rejected every write: .*prod\.lock"):
        deploy.run(stage.context(clock=scene.Hurried()), deploy.DeployOptions(yes=True, gate=False))
    assert _live(stage) == text(2)
