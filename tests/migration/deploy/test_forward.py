"""What is printed next can be typed, agrees between verbs, and never brings back what the branch has reverted."""

from __future__ import annotations

import os
import time
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
    """A hundred random steps, or as many as twenty seconds hold; the walk ends where nothing is left to do."""
    walk, until = Walk(stage, monkeypatch, SEED), time.monotonic() + 20
    for _ in range(100):
        if time.monotonic() > until:
            break
        walk.step()
    walk.finish()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_long_walks(stage: Scene, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    walk = Walk(stage, monkeypatch, 1000 + seed)
    for _ in range(50):
        walk.step()
    walk.finish()
