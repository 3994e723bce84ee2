"""What is printed next can be typed, agrees between verbs, and never brings back what the branch has reverted."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from migration.base.errors import CutoverError
from migration.clients.supabase_types import Upload
from migration.rehearsal.server import Running
from tests.support import repos, scene
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
