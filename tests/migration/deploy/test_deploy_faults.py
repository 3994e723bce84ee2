"""Whatever fails, what is live is the old code or the new, the lock is free, and the next command ends it."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from migration.rehearsal.server import Running
from tests.support import long
from tests.support.cells import WHERE, Cell, cells, survive

pytestmark = pytest.mark.slow

GRID = [(where, when) for where, times in WHERE.items() for when in times]
ALL = [cell for where, when in GRID for cell in cells(where, when)]
SOME = [Cell("stage", "applied, answer lost", "once"), random.Random(11).choice(ALL)]  # all: test_release.py


@pytest.mark.parametrize("cell", SOME, ids=str)
def test_a_fault_ends_in_old_or_new_and_is_mended_by_the_next_command(
    cell: Cell, tmp_path: Path, deno_state: Path, sandbox: Running
) -> None:
    survive(tmp_path / "scene", deno_state, sandbox, cell)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("where", "when"), GRID)
def test_every_fault_at_every_call(where: str, when: str, tmp_path: Path, deno_state: Path, sandbox: Running) -> None:
    began, ways, failed = time.monotonic(), Counter[str](), []
    for number, cell in enumerate(cells(where, when)):
        try:
            ways[survive(tmp_path / str(number), deno_state, sandbox, cell)] += 1
        except Exception as error:  # noqa: BLE001 - the other cells are to be seen too
            failed.append(f"{cell}: {type(error).__name__}: {error}")
    rounds, seconds = len(cells(where, when)), time.monotonic() - began
    long.report("faults of a deploy", f"{where}, {when}", rounds, seconds, {**ways, "failed": len(failed)})
    assert not failed, "\n" + "\n".join(failed)
