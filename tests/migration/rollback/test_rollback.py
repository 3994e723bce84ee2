"""A rollback puts the service back first, then makes git agree, and says what it left alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base import interrupts
from migration.base.errors import Interrupted, Refused, Unfinished, Unreachable
from migration.base.secrets_type import Secret
from migration.cli.sink import one_line
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy, plan
from migration.deploy.result import DeployResult
from migration.deploy.staging import Pace
from migration.git.giterrors import Denied
from migration.inspect import doctor, history, status
from migration.rehearsal.server import Running
from migration.rollback import plan as rollback_plan
from migration.rollback import rollback
from migration.rollback.result import RollbackResult
from migration.rollback.rollback import RollbackOptions
from migration.source import reader, snapshots
from tests.support import crash, drawn, git_http, repos, scene, sources
from tests.support.scene import Scene, index, text

QUICK = Pace(upload=10.0, retry=2.0, limited=2.0, activate=2.0, wait=0.02, longest=0.1)
GATE = {"delay": "0s", "within": "20s"}


def later(name: str) -> Any:
    """A case for the long run: the ordinary one has its like."""
    return pytest.param(name, marks=pytest.mark.long)


@pytest.fixture(autouse=True)
def _warm(tmp_path: Path, deno_state: Path) -> None:
    """Deno's caches are shared by all tests; everything else that a machine knows is each test's own."""
    state = tmp_path / "root" / ".cutover"
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (deno_state / name).mkdir(exist_ok=True)
        (state / name).symlink_to(deno_state / name)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.make(tmp_path, sandbox, gate=GATE)


def _deploy(context: Context, **more: Any) -> DeployResult:
    return deploy.run(context, deploy.DeployOptions(**{"yes": True, "gate": False, "pace": QUICK, **more}))


def _rollback(
    context: Context, confirm: Callable[[rollback.RollbackPlan], bool] = lambda _: True, **options: Any
) -> RollbackResult:
    return rollback.run(context, RollbackOptions(confirm=confirm, pace=QUICK, **options))


def _next(result: RollbackResult) -> list[str]:
    return [str(step) for step in result.next]


def _live(stage: Scene) -> dict[str, str]:
    """Slug to the text of the code that is live."""
    context = stage.context()
    return {one.slug: _text(context, one.slug) for one in context.supabase.functions()}


def _text(context: Context, slug: str) -> str:
    files = context.supabase.body(slug).files
    return next(data.decode() for path, data in files.items() if path.endswith(f"{slug}/index.ts"))


def _twice(stage: Scene) -> tuple[DeployResult, DeployResult]:
    first = _deploy(stage.context())
    stage.change(2)
    return first, _deploy(stage.context())


def _file(stage: Scene, path: str) -> str:
    return repos.git(stage.folder / "remote.git", "show", f"main:{path}") + "\n"


def _die(stage: Scene, where: str, work: str = "deploy") -> None:
    """Deploy or roll back in a process of its own that is killed at a failpoint."""
    assert crash.run(stage, where, verb=work) == -9, f"{where} was never visited"


@pytest.mark.slow
def test_a_renamed_function_comes_back_whole(stage: Scene) -> None:
    """A deploy and status name the old function, which stays live; the rollback of the new name brings its files back,
    and what follows is true of both."""
    _deploy(stage.context())
    stage.commit({index("alpha"): None, index("gamma"): text(1)}, "Rename alpha")
    stage.functions = ("gamma", "beta")
    made = plan.make(stage.context())
    left = "alpha v1 is still live, and config.yaml does not list it. Once nothing calls it: supabase functions delete "
    assert [note for note in made.notes if note.startswith(left)]
    done = _deploy(stage.context(), plan_hash=made.hash)
    assert len([note for note in done.notes if note.startswith(left)]) == 1, "the plan was not shown"
    assert [note for note in status.run(stage.context()).notes if note.startswith(left)]
    files = [index("alpha"), index("gamma")]
    assert list(rollback_plan.make(stage.context()).files) == files
    result = _rollback(stage.context())
    assert result.exit_code == 0 and result.message.startswith("Deleted gamma, which did not exist before, after ")
    assert _file(stage, index("alpha")) == text(1)
    assert str(status.run(stage.context()).next[0]) == "main holds what is live; to follow it:"
    held = [one for one in doctor.run(stage.context()).findings if one.subject != "other"]
    assert [one.kind for one in held] == ["hold"] and "gamma is in this checkout" in held[0].evidence
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    nothing = _deploy(stage.context())
    assert nothing.message == ("Nothing to deploy: gamma is neither in the app nor on the platform; "
                               "beta is live with this source.")  # fmt: skip
    assert [row.slug for row in status.run(stage.context()).functions] == ["gamma", "beta", "alpha"]
    stage.functions = ("alpha", "beta")
    assert [row.slug for row in status.run(stage.context()).functions] == ["alpha", "beta"], "gamma is nowhere"


@pytest.mark.slow
def test_what_git_needs_is_said_once(stage: Scene) -> None:
    """Where the branch holds the former files already, the plan does not announce a revert."""
    _twice(stage)
    stage.change(1)
    made = rollback_plan.make(stage.context())
    assert made.files == () and "Git needs no revert: main already holds the previous files." in made.notes
    repos.git(stage.app, "reset", "--quiet", "--hard", "HEAD~1")
    result = _rollback(stage.context())
    assert result.revert is not None and result.revert.state == "already" and result.exit_code == 0
    assert any("pull --ff-only origin main" in step for step in _next(result))


def test_what_stays_in_git_is_named(stage: Scene) -> None:
    """Files of the range that the rollback leaves alone, by name."""
    _deploy(stage.context())
    stage.commit({index("alpha"): text(2), "README.md": "more\n"}, "Version 2")
    _deploy(stage.context())
    notes = rollback_plan.make(stage.context()).notes
    assert any(note.startswith("Not undone in git: README.md, changed in the same range") for note in notes), notes


def test_an_interrupted_proof_names_what_is_done(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the revert was pushed: the rollback is done, and exit code 130 would say that nothing was."""
    _twice(stage)

    def interrupted(*_: object) -> None:
        raise Interrupted("SIGINT")

    monkeypatch.setattr(rollback, "prove", interrupted)
    with pytest.raises(Interrupted):
        _rollback(stage.context())
    left = interrupts.left()
    assert left.exit_code == 4 and left.message.startswith("The previous code is live again, after ")
    assert "pushed to main. Only the proof is missing." in left.message and str(left.steps[0]) == "inv status"


def test_the_former_code_is_live_again_and_git_agrees(stage: Scene) -> None:
    first, _ = _twice(stage)
    result = _rollback(stage.context())
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert result.deployment is not None and result.deployment.to == first.deployment.id
    assert result.revert is not None and result.revert.pushed
    assert _file(stage, index("alpha")) == text(1)
    assert f"revert --no-edit {str(result.revert.commit)[:12]} && git -C" in _next(result)[-1]
    assert "inv deploy --lift-hold" in _next(result)[-1]
    told = json.loads(one_line(result))
    assert told["revert"]["pushed"] and told["revert"]["commit"] and told["restored_seconds"] > 0
    assert [(row["after"]["version"], row["code_of"]) for row in told["deployment"]["functions"]] == [(3, 1), (3, 1)]
    assert drawn.drawn("rollback", result).count("v3 (code of v1)") == 2
    assert stage.context().lock.holder() is None
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    assert {item.action for item in plan.make(stage.context()).functions} == {"same"}


def test_the_first_deployment_goes_back_to_app_base(tmp_path: Path, sandbox: Running) -> None:
    stage = scene.make(tmp_path, sandbox, gate=GATE)
    base = repos.git(stage.app, "rev-parse", "HEAD")
    stage.settings = {**stage.settings, "app": {"path": str(stage.app), "base": base}}
    context = stage.context()
    for one in reader.whole(sources.attempts(context.app, stage.functions, context.state)).values():
        context.supabase.deploy(one.upload())
    stage.change(2)
    _deploy(stage.context())
    result = _rollback(stage.context())
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)} and _file(stage, index("beta")) == text(1)
    assert result.deployment is not None and result.deployment.to is None


def _first(stage: Scene) -> str:
    """A first deployment over code that the ledger knows nothing of, without app.base; the revision before it."""
    base = repos.git(stage.app, "rev-parse", "HEAD")
    context = stage.context()
    for one in reader.whole(sources.attempts(context.app, stage.functions, context.state)).values():
        context.supabase.deploy(one.upload())
    stage.change(2)
    _deploy(stage.context())
    return base


def _with_base(stage: Scene, base: str) -> None:
    stage.settings = {**stage.settings, "app": {"path": str(stage.app), "base": base}}


@pytest.mark.slow
def test_an_app_base_that_comes_late_ends_the_rollback_of_a_first_deployment(stage: Scene) -> None:
    base = _first(stage)
    result = _rollback(stage.context())
    assert result.exit_code == 5 and _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert result.revert is not None and "the revision that was live before is unknown" in result.revert.message
    assert _next(result)[-2:] == ["set app.base in config.yaml to the revision that was live before", "inv rollback"]
    for wrong, why in (("HEAD", "does not hold what is live again of alpha, beta"), ("v0", "is not a commit of")):
        _with_base(stage, wrong)
        again = _rollback(stage.context())
        assert again.exit_code == 5 and again.revert is not None and why in again.revert.message
        assert _file(stage, index("alpha")) == text(2)
    _with_base(stage, base)
    last = _rollback(stage.context())
    assert last.exit_code == 0 and last.revert is not None and last.revert.pushed, last
    assert _file(stage, index("alpha")) == text(1)
    follow, pull, *_ = status.run(stage.context()).next
    assert str(follow) == "main holds what is live; to follow it:" and "pull --ff-only origin main" in str(pull)


@pytest.mark.slow
def test_a_first_deployment_over_code_that_the_base_does_not_hold(stage: Scene) -> None:
    """Live again is what no commit holds: the rollback is done, every verb says how to keep that code, and the deploy
    that the push of the revert starts in CI does not replace it."""
    _with_base(stage, repos.git(stage.app, "rev-parse", "HEAD"))
    for slug in stage.functions:
        _foreign(stage, slug, "theirs")
    stage.change(2)
    _deploy(stage.context())
    done = _rollback(stage.context())
    keep = [f"inv history --source {slug}" for slug in stage.functions]
    assert done.exit_code == 0 and done.revert is not None and done.revert.pushed, done
    assert any("beta v1 was deployed outside Cutover, and main does not hold it" in note for note in done.notes), done
    assert set(_live(stage).values()) == {text("theirs")}
    assert [step for step in _next(done) if "history" in step] == keep
    assert str(status.run(stage.context()).next[0]) == "to follow main:"
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    assert [str(step) for step in status.run(stage.context()).next][1:3] == keep
    assert "alpha differs from what git holds; the same for beta" in [
        one.problem for one in doctor.run(stage.context()).findings
    ]
    with pytest.raises(Refused, match="alpha v1 and beta v1, deployed outside Cutover and restored, would be replaced"):
        _deploy(stage.context())
    for slug in stage.functions:
        stage.commit(dict(history.code(stage.context(), slug).files))
    assert _deploy(stage.context()).exit_code == 0
    assert set(_live(stage).values()) == {text("theirs")}


@pytest.mark.slow
def test_a_revert_by_hand_ends_the_rollback_of_a_first_deployment_too(stage: Scene) -> None:
    _first(stage)
    assert _rollback(stage.context()).exit_code == 5
    stage.change(1)
    last = _rollback(stage.context())
    assert last.exit_code == 0 and last.revert is not None and last.revert.state == "already", last
    assert "git agrees" in _rollback(stage.context()).message


@pytest.mark.slow
def test_it_works_from_a_machine_that_never_saw_the_deployment(stage: Scene) -> None:
    _twice(stage)
    second = repos.clone(stage.folder / "remote.git", stage.folder / "two")
    result = _rollback(stage.context(second, root="elsewhere"))
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)} and _file(stage, index("alpha")) == text(1)


@pytest.mark.slow
def test_it_works_from_a_shallow_clone_that_never_saw_the_deployment(stage: Scene) -> None:
    _twice(stage)
    second = stage.folder / "shallow"
    repos.git(stage.folder, "clone", "--quiet", "--depth", "1", f"file://{stage.folder / 'remote.git'}", str(second))
    result = _rollback(stage.context(second, root="elsewhere"))
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)} and _file(stage, index("alpha")) == text(1)
    assert _file(stage, index("other")) == text(1)


@pytest.mark.slow
def test_a_clone_that_writes_other_line_ends_plans_deploys_and_rolls_back_like_any(stage: Scene) -> None:
    _twice(stage)
    windows = stage.folder / "windows"
    repos.clone(stage.folder / "remote.git", windows, "--config", "core.autocrlf=true")
    assert b"\r\n" in (windows / index("alpha")).read_bytes()
    made = plan.make(stage.context(windows, root="elsewhere"))
    assert {item.action for item in made.functions} == {"same"}
    stage.change(3)
    repos.git(windows, "pull", "--quiet", "--ff-only")
    assert _deploy(stage.context(windows, root="elsewhere")).exit_code == 0
    assert _live(stage) == {"alpha": text(3), "beta": text(3)}, "what git holds is what is sent"
    result = _rollback(stage.context(windows, root="elsewhere"))
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(2), "beta": text(2)} and _file(stage, index("alpha")) == text(2)


def test_only_the_migrated_functions_files_go_back(stage: Scene) -> None:
    _deploy(stage.context())
    pages = {f"web/page{number}.tsx": "new\n" for number in range(50)}
    migrations = {"supabase/migrations/1_init.sql": "select 1;\n"}
    stage.commit({index("alpha"): text(2), index("other"): text(2), **pages, **migrations}, "Everything at once")
    _deploy(stage.context())
    made = rollback_plan.make(stage.context())
    assert made.files == (index("alpha"),)
    assert any("supabase/migrations/1_init.sql" in note for note in made.notes)
    assert any(" and 46 more, changed in the same range" in note for note in made.notes)
    assert _rollback(stage.context()).exit_code == 0
    changed = repos.git(stage.folder / "remote.git", "diff", "--name-only", "main^", "main").split()
    assert changed == [index("alpha")]


@pytest.mark.long
def test_whole_commits_go_back_when_asked(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): text(2), "web/app.tsx": "new\n"}, "Both")
    _deploy(stage.context())
    assert _rollback(stage.context(), scope="commit").exit_code == 0
    changed = repos.git(stage.folder / "remote.git", "diff", "--name-only", "main^", "main").split()
    assert changed == [index("alpha"), "web/app.tsx"]


def test_twice_in_a_row_the_second_finds_its_work_done(stage: Scene) -> None:
    _twice(stage)
    _rollback(stage.context())
    before = list(stage.context().ledger.records())
    result = _rollback(stage.context())
    assert result.exit_code == 0 and "already" in result.message and "--to" in _next(result)[-1]
    assert list(stage.context().ledger.records()) == before and _live(stage)["alpha"] == text(1)


def test_an_unknown_scope_is_refused(stage: Scene) -> None:
    with pytest.raises(Refused, match="--scope everything is not known"):
        _rollback(stage.context(), scope="everything")


def test_without_any_deployment_there_is_nothing_to_roll_back(stage: Scene) -> None:
    with pytest.raises(Refused, match="nothing was ever deployed"):
        _rollback(stage.context())


@pytest.mark.slow
def test_to_goes_back_over_a_hot_fix_in_between(stage: Scene) -> None:
    first, _ = _twice(stage)
    stage.change(3, "alpha")
    _deploy(stage.context())
    result = _rollback(stage.context(), to=first.deployment.id)
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert result.deployment is not None and len(result.deployment.undone) == 2
    assert _file(stage, index("alpha")) == text(1) and _file(stage, index("beta")) == text(1)


def test_to_an_unknown_deployment_is_refused_with_those_that_exist(stage: Scene) -> None:
    first, second = _twice(stage)
    with pytest.raises(Refused, match=first.deployment.id):
        _rollback(stage.context(), to="20200101-000000-0000")
    result = _rollback(stage.context(), to=second.deployment.id)
    assert result.exit_code == 0 and result.deployment is None and "Nothing to roll back" in result.message


@pytest.mark.slow
def test_to_a_deployment_that_was_rolled_back_points_forward_to_a_deploy(stage: Scene) -> None:
    _, second = _twice(stage)
    _rollback(stage.context())
    with pytest.raises(Refused, match="deploy a commit with it") as caught:
        _rollback(stage.context(), to=second.deployment.id)
    assert "inv deploy --lift-hold" in caught.value.hint


@pytest.mark.slow
def test_ci_cannot_deploy_the_same_commit_again_until_the_hold_is_lifted(stage: Scene) -> None:
    _twice(stage)
    bad = repos.git(stage.app, "rev-parse", "HEAD")
    _rollback(stage.context())
    with pytest.raises(Refused, match="taken back") as caught:
        _deploy(stage.context())
    assert caught.value.exit_code == 2 and "--lift-hold" in caught.value.hint
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    repos.git(stage.app, "revert", "--no-edit", "HEAD")
    repos.git(stage.app, "push", "--quiet", "origin", "main")
    with pytest.raises(Refused, match="the source of alpha"):
        _deploy(stage.context())
    assert _deploy(stage.context(), lift_hold="the provider mended it").exit_code == 0
    assert _live(stage)["alpha"] == text(2) and bad
    lifted = [record for record in stage.context().ledger.records() if record["record"] == "lift"]
    assert lifted[0]["reason"] == "the provider mended it" and lifted[0]["who"]
    assert not stage.context().ledger.history().holds


@pytest.mark.slow
def test_the_line_for_rolling_forward_works_as_it_is_printed(stage: Scene) -> None:
    _twice(stage)
    app = repos.clone(stage.folder / "remote.git", stage.folder / "an app's clone")
    *_, label, line = _next(_rollback(stage.context(app, root="elsewhere")))
    assert label == "to roll forward:"
    command, _, lift = line.rpartition(" && ")
    subprocess.run(command, shell=True, check=True, cwd=stage.folder, env={**os.environ, **repos.QUIET})
    assert lift == "inv deploy --lift-hold 'why it is safe now'"
    assert _file(stage, index("alpha")) == text(2)
    context = stage.context(app, root="elsewhere")
    with pytest.raises(Refused, match="the source of alpha"):
        _deploy(context)
    assert _deploy(stage.context(app, root="elsewhere"), lift_hold="why it is safe now").exit_code == 0


def _protect(stage: Scene) -> Path:
    hook = stage.folder / "remote.git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "protected branch" >&2; exit 1; }\n')
    hook.chmod(0o755)
    return hook


@pytest.mark.slow
def test_a_revert_that_waits_for_review_is_kept_until_it_is_merged_and_then_closed(stage: Scene) -> None:
    _twice(stage)
    hook = _protect(stage)
    first, second = _rollback(stage.context()), _rollback(stage.context())
    assert first.exit_code == second.exit_code == 5 and first.revert == second.revert is not None
    assert first.revert is not None
    assert first.revert.state == "review" and str(first.revert.steps[-1]) == "inv rollback"
    label, forward = _next(first)[-2:]
    assert label == "to roll forward, close the pull request:" and " revert " not in forward, "main has no revert yet"
    assert forward.endswith("pull --ff-only origin main && inv deploy --lift-hold 'why it is safe now'")
    hook.unlink()
    stage.change("in the way")
    hook = _protect(stage)
    assert (stuck := _rollback(stage.context()).revert) is not None and stuck.state == "conflict"
    newest = stage.context().ledger.history().newest
    assert newest and newest.revert and newest.revert["commit"] == first.revert.commit, "it still waits there"
    hook.unlink()
    repos.git(stage.app, "reset", "--quiet", "--hard", "HEAD^")
    repos.git(stage.app, "fetch", "--quiet", "origin", first.revert.branch)
    repos.git(stage.app, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
    repos.git(stage.app, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    closed = _rollback(stage.context())
    assert closed.exit_code == 0 and closed.revert is not None and closed.revert.state == "already"
    assert f"revert --no-edit {str(first.revert.commit)[:12]} && " in _next(closed)[-1]
    assert "git agrees" in _rollback(stage.context()).message


@pytest.mark.slow
@pytest.mark.parametrize("way", ["squash", "by hand"])
def test_a_revert_under_another_name_frees_the_work_on_top_of_it(stage: Scene, way: str) -> None:
    _twice(stage)
    hook = _protect(stage)
    reverted = _rollback(stage.context()).revert
    hook.unlink()
    assert reverted is not None
    if way == "squash":
        repos.git(stage.app, "fetch", "--quiet", "origin", reverted.branch)
        repos.git(stage.app, "merge", "--quiet", "--squash", "FETCH_HEAD")
        stage.commit({}, "Take it back")
    else:
        stage.commit({index("alpha"): text(1), index("beta"): text("mended")}, "Take it back, first half")
        with pytest.raises(Refused, match="but not its revert"):
            _deploy(stage.context())
        stage.commit({index("beta"): text(1)}, "Take it back, second half")
    stage.change(3, "alpha")
    assert _deploy(stage.context()).exit_code == 0
    assert _live(stage) == {"alpha": text(3), "beta": text(1)}


@pytest.mark.long
def test_after_the_revert_new_work_on_top_is_not_held(stage: Scene) -> None:
    _twice(stage)
    _rollback(stage.context())
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    stage.change(3, "beta")
    assert _deploy(stage.context()).exit_code == 0
    assert _live(stage) == {"alpha": text(1), "beta": text(3)}


def test_the_hold_stands_before_the_restore(stage: Scene) -> None:
    _twice(stage)
    _die(stage, "stage.send", "rollback")
    assert stage.context().ledger.history().holds


def test_a_created_function_is_deleted_and_the_plan_says_so(stage: Scene) -> None:
    first = _deploy(stage.context(), only=["alpha"])
    second = _deploy(stage.context())
    assert first.exit_code == second.exit_code == 0 and set(_live(stage)) == {"alpha", "beta"}
    made = rollback_plan.make(stage.context())
    assert "deletes beta, which did not exist before" in made.message
    result = _rollback(stage.context())
    assert set(_live(stage)) == {"alpha"} and result.deployment is not None
    assert result.deployment.outcome == "deleted" and result.exit_code == 0, result


@pytest.mark.slow
def test_what_followed_a_partial_deployment_goes_back_in_git_too(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context(), only=["alpha"])
    _deploy(stage.context())
    result = _rollback(stage.context())
    assert result.exit_code == 0 and result.revert is not None and result.revert.pushed, result
    assert _live(stage) == {"alpha": text(2), "beta": text(1)}
    assert (_file(stage, index("alpha")), _file(stage, index("beta"))) == (text(2), text(1))


def test_a_created_function_that_someone_else_deployed_since_is_not_deleted(stage: Scene) -> None:
    _deploy(stage.context())
    context = stage.context()
    upload = plan.make(context).functions[0].source.upload()
    context.supabase.deploy(upload)
    with pytest.raises(Refused, match=r"deployed outside Cutover since\. It is not deleted"):
        _rollback(stage.context())
    assert set(_live(stage)) == {"alpha", "beta"}


def test_after_a_failed_gate_only_git_is_left(tmp_path: Path, sandbox: Running) -> None:
    smoke = [{"name": "is 1", "function": "alpha", "auth": "none", "expect": {"text": {"contains": "1"}}}]
    stage = scene.make(tmp_path, sandbox, gate=GATE, smoke=smoke)
    _deploy(stage.context())
    stage.change("broken")
    failed = _deploy(stage.context(), gate=True)
    assert failed.deployment.outcome == "restored" and failed.exit_code == 1, failed
    made = rollback_plan.make(stage.context())
    assert made.work == "git"
    before = len(sandbox.history(operation="stage")) + len(sandbox.history(operation="deploy"))
    result = _rollback(stage.context())
    assert result.exit_code == 0 and result.revert is not None and result.revert.pushed, result
    assert len(sandbox.history(operation="stage")) + len(sandbox.history(operation="deploy")) == before
    assert _file(stage, index("alpha")) == text(1)
    assert "git agrees" in _rollback(stage.context()).message


@pytest.mark.slow
def test_restore_only_leaves_git_and_a_second_run_does_that_half(stage: Scene) -> None:
    _twice(stage)
    result = _rollback(stage.context(), restore_only=True)
    assert result.exit_code == 0 and result.revert is None and _live(stage)["alpha"] == text(1)
    assert _file(stage, index("alpha")) == text(2)
    second = _rollback(stage.context())
    assert second.revert is not None and second.revert.pushed and _file(stage, index("alpha")) == text(1)


@pytest.mark.long
def test_no_push_keeps_the_revert_here(stage: Scene) -> None:
    _twice(stage)
    result = _rollback(stage.context(), push=False)
    assert result.exit_code == 0 and result.revert is not None and result.revert.state == "local"
    assert _file(stage, index("alpha")) == text(2)


def test_a_conflict_leaves_git_alone_and_the_service_restored(stage: Scene) -> None:
    _twice(stage)
    stage.change("2, later")
    result = _rollback(stage.context())
    assert result.exit_code == 5 and result.revert is not None and result.revert.state == "conflict"
    assert _live(stage) == {"alpha": text(1), "beta": text(1)} and _file(stage, index("alpha")) == text("2, later")
    assert any("checkout" in line for line in _next(result))
    context = stage.context()
    context.supabase.deploy(sources.read(context.app, "alpha", context.state).upload())
    told = status.run(stage.context()).message
    assert "not reverted yet" in told and "alpha v4 was deployed outside Cutover" in told


def test_dirty_function_files_are_refused_before_anything(stage: Scene) -> None:
    _twice(stage)
    (stage.app / index("alpha")).write_text("unsaved\n")
    before = list(stage.context().ledger.records())
    with pytest.raises(Refused, match=r"alpha/index\.ts differs from the last commit"):
        _rollback(stage.context())
    assert _live(stage)["alpha"] == text(2) and list(stage.context().ledger.records()) == before


@pytest.mark.long
def test_other_dirty_files_stay_as_they_are(stage: Scene) -> None:
    _twice(stage)
    (stage.app / "notes.txt").write_text("unsaved\n")
    assert _rollback(stage.context()).exit_code == 0
    assert (stage.app / "notes.txt").read_text() == "unsaved\n"


def test_nothing_happens_without_consent_and_nobody_holds_the_lock_meanwhile(stage: Scene) -> None:
    _twice(stage)
    context = stage.context()

    def confirm(made: rollback.RollbackPlan) -> bool:
        assert stage.context().lock.holder() is None and made.functions
        return False

    with pytest.raises(Refused, match="Not confirmed"):
        _rollback(context, confirm=confirm)
    assert _live(stage)["alpha"] == text(2)


@pytest.mark.slow
def test_what_moved_while_the_person_was_asked_is_not_rolled_back(stage: Scene) -> None:
    _twice(stage)

    def confirm(_: rollback.RollbackPlan) -> bool:
        stage.change(3)
        _deploy(stage.context())
        return True

    with pytest.raises(Refused, match="has changed since it was shown"):
        _rollback(stage.context(), confirm=confirm)
    assert _live(stage)["alpha"] == text(3)


@pytest.mark.slow
def test_a_locked_environment_is_not_rolled_back(stage: Scene) -> None:
    _twice(stage)
    with stage.context().lock.held("something"), pytest.raises(Refused, match="locked by"):
        _rollback(stage.context())


@pytest.mark.slow
def test_without_the_git_remote_the_service_can_be_put_back_with_a_recorded_reason(stage: Scene) -> None:
    _twice(stage)
    remote = stage.folder / "remote.git"
    remote.rename(stage.folder / "gone.git")
    with pytest.raises(Unreachable) as caught:
        _rollback(stage.context())
    assert "--without-lock" in caught.value.hint
    result = _rollback(stage.context(), without_lock="the git host is down")
    assert result.exit_code == 5 and _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert result.revert is not None and result.revert.state == "impossible"
    assert "queued in" in result.revert.message and _next(result) == ["inv rollback"]
    assert "queued record" in " ".join(status.run(stage.context()).notes)
    (stage.folder / "gone.git").rename(remote)
    told_now = status.run(stage.context())
    assert not any("queued record" in note for note in told_now.notes), "reading pushes them"
    assert "not reverted yet" in told_now.message and [*map(str, told_now.next)] == ["inv rollback"]
    told = repos.git(remote, "log", "--format=%s", "refs/cutover/ledger/prod")
    assert "the git host is down" in told and "rolled_back" in told
    second = _rollback(stage.context())
    assert second.revert is not None and second.revert.pushed and _file(stage, index("alpha")) == text(1)


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["all", later("push")])
def test_a_git_remote_that_never_answers_is_asked_once_before_the_service_is_put_back(
    stage: Scene, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    _twice(stage)
    repos.git(stage.folder / "remote.git", "config", "http.receivepack", "true")
    monkeypatch.setattr(rollback, "BRIEF", 3.0 if silent == "all" else 5.0)
    with git_http.serve(stage.folder) as (address, faults):
        repos.git(stage.app, "remote", "set-url", "origin", f"{address}/remote.git")
        faults.deny = "push"
        with pytest.raises(Denied, match="lets us read but not push"):
            _rollback(stage.context())
        assert _live(stage)["alpha"] == text(2), "named before anything"
        faults.deny, faults.silent = "", silent
        result = _rollback(stage.context(), without_lock="the git host hangs", push=False)
        assert _live(stage) == {"alpha": text(1), "beta": text(1)} and result.restored_seconds is not None
        assert faults.counts["silent"] == 1, "later records wait without asking again"
        faults.silent = ""
        assert status.run(stage.context()).exit_code == 0
    told = repos.git(stage.folder / "remote.git", "log", "--format=%s", "refs/cutover/ledger/prod")
    assert "the git host hangs" in told and "rolled_back" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    ["record.staged.after", "activate.sent"]
    + [later(name) for name in ("record.intent.after", "stage.send", "activate.send")],
)
def test_a_killed_deploy_is_taken_back(stage: Scene, where: str) -> None:
    _deploy(stage.context())
    stage.change(2)
    _die(stage, where)
    if where in ("stage.send", "record.staged.after", "activate.send", "activate.sent"):
        assert status.run(stage.context()).exit_code == 5
    result = _rollback(stage.context())
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert status.run(stage.context()).exit_code == 0
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    stage.change(3)
    lifted = _deploy(stage.context(), lift_hold="mended")
    assert lifted.exit_code == 0 and _live(stage) == {"alpha": text(3), "beta": text(3)}


@pytest.mark.slow
def test_creations_that_were_staged_when_the_deploy_died_are_deleted(stage: Scene) -> None:
    _die(stage, "record.staged.after")
    result = _rollback(stage.context(), restore_only=True)
    assert result.deployment is not None
    assert (result.deployment.outcome, result.exit_code) == ("deleted", 0), result
    assert _live(stage) == {}


@pytest.mark.slow
def test_a_rollback_that_died_after_activating_what_was_staged_is_finished(stage: Scene) -> None:
    """What is live then is the code of the killed deploy, which the rollback's own record does not name."""
    _deploy(stage.context())
    stage.change(2)
    _die(stage, "record.staged.after")
    assert crash.run(stage, "journal.sending", verb="rollback") == -9
    told = status.run(stage.context())
    assert (
        told.exit_code == 5
        and "had to go live first" in told.message
        and [str(step) for step in told.next] == ["inv rollback"]
    )
    assert _rollback(stage.context()).exit_code == 0
    assert _live(stage) == {"alpha": text(1), "beta": text(1)}
    assert status.run(stage.context()).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    ["stage.send:2", "revert.push", *(later(name) for name in ("record.intent.after", "record.staged.after"))]
    + [later(name) for name in ("activate.sent", "rollback.outcome")],
)
def test_a_killed_rollback_is_finished_by_the_next(stage: Scene, where: str) -> None:
    _twice(stage)
    _die(stage, where, "rollback")
    result = _rollback(stage.context())
    assert result.exit_code == 0, result
    assert _live(stage) == {"alpha": text(1), "beta": text(1)} and _file(stage, index("alpha")) == text(1)
    assert status.run(stage.context()).exit_code == 0 and stage.context().lock.holder() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("stage.send", 5, "nothing was restored yet"),
        ("activate.sent", 5, "the code from before is live again"),
        ("revert.make", 0, "not reverted yet"),
    ],
)
def test_status_after_a_killed_rollback_says_whose_code_is_live(
    stage: Scene, where: str, code: int, words: str
) -> None:
    _twice(stage)
    _die(stage, where, "rollback")
    told = status.run(stage.context())
    assert (told.exit_code, [*map(str, told.next)]) == (code, ["inv rollback"]) and words in told.message


def test_an_interrupted_deployment_with_somebody_else_s_version_live_is_left_alone(stage: Scene) -> None:
    _deploy(stage.context())
    former = plan.make(stage.context()).functions[0].source
    stage.change(2)
    _die(stage, "record.staged.after")
    context = stage.context()
    row = context.supabase.function("alpha")
    assert row is not None
    context.supabase.activate([{"id": row.id, "slug": "alpha", "name": "alpha", "status": "ACTIVE", "version": 2}])
    context.supabase.deploy(former.upload())
    context.supabase.deploy(former.upload())
    with pytest.raises(Unfinished, match="was deployed outside Cutover meanwhile"):
        _rollback(stage.context())


@pytest.mark.slow
@pytest.mark.parametrize("where", ["release.activate", "records.Journal.sending"])
def test_a_signal_during_the_restore_is_recorded_and_the_next_rollback_finishes(
    where: str, stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    _twice(stage)

    def interrupt(*_: object, **__: object) -> None:
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(f"migration.deploy.{where}", interrupt)
    with pytest.raises(Interrupted):
        _rollback(stage.context())
    monkeypatch.undo()
    context = stage.context()
    assert context.lock.holder() is None and context.ledger.records()[-1]["outcome"] == "unfinished"
    assert status.run(stage.context()).exit_code == 5
    assert _rollback(stage.context()).exit_code == 0
    assert _live(stage) == {"alpha": text(1), "beta": text(1)}


@pytest.mark.long
def test_a_restore_that_never_began_changes_nothing(stage: Scene, sandbox: Running) -> None:
    _twice(stage)
    sandbox.fault("stage", "status", status=400)
    result = _rollback(stage.context())
    assert result.exit_code in (3, 5) and _live(stage)["alpha"] == text(2), result
    sandbox.heal()
    assert _rollback(stage.context()).exit_code == 0 and _live(stage)["alpha"] == text(1)


@pytest.mark.slow
def test_a_file_shared_with_a_function_that_is_live_with_the_new_text_stays_and_is_named(stage: Scene) -> None:
    shared = "supabase/functions/_shared/say.ts"
    extra = 'import "../_shared/say.ts";\n'
    both = {index("alpha"): text(1, extra), index("other"): text(1, extra)}
    stage.commit({shared: "export const x = 1;\n", **both}, "Share")
    _deploy(stage.context(), only=["alpha"])
    stage.commit({shared: "export const x = 2;\n", index("alpha"): text(2, extra)}, "Change the shared file")
    context = stage.context()
    context.supabase.deploy(sources.read(context.app, "other", context.state).upload())
    _deploy(stage.context(), only=["alpha"])
    result = _rollback(stage.context())
    assert _file(stage, shared) == "export const x = 2;\n" and _file(stage, index("alpha")) == text(1, extra)
    assert any("_shared/say.ts stays: other is live with its new text" in note for note in result.notes)
    assert result.exit_code == 5 and any("alpha in git differs" in note for note in result.notes)


@pytest.mark.long
def test_secrets_that_changed_since_are_named(stage: Scene) -> None:
    _deploy(stage.context())
    stage.context().supabase.set_secrets({"NEW_KEY": Secret("new-key-value")})
    stage.change(2)
    _deploy(stage.context())
    stage.context().supabase.set_secrets({"NEW_KEY": Secret("another-value")})
    assert any("secrets that have changed since: NEW_KEY" in note for note in rollback_plan.make(stage.context()).notes)


def test_secrets_of_the_platform_are_its_own() -> None:
    """SUPABASE_URL and the like change with the project's address and cannot be set: nothing to undo."""
    then = {"SUPABASE_URL": "1", "SUPABASE_DB_URL": "1", "OWN": "1", "SAME": "1"}
    now = [SimpleNamespace(name=name, digest="2") for name in ("SUPABASE_URL", "OWN")]
    context: Any = SimpleNamespace(supabase=SimpleNamespace(secrets=lambda: now))
    target: Any = SimpleNamespace(undone=[SimpleNamespace(secrets=then)])
    assert rollback_plan._secrets(context, target) == [
        "Not undone: secrets that are gone since: SAME.",
        "Not undone: secrets that have changed since: OWN.",
    ]


def _foreign(stage: Scene, slug: str, version: str) -> None:
    about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
    stage.context().supabase.deploy(Upload(slug, about, [(index(slug), text(version).encode())]))


@pytest.mark.slow
def test_somebody_else_s_code_is_named_kept_and_not_replaced_by_a_plain_yes(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context())
    _foreign(stage, "alpha", "theirs")
    with pytest.raises(Refused, match="alpha v3 was deployed outside Cutover since") as refused:
        _rollback(stage.context())
    assert "--to 2" in refused.value.hint
    assert "theirs" in _live(stage)["alpha"]
    seen: list[rollback.RollbackPlan] = []
    result = _rollback(stage.context(), overwrites=True, confirm=lambda made: not seen.append(made))  # type: ignore[func-returns-value]
    assert "alpha v3 was deployed outside Cutover since" in " ".join(seen[0].notes)
    assert _live(stage)["alpha"] == text(1)
    kept = next(note for note in result.notes if "deployed outside Cutover" in note)
    digest = kept.rstrip(".").rpartition("/")[2]
    assert "theirs" in snapshots.stored(stage.context(), digest).files[index("alpha")].decode()


@pytest.mark.slow
def test_naming_what_shall_be_live_replaces_somebody_else_s_code_too(stage: Scene) -> None:
    first = _deploy(stage.context()).deployment.id
    stage.change(2)
    _deploy(stage.context())
    _foreign(stage, "alpha", "theirs")
    assert _rollback(stage.context(), to=first).exit_code == 0
    assert _live(stage)["alpha"] == text(1)


@pytest.mark.slow
def test_what_was_rolled_back_and_deployed_over_since_is_not_called_done(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context())
    _rollback(stage.context())
    _foreign(stage, "beta", "theirs")
    with pytest.raises(Refused, match="beta v4 was deployed outside Cutover since"):
        _rollback(stage.context())


@pytest.mark.slow
def test_code_that_was_not_cutovers_is_not_called_a_deployments_own(stage: Scene) -> None:
    """It was deployed over by `--plan HASH`, and the rollback puts it back: no deployment's code is that."""
    first = _deploy(stage.context()).deployment.id
    _foreign(stage, "alpha", "theirs")
    stage.change(2)
    bad = _deploy(stage.context(), yes=False, plan_hash=plan.make(stage.context()).hash).deployment.id
    said = rollback_plan.make(stage.context()).message
    assert f"takes back {bad} and restores the code of {first} and alpha v2, deployed outside Cutover" in said
    done = _rollback(stage.context())
    assert done.exit_code == 0, done.message  # git cannot hold it, and there is nothing to finish
    assert any("alpha v2 was deployed outside Cutover, and main does not hold it" in note for note in done.notes)
    assert "inv history --source alpha" in _next(done) and "inv history --source beta" not in _next(done)
    assert _live(stage) == {"alpha": text("theirs"), "beta": text(1)}
    told = status.run(stage.context()).message
    assert done.deployment is not None and done.deployment.id in told
    assert f"{first} is live" in told and "except alpha v2, deployed outside Cutover" in told
    again = _rollback(stage.context()).message
    assert "git agrees" not in again and "restored alpha v2, deployed outside Cutover" in again
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    stage.commit({index("alpha"): text(3), index("beta"): text(3)})
    with pytest.raises(Refused, match="alpha v2, deployed outside Cutover and restored, would be replaced"):
        _deploy(stage.context())
    assert _deploy(stage.context(), yes=False, plan_hash=plan.make(stage.context()).hash).exit_code == 0
    assert "except" not in status.run(stage.context()).message


@pytest.mark.slow
def test_outside_code_restored_twice(stage: Scene) -> None:
    """Code that no commit holds stays such code when a second rollback, or a failed gate, restores it again."""
    _deploy(stage.context())
    _foreign(stage, "alpha", "theirs")
    for number in (2, 3):
        stage.change(number)
        options = {"yes": False, "plan_hash": plan.make(stage.context()).hash, "lift_hold": "again"}
        _deploy(stage.context(), **options)
        done = _rollback(stage.context())
        assert done.exit_code == 0 and "main does not hold it" in " ".join(done.notes), done
        assert _live(stage)["alpha"] == text("theirs")
        repos.git(stage.app, "pull", "--quiet", "--ff-only")
    assert "alpha v4, deployed outside Cutover" in status.run(stage.context()).message


@pytest.mark.slow
def test_where_all_of_it_was_not_cutovers_no_deployment_is_named(stage: Scene) -> None:
    first = _deploy(stage.context()).deployment.id
    for slug in stage.functions:
        _foreign(stage, slug, "theirs")
    stage.change(2)
    _deploy(stage.context(), yes=False, plan_hash=plan.make(stage.context()).hash)
    assert first not in rollback_plan.make(stage.context()).message
    _rollback(stage.context())
    told = status.run(stage.context()).message
    assert told.startswith("alpha v2 and beta v2, deployed outside Cutover, are live again")


@pytest.mark.slow
def test_base_names_the_code_from_before_the_first_deployment(tmp_path: Path, sandbox: Running) -> None:
    stage = scene.make(tmp_path, sandbox, gate=GATE)
    first = repos.git(stage.app, "rev-parse", "HEAD")
    stage.settings = {"gate": GATE, "app": {"path": str(stage.app), "base": first}}
    for slug in stage.functions:
        _foreign(stage, slug, "1")
    stage.change(2)
    bad = _deploy(stage.context())
    stage.change(3)
    crash.run(stage, "record.intent.after")
    repos.git(stage.app, "revert", "--no-edit", "HEAD")
    repos.git(stage.app, "push", "--quiet", "origin", "HEAD:main")
    _rollback(stage.context())
    again = _rollback(stage.context())
    assert again.deployment is None
    assert f"take back {bad.deployment.id}" in _next(again)[-2] and _next(again)[-1] == "inv rollback --to base"
    result = _rollback(stage.context(), to="base")
    assert result.exit_code == 0, result.message
    assert set(_live(stage).values()) == {text(1)}
    assert _rollback(stage.context(), to="base").deployment is None


def test_a_clone_that_never_read_the_ledger_does_not_say_that_there_is_none(stage: Scene) -> None:
    _deploy(stage.context())
    other = repos.clone(stage.folder / "remote.git", stage.folder / "other")
    (stage.folder / "remote.git").rename(stage.folder / "away.git")
    with pytest.raises(Refused, match="This clone has never read the ledger"):
        _rollback(stage.context(other, root="elsewhere"), without_lock="forge down")


def test_the_plan_says_what_scope_and_restore_only_make_of_git(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): text(2), "docs.md": "x", "supabase/migrations/1.sql": "select 1"})
    stage.commit({"pure.md": "y"})
    _deploy(stage.context())
    context = stage.context()
    assert rollback_plan.make(context).files == (index("alpha"),)
    whole = rollback_plan.make(context, RollbackOptions(scope="commit"))
    assert set(whole.files) == {index("alpha"), "docs.md", "supabase/migrations/1.sql"}
    assert any(", changed in the same range" in note for note in whole.notes)
    later = rollback_plan.make(context, RollbackOptions(restore_only=True))
    assert later.files == () and any("--restore-only" in note for note in later.notes)


def test_without_the_lock_the_plan_still_says_who_holds_it(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context())
    with stage.context().lock.held("deploy"):
        assert any("The lock is held by" in note for note in rollback_plan.make(stage.context()).notes)


@pytest.mark.slow
def test_what_a_killed_rollback_had_seen_is_not_somebody_else_s(stage: Scene) -> None:
    """A deploy killed when live, and a rollback of it killed before it sent anything: version 2 is our own."""
    _deploy(stage.context())
    stage.change(2)
    assert crash.run(stage, "record.outcome") == -9
    assert crash.run(stage, "record.intent.after", verb="rollback") == -9
    assert _rollback(stage.context()).exit_code == 0
    assert set(_live(stage).values()) == {text(1)}


@pytest.mark.slow
def test_records_that_come_late_do_not_hide_what_was_deployed_meanwhile(stage: Scene) -> None:
    """A rolls back while the forge is down; B deploys over that before A's records arrive, and rolls its own back."""
    _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context())
    remote, away = stage.folder / "remote.git", stage.folder / "away.git"
    remote.rename(away)
    _rollback(stage.context(), without_lock="forge down")
    away.rename(remote)
    other = repos.clone(remote, stage.folder / "other")
    revision = repos.commit(other, {index(slug): text(3) for slug in stage.functions})
    repos.git(other, "push", "--quiet", "origin", "HEAD:main")
    made = plan.make(stage.context(other, root="b"))
    assert made.drifted == stage.functions
    bad = _deploy(stage.context(other, root="b"), yes=False, plan_hash=made.hash)
    assert _live(stage)["alpha"] == text(3)
    stage.context().ledger.records()  # `inv history` on A: what waited is pushed
    told = status.run(stage.context(other, root="b"))
    assert told.message.startswith(f"{bad.deployment.id} is live") and bad.deployment.revision == revision
    back = _rollback(stage.context(other, root="b"))
    assert back.deployment and back.deployment.undone == (bad.deployment.id,)
    assert _live(stage)["alpha"] == text(1), "what A had put back is live again"


def test_a_hotfix_rolled_back_does_not_wait_for_the_old_route(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is live again is new code too: only the base's code has the route from before the migration."""
    waited: list[str] = []

    def old_route(*_: object) -> bool:
        waited.append("looked")
        return False

    monkeypatch.setattr("migration.rollback.proof._old_route", old_route)
    _twice(stage)
    result = _rollback(stage.context())
    assert result.exit_code == 0 and not waited and _live(stage)["alpha"] == text(1), result
    assert result.proof["old_route"] is None
