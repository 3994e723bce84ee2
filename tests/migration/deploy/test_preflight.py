"""What stands in the way of a deploy is told before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from migration.base.errors import Refused
from migration.deploy import deploy, plan
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


@pytest.mark.parametrize("kind", ["file", "folder", "function"])
def test_symlinks_inside_the_app_are_followed(kind: str, tmp_path: Path, sandbox: Running) -> None:
    """Git keeps the link's text under its name: the file behind it decides whether anything is uncommitted."""
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    folder = stage.app / "supabase/functions/alpha"
    (stage.app / "shared").mkdir()
    (stage.app / "shared/cors.ts").write_text("export const cors = 1;")
    imported = {"file": "./cors.ts", "folder": "./lib/cors.ts", "function": "../../../shared/cors.ts"}[kind]
    (folder / "index.ts").write_text(text(2, f'import "{imported}";'))
    if kind == "file":
        (folder / "cors.ts").symlink_to("../../../shared/cors.ts")
    elif kind == "folder":
        (folder / "lib").symlink_to("../../../shared")
    else:
        (stage.app / "elsewhere").mkdir()
        folder.rename(stage.app / "elsewhere/alpha")
        folder.symlink_to("../../elsewhere/alpha")
    stage.commit({})
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).deployment.outcome == "ungated"
    (stage.app / "shared/cors.ts").write_text("export const cors = 2;")
    with pytest.raises(Refused, match=r"function files are not committed: shared/cors\.ts"):
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))


def test_a_mapped_folder_with_ignored_files_is_clean(tmp_path: Path, sandbox: Running) -> None:
    """No hint ever says to commit a file of secrets."""
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    stage.commit(
        {
            ".gitignore": ".env.local\n",
            "src/a.ts": "",
            "src/page.tsx": "",
            "supabase/functions/alpha/deno.json": '{"imports":{"~/":"../../../"}}',
            index("alpha"): text(2, 'import "~/src/a.ts";'),
        }
    )
    (stage.app / "src/.env.local").write_text("KEY=1")
    (stage.app / "src/page.tsx").write_text("changed, and in no function")
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).deployment.outcome == "ungated"
    assert not any(".env" in path or ".git/" in path for path in stage.context().supabase.body("alpha").files)


def test_a_branch_that_the_remote_lacks_is_named(tmp_path: Path, sandbox: Running) -> None:
    """`git push` alone would push another branch for ever: the way is app.branch, or the branch by its name."""
    stage = scene.make(tmp_path, sandbox)
    stage.commit({index(slug): text(2) for slug in stage.functions})
    context = stage.context()
    context.config = structs.replace(context.config, app=structs.replace(context.config.app, branch="trunk"))
    with pytest.raises(Refused, match="origin has no branch trunk") as refused:
        deploy.run(context, deploy.DeployOptions(yes=True, gate=False))
    assert str(refused.value.steps[0]).startswith("set app.branch")
    push = str(refused.value.steps[-1])
    assert push.endswith("push origin HEAD:refs/heads/trunk")
    repos.git(stage.app, "checkout", "--quiet", "--detach")
    assert " push origin HEAD:refs/heads/trunk && " in str(plan.make(context).next[-1]), "git knows no other name of it"
    repos.git(stage.app, *push.split()[3:])
    assert deploy.run(context, deploy.DeployOptions(yes=True, gate=False)).exit_code == 0


@pytest.mark.parametrize("where", ["detached", "another branch", "diverged"])
def test_the_printed_push_reaches_the_branch(where: str, tmp_path: Path, sandbox: Running) -> None:
    """A plain `git push` fails from a detached HEAD, and from another branch it pushes that one."""
    stage = scene.make(tmp_path, sandbox)
    if where == "diverged":
        stage.commit({"README.md": "theirs\n"})
        repos.git(stage.app, "reset", "--quiet", "--hard", "HEAD~1")
    else:
        repos.git(stage.app, "checkout", "--quiet", *(["--detach"] if where == "detached" else ["-b", "feature"]))
    (stage.app / index("alpha")).write_text(text(2))
    with pytest.raises(Refused, match="not committed") as refused:
        deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    assert str(refused.value.steps[0]).endswith(" push origin HEAD:main")
    stage.commit({}, push=False)
    for _ in range(2 if where == "diverged" else 1):
        with pytest.raises(Refused, match="not pushed") as refused:
            deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
        repos.git(stage.app, *str(refused.value.steps[0]).split()[3:])
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
