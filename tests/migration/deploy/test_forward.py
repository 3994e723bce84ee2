"""What is printed next can be typed, agrees between verbs, and never brings back what the branch has reverted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migration.clients.supabase_types import Upload
from migration.rehearsal.server import Running
from tests.support import repos, scene
from tests.support.scene import Scene, index, text
from tests.support.walk import Walk

SEED = int(os.environ.get("CUTOVER_WALK_SEED", "0"))


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running, deno_state: Path) -> Scene:
    state = tmp_path / "root" / ".cutover"
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (deno_state / name).mkdir(exist_ok=True)
        (state / name).symlink_to(deno_state / name)
    found = scene.make(tmp_path, sandbox)
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
@pytest.mark.parametrize("seed", range(60))
def test_long_walks(stage: Scene, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    walk = Walk(stage, monkeypatch, 1000 + seed)
    for _ in range(50):
        walk.step()
    walk.finish()
