"""The one road to the platform: whatever a request of it meets, all is live or none of it, and the next try ends it."""

from __future__ import annotations

import errno
import itertools
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from migration.deploy.records import Journal
from migration.deploy.release import Release, ReleaseResult, _as_ours
from migration.deploy.staging import FunctionSpec, Pace
from migration.rehearsal.server import Running
from migration.source.source import Source
from tests.support import scene
from tests.support.cells import CALM, FAULTS, Cell, Trapped, arm, met
from tests.support.scene import Scene, index, text

PACE = Pace(upload=0.6, retry=0.6, limited=0.6, activate=0.8, wait=0.01, longest=0.05)
_SEEDED = random.Random(20)
CELLS = [Cell(_SEEDED.choice(["stage", "activate", "deploy"]), fault, "once") for fault in FAULTS]


class Recorder:
    """Writes nothing but the journal, holds the lock and takes every stranded version for our own."""

    def __init__(self, folder: Path, number: int) -> None:
        self.journal = Journal(folder, "prod", str(number))

    def staged(self, answers: Sequence[Any], lost: Sequence[str]) -> None: ...

    def confirm(self) -> float:
        return math.inf

    def restoring(self) -> Recorder:
        return self

    def explained(self, slug: str) -> bool:
        return bool(slug)


class Road:
    """Two functions on the platform, and releases of them: no git, no ledger."""

    def __init__(self, stage: Scene, folder: Path) -> None:
        self.stage, self.folder, self.numbers = stage, folder, itertools.count()
        for one in self.wanted(1, *stage.functions):
            stage.context().supabase.deploy(one.upload)

    def wanted(self, version: int, *slugs: str) -> list[FunctionSpec]:
        live = {one.slug: one for one in self.stage.context().supabase.functions()}
        sources = {
            slug: Source(slug, index(slug), {index(slug): text(version).encode()}, "", (), None) for slug in slugs
        }
        return [FunctionSpec(slug, found, live.get(slug), True) for slug, found in sources.items()]

    def travel(self, version: int, slugs: Sequence[str], platform: Any = None) -> ReleaseResult:
        context = self.stage.context()
        if platform is not None:
            context.__dict__["supabase"] = platform
        wanted = self.wanted(version, *slugs)
        back = {one.slug: one for one in self.wanted(version - 1, *slugs)}
        recorder = Recorder(self.folder, next(self.numbers))
        pace = PACE if platform is not None else CALM
        return Release(context, recorder, wanted, back, pace=pace).run()

    def live(self, slugs: Sequence[str]) -> set[str]:
        platform = self.stage.context().supabase
        return {body.decode() for slug in slugs for body in platform.body(slug).files.values()}


@pytest.fixture
def road(tmp_path: Path, sandbox: Running) -> Road:
    return Road(Scene(tmp_path, sandbox, {}), tmp_path)


@pytest.mark.slow
def test_every_kind_of_fault_ends_in_old_or_new_and_the_next_release_goes_through(road: Road, sandbox: Running) -> None:
    """A machine that stalls may end a release before it comes to the fault: then the cell is tried again."""
    versions = itertools.count(2)
    for cell in CELLS:
        assert any(_struck(road, sandbox, cell, next(versions)) for _ in range(10)), f"{cell} was never met"


def _struck(road: Road, sandbox: Running, cell: Cell, version: int) -> bool:
    slugs = ["alpha"] if cell.where == "deploy" else list(scene.FUNCTIONS)
    arm(sandbox, cell.where, cell)
    done = road.travel(version, slugs, Trapped(sandbox, cell))
    struck = met(sandbox)
    sandbox.heal()
    found, old, new = road.live(slugs), {text(version - 1)}, {text(version)}
    wanted = {"live": [new], "untouched": [old], "restored": [old], "unfinished": [old, new]}[done.outcome]
    assert found in wanted, (str(cell), done)
    assert done.outcome == "live" or done.error is not None, cell
    again = road.travel(version, scene.FUNCTIONS)
    assert again.outcome == "live", (str(cell), again)
    assert road.live(scene.FUNCTIONS) == new, cell
    return struck


def test_a_restore_says_restore_of_each_function(road: Road) -> None:
    """ "stage" under a rollback read as if the new code were on its way again."""
    context = road.stage.context()
    done = Release(context, Recorder(road.folder, 0), road.wanted(9, *scene.FUNCTIONS), pace=CALM, restores=True).run()
    assert done.outcome == "live"
    assert {name for _, name, subject, _ in context.observer.events if subject} == {"restore"}  # type: ignore[attr-defined]


def test_a_full_disk_is_named() -> None:
    """The system names no file where a write fails: the folder that is written to says which disk it is."""
    error = _as_ours(OSError(errno.ENOSPC, "No space left on device"), Path("/own"))
    assert error.message == "Local error: No space left on device: /own."
    assert [str(step) for step in error.steps] == ["free space on the disk of /own", "inv status"]
    other = _as_ours(OSError(errno.EIO, "Input/output error"), Path("/own"))
    assert other.message == "Local error: Input/output error." and [*map(str, other.steps)] == ["inv status"]
