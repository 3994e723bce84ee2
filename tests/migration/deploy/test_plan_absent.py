"""A function whose creation was rolled back is nowhere, and stands in nobody's way; a mistyped name does."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.base.plain import plain
from migration.deploy import deploy, plan
from migration.inspect import diagnose_functions, status
from migration.inspect.examination import Examination
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.support import repos, scene
from tests.support.scene import Scene, index, text

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """alpha is live; beta was created by a deployment that a rollback took back, in git too."""
    found = scene.make(tmp_path, sandbox)
    found.commit({index("beta"): None}, "Without beta")
    assert deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False, only=["alpha"])).exit_code == 0
    found.commit({index("beta"): text(1)}, "Create beta")
    assert deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    result = rollback.run(found.context())
    assert result.revert is not None and result.revert.pushed
    repos.git(found.app, "pull", "--quiet", "--ff-only")
    assert not (found.app / index("beta")).exists()
    return found


def test_what_a_rollback_deleted_is_the_same_as_nothing(stage: Scene) -> None:
    made = plan.make(stage.context())
    assert {item.slug: item.action for item in made.functions} == {"alpha": "same", "beta": "same"}
    [_, beta] = plain(made)["functions"]
    assert beta["why"] == "it is neither in the app nor on the platform" and beta["files"] == []
    assert beta["live_version"] is None and beta["restorable"] == ""
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    assert {row.slug: row.git for row in status.run(stage.context()).functions}["beta"] == "same"
    assert "beta" not in {found.subject for found in diagnose_functions.find(Examination(stage.context()))}


def test_the_other_function_can_be_mended_and_the_deleted_one_created_again(stage: Scene) -> None:
    stage.change(2, "alpha")
    result = deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    assert result.exit_code == 0 and [one.slug for one in result.deployment.functions] == ["alpha"]
    assert rollback.run(stage.context()).exit_code == 0
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    stage.commit({index("beta"): text(3)}, "Create beta again")
    assert {item.slug: item.action for item in plan.make(stage.context()).functions}["beta"] == "create"


def test_a_name_that_was_never_deployed_is_refused(stage: Scene) -> None:
    stage.functions = ("alpha", "betta")
    with pytest.raises(Refused, match=r"betta: supabase/functions/betta/index\.ts does not exist\."):
        plan.make(stage.context())


def test_a_function_that_is_gone_from_the_files_and_still_live_is_refused_and_said_to_be_live(stage: Scene) -> None:
    stage.commit({index("alpha"): None}, "Remove alpha")
    with pytest.raises(Refused, match="and v1 is still live") as caught:
        plan.make(stage.context())
    assert caught.value.hint.splitlines()[-1] == f"git -C {stage.app} log --oneline -- {index('alpha')}"
