"""What stands in the way of a deploy is told before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.deploy import deploy
from migration.rehearsal.server import Running
from tests.support import repos, scene
from tests.support.scene import index, text


@pytest.mark.parametrize("bit", ["skip-worktree", "assume-unchanged"])
def test_a_file_that_git_was_told_not_to_look_at_is_looked_at(tmp_path: Path, sandbox: Running, bit: str) -> None:
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    repos.git(stage.app, "update-index", f"--{bit}", index("alpha"))
    (stage.app / index("alpha")).write_text(text("never committed"))
    with pytest.raises(Refused, match=f"git is set to ignore that: {index('alpha')}") as refused:
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    assert f"update-index --no-{bit}" in refused.value.hint
