"""A git remote on a real file system that is full, or mounted read-only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mounted
from tests.support.project import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "cause"),
    [("full", "No space left on device"), ("read-only", "unable to create temporary object directory")],
)
def test_a_disk_that_takes_nothing_is_named_and_loses_nothing(tmp_path: Path, state: str, cause: str) -> None:
    """Writing ends within a bounded time with git's own cause, reading goes on, no ref moves, and once the disk takes
    writes again so does the ledger, with no record lost."""
    words = mounted.namespace()
    if words is None:
        pytest.skip("this user may not mount: neither `unshare --mount` nor a user namespace is allowed here")
    command = [*words, sys.executable, "-m", "tests.support.mounted", state, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=110)
    found = json.loads(done.stdout)
    for name in ("append", "lock"):
        assert cause in found[name]["message"] and "git remote origin" in found[name]["message"], found[name]
        assert found[name]["seconds"] < 30, found[name]
    assert found["unchanged"] and found["read"]["answer"] == "1"
    assert "answer" in found["again"] and found["after"]["answer"] == "2"
