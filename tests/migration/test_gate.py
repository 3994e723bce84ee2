"""Only what was seen to answer counts as live."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration import deploy
from migration.context import Context
from migration.outcome import DeployResult
from migration.rehearsal.server import Running
from migration.staging import Pace
from tests.support import scene
from tests.support.scene import Scene, index, text

QUICK = Pace(upload=5.0, retry=2.0, activate=2.0, wait=0.02, longest=0.1)
CASE = {"name": "answers", "function": "alpha", "auth": "none", "method": "GET", "expect": {"status": 200}}


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    files = {"gate": {"delay": "0s", "within": "8s"}, "smoke": [CASE]}
    made = scene.make(tmp_path, sandbox, **files)
    made.commit({"supabase/config.toml": "[functions.alpha]\nverify_jwt = false\n[functions.beta]\nverify_jwt = false\n"})
    return made


def _deploy(context: Context, **more: object) -> DeployResult:
    return deploy.run(context, **{"yes": True, "pace": QUICK, **more})  # type: ignore[arg-type]


def _live(stage: Scene) -> dict[str, int]:
    return {function.slug: function.version for function in stage.context().supabase.functions()}


def test_a_good_deploy_is_proven_by_execution_id_and_version(stage: Scene) -> None:
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("live", 0), result.message
    probes = result.gate["proof"]["probes"]
    assert {(probe["slug"], probe["version"], probe["proven"]) for probe in probes} == {("alpha", 1, True), ("beta", 1, True)}
    assert all(probe["execution"] for probe in probes)


def test_a_failed_smoke_case_puts_the_former_code_back_and_holds_the_change(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): 'Deno.serve(() => new Response("no", { status: 500 }));'})
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert stage.context().edge.call("alpha", method="GET", auth="none").text == "1"
    assert stage.context().ledger.history().holds


def test_code_that_does_not_start_fails_the_gate_at_once(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): 'throw new Error("no start");'})
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert "does not start" in result.message
