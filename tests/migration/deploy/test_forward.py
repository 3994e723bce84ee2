"""What is printed next can be typed, agrees between verbs, and never brings back what the branch has reverted."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from migration.base.command import inv
from migration.base.errors import CutoverError, Refused
from migration.clients.supabase_types import Upload
from migration.deploy import deploy, forward, plan
from migration.inspect import doctor, status
from migration.rehearsal.server import Running
from tests.support import repos, scene
from tests.support.drawn import drawn
from tests.support.long import report
from tests.support.scene import Scene, index, text
from tests.support.walk import Walk

SEED = int(os.environ.get("CUTOVER_WALK_SEED", "0"))
FIRST = int(os.environ.get("CUTOVER_WALK_FIRST", "1000"))
STEPS = 50


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running, deno_state: Path) -> Scene:
    return _stage(tmp_path, sandbox, deno_state)


def _stage(folder: Path, sandbox: Running, deno_state: Path) -> Scene:
    state = folder / "root" / ".cutover"
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (deno_state / name).mkdir(exist_ok=True)
        (state / name).symlink_to(deno_state / name)
    found = scene.make(folder, sandbox)
    base = repos.git(found.app, "rev-parse", "HEAD")
    found.settings = {"app": {"path": str(found.app), "base": base}}
    for slug in found.functions:  # what was live before Cutover came is what app.base holds
        about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
        found.context().supabase.deploy(Upload(slug, about, [(index(slug), text(1).encode())]))
    return found


@pytest.mark.slow
def test_every_printed_way_forward_can_be_walked(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred random steps; the walk ends where nothing is left to do."""
    walk = Walk(stage, monkeypatch, SEED)
    for _ in range(100):
        walk.step()
    walk.finish()


def test_outside_code_is_restored(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long seed 41: a rollback that restores code which is in no commit ended 5, and nothing could finish it."""
    walk = Walk(stage, monkeypatch)
    for operation in ("deploy", "drift", "", "kill rollback deploy.sent", ""):
        walk.do(operation) if operation else walk.follow()
    walk.finish()
    assert any(step.startswith("$ inv rollback") for step in walk.done), walk.done


def test_a_failed_gate_names_both_ways(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the revert stands how to fix forward; with the fix that is a command, in every verb, and it works."""
    walk = Walk(stage, monkeypatch)
    for operation in ("deploy", "change", "gate"):
        walk.do(operation)
    shown = [str(step) for step in status.run(walk.context()).next]
    assert shown == ["to fix it: commit the fix, push, then inv deploy --lift-hold 'what was fixed'",
                     "to revert it in git:", "inv rollback"]  # fmt: skip
    stage.change(9, "alpha")
    with pytest.raises(Refused, match="on hold") as caught:
        walk._deploy()
    wanted = ["if this commit repairs it:", "inv deploy --lift-hold 'what was fixed'", "to revert it in git:",
              "inv rollback"]  # fmt: skip
    for said in (caught.value.steps, plan.make(walk.context()).next, status.run(walk.context()).next):
        assert [str(step) for step in said] == wanted
    held = next(one for one in doctor.run(walk.context()).findings if one.kind == "hold")
    assert str(held.fix).splitlines() == wanted
    walk.type(inv("deploy", lift_hold="what was fixed"))
    walk.finish()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["ahead", "behind", "diverged"])
def test_a_fix_that_is_not_here_yet_comes_first(stage: Scene, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A fix that waits to be pushed, that a colleague has pushed, or that has to be rebased."""
    walk = Walk(stage, monkeypatch)
    for operation in ("deploy", "change", "gate"):
        walk.do(operation)
    files: dict[str, str | None] = {index("alpha"): text("fixed")}
    if where != "ahead":
        walk.do("colleague")
    if where != "behind":
        repos.commit(stage.app, files if where == "ahead" else {"README.md": "more\n"}, "Fix")
    walk._printed = None
    label, first, *rest = [str(step) for step in plan.make(walk.context()).next]
    who = {"ahead": "this commit", "behind": "main", "diverged": "a commit of yours or of main"}[where]
    assert label == f"if {who} repairs it:"
    assert rest == ["to revert it in git:", "inv rollback"]
    assert ("pull --rebase" in first) is (where == "diverged") and ("&&" in first) is (where != "diverged")
    walk.follow()
    walk.finish()


@pytest.mark.slow
def test_nothing_is_proposed_that_needs_an_absent_remote(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its git remote there is no lock: the git half waits, and only a rollback without the lock restores."""
    walk = Walk(stage, monkeypatch)
    for operation in ("deploy", "change", "gate"):
        walk.do(operation)
    (stage.folder / "remote.git").rename(stage.folder / "gone.git")
    label, command = [str(step) for step in status.run(walk.context()).next]
    assert label.startswith("when ") and label.endswith(" answers again:") and command == "inv rollback"
    context = walk.context()
    context.ledger.history()
    assert str(forward.take_back(context)) == "inv rollback --without-lock 'could not acquire the lock'"
    repos.git(stage.app, "reset", "--quiet", "--hard", "HEAD~1")
    nothing = deploy.run(walk.context(), deploy.DeployOptions(yes=True, gate=False))
    assert nothing.deployment.outcome == "same" and "as this clone last read it" in drawn("deploy", nothing)


def test_a_revert_by_hand_is_the_end_of_it(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the branch holds what is live again, nothing is left to type, and status says so."""
    walk = Walk(stage, monkeypatch)
    for operation in ("deploy", "change", "gate"):
        walk.do(operation)
    repos.git(stage.app, "revert", "--no-edit", "HEAD")
    repos.git(stage.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    found = status.run(walk.context())
    assert found.next == () and "and main holds it" in found.message and "not reverted" not in found.message
    walk.finish()


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("batch", range(6))
def test_long_walks(
    tmp_path: Path, sandbox: Running, deno_state: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Ten walks of fifty steps; six batches are 3,000."""
    began, typed, seeds = time.monotonic(), Counter[str](), range(FIRST + 10 * batch, FIRST + 10 * batch + 10)
    failures: list[str] = []
    for seed in seeds:
        sandbox.reset()
        walk = Walk(_stage(tmp_path / str(seed), sandbox, deno_state), monkeypatch, seed)
        try:
            for _ in range(STEPS):
                walk.step()
            walk.finish()
        except (AssertionError, CutoverError) as error:
            failures.append(f"seed {seed}: {error}")
        typed.update(step.split(" ")[2] for step in walk.done if step.startswith("$ inv "))
        typed["git"] += sum(step.startswith("$ git ") for step in walk.done)
    what = f"random histories, seeds {seeds[0]} to {seeds[-1]}, what is printed is typed"
    report("the way forward", what, STEPS * len(seeds), time.monotonic() - began, {**typed, "failed": len(failures)})
    assert not failures, "\n\n".join(failures)
