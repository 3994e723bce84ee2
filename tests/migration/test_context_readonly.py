"""Places that cannot be written: the app, `.cutover`, or the whole folder of tasks.py. The kernel itself refuses."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from migration.deploy import deploy
from migration.rehearsal.server import Running
from tests.support import crash, scene
from tests.support.crash import Address
from tests.support.project import ROOT
from tests.support.scene import Scene

# A process of its own, in which the place is mounted read-only: to root, the mode of a folder says nothing.
CHILD = """
import json, sys
from pathlib import Path
from tests.support.crash import Address
from tests.support.scene import Scene
from migration.deploy import typecheck
from tests.migration.ledger.test_ledger_waits import ended
from tests.support.unchecked import Unchecked
typecheck.TypeCheck = Unchecked
folder, address, verbs = json.loads(sys.argv[1])
stage = Scene(Path(folder), Address(**address), {}, ("alpha",))
print(json.dumps({verb: [(found := ended(stage.context(), verb)).code, found.text] for verb in verbs}))
"""


def _mounts() -> bool:
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False) if os.geteuid() == 0 else None
    return done is not None and done.returncode == 0


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    if not _mounts():
        pytest.skip("only root may mount")
    found = scene.deployed(tmp_path, sandbox, ("alpha",))
    found.change(2)
    deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK))
    found.change(3)
    return found


def _typed(stage: Scene, places: list[Path], *verbs: str) -> dict[str, tuple[int, str]]:
    """What each verb ends with while these places are read-only."""
    running = stage.running
    address = Address(running.url, running.api_url, running.project_ref, running.access_token, running.anon_key)
    given = json.dumps([str(stage.folder), asdict(address), verbs])
    mounts = [f"mount --bind {name} {name} && mount -o remount,bind,ro {name}" for place in places
              for name in [shlex.quote(str(place))]]  # fmt: skip
    line = " && ".join([*mounts, shlex.join([sys.executable, "-c", CHILD, given])])
    done = subprocess.run(["unshare", "-m", "sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=110,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {verb: (code, text) for verb, (code, text) in found.items()}


def test_read_only_app(stage: Scene) -> None:
    """Reading works; a deploy says what cannot be written and what to do; a rollback names the way without the lock,
    and that restores the service."""
    found = _typed(stage, [stage.app], "status", "history", "plan", "deploy", "rollback", "without lock")
    assert [found[verb][0] for verb in ("status", "history", "plan")] == [0, 0, 0], found
    assert (
        found["deploy"][0] == 2 and "it is read-only" in found["deploy"][1] and "make it writable" in found["deploy"][1]
    )
    code, text = found["rollback"]
    assert code == 2 and f"cannot write to {stage.app}" in text and "--without-lock" in text, text
    assert found["without lock"][0] == 5, found["without lock"]
    assert stage.context().supabase.functions()[0].version == 3


@pytest.mark.long
@pytest.mark.parametrize("place", ["root/.cutover", "root"])
def test_read_only_state(stage: Scene, place: str) -> None:
    """Every verb works, with its files elsewhere, and says where."""
    found = _typed(stage, [stage.folder / place], "status", "history", "plan", "deploy", "rollback")
    assert [code for code, _ in found.values()] == [0, 0, 0, 0, 0], found
    assert "Cannot write to" in found["plan"][1] and "are in /" in found["plan"][1], found["plan"]
