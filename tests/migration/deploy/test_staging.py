"""No upload outlasts the lock, and none is called live that is not the version that was due."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Function, Upload
from migration.deploy import deploy, records
from migration.deploy.deploy import DeployOptions
from migration.deploy.records import Recording
from migration.deploy.staging import Pace
from migration.rehearsal.running import Running
from tests.support import scene
from tests.support.scene import Scene, index, text

PACE = Pace(upload=10.0, retry=1.0, limited=1.0, activate=2.0, wait=0.02, longest=0.1)


class Rival(Supabase):
    """Someone else deploys `slug` in the moment before our upload of it arrives."""

    def __init__(self, running: Running, slug: str) -> None:
        headers = {"Authorization": f"Bearer {running.access_token}", "Accept": "application/json"}
        super().__init__(Http(running.api_url, headers, name="the Management API"), running.project_ref)
        self.slug, self.done = slug, False

    def rival(self, upload: Upload) -> None:
        if upload.slug == self.slug and not self.done:
            self.done = True
            about = {
                "entrypoint_path": index(self.slug),
                "import_map_path": "",
                "static_patterns": [],
                "name": self.slug,
            }
            super().deploy(Upload(self.slug, about, [(index(self.slug), text("theirs").encode())]))

    def stage(self, upload: Upload, deadline: float = 60.0) -> Function:
        self.rival(upload)
        return super().stage(upload, deadline)

    def deploy(self, upload: Upload, deadline: float = 60.0) -> Function:
        self.rival(upload)
        return super().deploy(upload, deadline)


def _deploy(stage: Scene, platform: Supabase) -> Any:
    context = stage.context()
    context.__dict__["supabase"] = platform
    return deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))


def _live(stage: Scene, slug: str) -> str:
    (body,) = stage.context().supabase.body(slug).files.values()
    return body.decode()


@pytest.mark.parametrize("slugs", [("alpha",), ("alpha", "beta")])
def test_another_version_than_due(tmp_path: Path, sandbox: Running, slugs: tuple[str, ...]) -> None:
    """v2 was due and v3 came: one function or many, that is unfinished, exit 5, and never called live."""
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2, *slugs)
    result = _deploy(stage, Rival(sandbox, "alpha"))
    assert (result.exit_code, result.deployment.outcome) == (5, "unfinished"), result.message
    assert "this upload became v3, v2 was expected: someone else deployed alpha meanwhile" in result.message
    assert [str(step) for step in result.next] == ["inv status"]
    if len(slugs) > 1:
        assert _live(stage, "beta") == text(1)


def test_a_lost_answer_and_a_rival(tmp_path: Path, sandbox: Running) -> None:
    """The answer to the one-step upload is lost, and the version that was due is someone else's."""
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2, "alpha")
    platform = Rival(sandbox, "alpha")
    arm = platform.rival

    def rival(upload: Upload) -> None:
        arm(upload)
        sandbox.fault("deploy", "reset")

    platform.rival = rival  # type: ignore[method-assign]
    result = _deploy(stage, platform)
    assert (result.exit_code, result.deployment.outcome) == (5, "unfinished"), result.message
    assert "alpha v2 is live, and it is not this upload" in result.message
    sandbox.heal()
    assert _live(stage, "alpha") == text("theirs")


def test_the_lock_bounds_an_upload(tmp_path: Path, sandbox: Running) -> None:
    """A request may take what is left until the lock can be stale for others, and no more."""
    lock = SimpleNamespace(fresh=lambda _: None, confirmed_age=lambda: 9.0, heartbeat=15.0)
    recording = Recording(SimpleNamespace(), "d", lock, SimpleNamespace())  # type: ignore[arg-type]
    assert recording.confirm() == 45.0 - 9.0 - records.MARGIN
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2, "alpha")
    deadlines: list[float] = []
    platform = Rival(sandbox, "")
    send = platform._deploy

    def upload(*arguments: Any) -> Function:
        deadlines.append(arguments[-1])
        return send(*arguments)

    platform._deploy = upload  # type: ignore[method-assign,assignment]
    context = stage.context()
    context.__dict__["supabase"] = platform
    assert deploy.run(context, DeployOptions(yes=True, gate=False)).exit_code == 0
    assert 0 < deadlines[0] <= 45.0 - records.MARGIN
