"""The type check beside a deploy warns, and holds nothing up."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from migration.deploy import deploy, typecheck
from migration.rehearsal.server import Running
from tests.support import scene
from tests.support.collector import Collector
from tests.support.scene import index

pytestmark = pytest.mark.type_check
WRONG = "const word: string = 1;\nDeno.serve(() => new Response(word));\n"


def _warnings(observer: object) -> list[str]:
    assert isinstance(observer, Collector)
    return [" ".join(event) for event in observer.events if event[0] == "warn"]


def test_a_mistake_in_types_is_told_to_who_decides_and_the_deploy_goes_on(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = typecheck.TypeCheck.wait
    monkeypatch.setattr(typecheck.TypeCheck, "wait", lambda checked, _: wait(checked, 60.0))  # the machine may be busy
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    stage.commit({index("alpha"): WRONG})
    context = stage.context()
    told: list[str] = []

    def confirm(_: object) -> bool:
        told.extend(_warnings(context.observer))
        return True

    assert deploy.run(context, deploy.DeployOptions(gate=False, confirm=confirm)).exit_code == 0
    assert any("deno check does not pass: TS2322" in line for line in told), told


def test_nobody_waits_for_it_and_it_does_not_outlive_the_deploy(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    monkeypatch.setattr(typecheck, "LATER", 0.0)
    slow = subprocess.Popen(["sleep", "60"], stderr=subprocess.PIPE, text=True)
    monkeypatch.setattr(typecheck.TypeCheck, "_start", lambda *_: slow)
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    end = time.monotonic() + 10
    while slow.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert slow.returncode == -9


def test_a_quick_deploy_is_over_before_it_begins(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(typecheck, "LATER", 60.0)
    monkeypatch.setattr(typecheck.TypeCheck, "_start", lambda *told: begun.append(told))
    stage = scene.make(tmp_path, sandbox, ("alpha",))
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    assert begun == []
