"""Whatever is killed at whatever moment, what is printed then leads to agreement of live, git and ledger."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from migration.rehearsal.server import Running
from tests.support import random_kills
from tests.support.long import report


@pytest.mark.long
@pytest.mark.timeout(0)
def test_random_kills(tmp_path: Path, deno_state: Path, sandbox: Running) -> None:
    """500 rounds on two machines, or ROUNDS, from the seed FIRST, for SECONDS at most: nothing lost, nothing endless,
    nothing hanging. PROGRESS names a file from which a run that was stopped goes on."""
    first = int(os.environ.get("FIRST", "1"))
    progress = Path(os.environ.get("PROGRESS", tmp_path / "progress.jsonl"))
    seconds = float(os.environ.get("SECONDS", "1e9"))
    number = int(os.environ.get("ROUNDS", "500"))
    found = random_kills.rounds(number, first, tmp_path, deno_state, sandbox, progress, seconds)
    sys.stdout.write("\n".join([*found.lines(), ""]))
    facts = {**dict(sorted(found.counts.items())), "failed": len(found.failures)}
    what = f"`inv` typed on two machines, seeds from {first}"
    report("kill -9 at random moments", what, found.rounds, found.seconds, facts)
    assert not found.failures, "\n".join(found.failures)
