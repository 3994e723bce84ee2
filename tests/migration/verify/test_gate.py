"""Only what was seen to answer counts as live."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checks.evidence import Evidence, Missing, Spend, Traffic, Window
from checks.result import CriterionResult, Verdict
from migration.base.errors import Refused
from migration.clients.edge import Purpose
from migration.context import Context
from migration.deploy import deploy
from migration.deploy.result import DeployResult
from migration.deploy.staging import Pace
from migration.rehearsal.server import Running
from migration.verify import checks_run, gate
from migration.verify.smoke import CaseResult, SmokeResult
from tests.support import drawn, scene
from tests.support.clock import VirtualClock
from tests.support.scene import Scene, index

QUICK = Pace(upload=10.0, retry=2.0, limited=2.0, activate=2.0, wait=0.02, longest=0.1)
CASES = [
    {"name": slug, "function": slug, "auth": "none", "method": "GET", "expect": {"status": 200}}
    for slug in ("alpha", "beta")
]


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    files: dict[str, Any] = {"gate": {"probe": "auto", "delay": "0s", "within": "8s"}, "smoke": CASES}
    made = scene.make(tmp_path, sandbox, **files)
    made.commit(
        {"supabase/config.toml": "[functions.alpha]\nverify_jwt = false\n[functions.beta]\nverify_jwt = false\n"}
    )
    return made


def _deploy(context: Context, **more: object) -> DeployResult:
    return deploy.run(context, deploy.DeployOptions(**{"yes": True, "pace": QUICK, **more}))  # type: ignore[arg-type]


def _live(stage: Scene) -> dict[str, int]:
    return {function.slug: function.version for function in stage.context().supabase.functions()}


def test_a_good_deploy_is_proven_by_execution_id_and_version(stage: Scene) -> None:
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("live", 0), result.message
    probes = result.gate["proof"]["probes"]
    assert {(probe["slug"], probe["version"], probe["proven"]) for probe in probes} == {
        ("alpha", 1, True),
        ("beta", 1, True),
    }
    assert all(probe["execution"] for probe in probes)


def test_a_failed_smoke_case_puts_the_former_code_back_and_holds_the_change(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): 'Deno.serve(() => new Response("no", { status: 500 }));'})
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert stage.context().edge.call("alpha", purpose=Purpose.SMOKE, method="GET", auth="none").text == "1"
    assert stage.context().ledger.history().holds


def test_code_that_does_not_start_fails_the_gate_at_once(stage: Scene) -> None:
    _deploy(stage.context())
    stage.commit({index("alpha"): 'throw new Error("no start");'})
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert "does not start (BOOT_ERROR, log: " in result.message and "no start" in result.message
    assert "file://" not in result.message  # the stack behind the message helps no one at night


@pytest.mark.slow
def test_an_old_version_that_goes_on_answering_fails_the_gate(stage: Scene) -> None:
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    stage.running.fault("route", "stale", slug="alpha", times=0)
    result = _deploy(stage.context(clock=scene.Hurried()))
    stage.running.heal()
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert "v1 answers; v2 was expected" in result.message


def test_one_stale_region_fails_the_gate_and_is_named(tmp_path: Path, sandbox: Running) -> None:
    gate = {"probe": "options", "delay": "0s", "within": "8s", "regions": ["eu-central-1", "us-east-1"]}
    stage = scene.make(tmp_path, sandbox, gate=gate)
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    sandbox.fault("route", "stale", slug="beta", region="us-east-1", times=0)
    result = _deploy(stage.context(clock=scene.Hurried()))
    sandbox.heal()
    assert result.deployment.outcome == "restored", result.message
    assert "beta in us-east-1: v1 answers" in result.message
    assert "eu-central-1" not in result.message


def test_a_region_that_catches_up_in_time_passes(stage: Scene) -> None:
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    stage.running.fault("route", "stale", slug="alpha", times=1)
    result = _deploy(stage.context(clock=scene.Hurried()))
    assert result.deployment.outcome == "live", result.message


def test_404_after_green_fails_the_gate(stage: Scene) -> None:
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    stage.running.fault("route", "missing", slug="beta", times=0)
    result = _deploy(stage.context(clock=scene.Hurried()))
    stage.running.heal()
    assert result.deployment.outcome == "restored", result.message
    assert "beta: it answers 404" in result.message


@pytest.mark.slow
def test_a_log_outage_keeps_the_good_deploy_and_says_that_it_is_unproven(stage: Scene) -> None:
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    stage.running.fault("logs", "error", error="Backend error! Retry your query.", times=0)
    result = _deploy(stage.context(clock=scene.Hurried()))
    stage.running.heal()
    assert (result.deployment.outcome, result.exit_code) == ("unproven", 4), result.message
    assert [str(step) for step in result.next] == ["to prove it:", "inv checks", "to take it back:", "inv rollback"]
    assert stage.context().edge.call("alpha", purpose=Purpose.SMOKE, method="GET", auth="none").text == "2"


@pytest.mark.slow
def test_inconclusive_restores_where_the_config_says_so(tmp_path: Path, sandbox: Running) -> None:
    stage = scene.make(
        tmp_path, sandbox, gate={"probe": "options", "delay": "0s", "within": "5s", "inconclusive": "restore"}
    )
    assert _deploy(stage.context(), gate=False).exit_code == 0
    stage.change(2)
    sandbox.fault("logs", "error", error="Backend error!", times=0)
    result = _deploy(stage.context(clock=scene.Hurried()))
    sandbox.heal()
    assert result.deployment.outcome == "restored", result.message
    assert _live(stage) == {"alpha": 3, "beta": 3}


def test_a_restored_change_is_held_until_it_is_lifted_with_a_reason(stage: Scene) -> None:
    _deploy(stage.context(), gate=False)
    stage.commit({index("alpha"): 'throw new Error("no start");'})
    assert _deploy(stage.context(clock=scene.Hurried())).deployment.outcome == "restored"
    with pytest.raises(Refused, match="taken back"):
        _deploy(stage.context(), gate=False)
    assert _deploy(stage.context(), gate=False, lift_hold="it is meant so").exit_code == 0
    assert not stage.context().ledger.history().holds


def test_no_gate_says_once_not_proven(stage: Scene) -> None:
    """The first line of the result says it loudly, nothing else repeats it, and the next commands would prove it."""
    context = stage.context()
    result = _deploy(context, gate=False)
    assert result.deployment.outcome == "ungated"
    assert list(map(str, result.next)) == [
        "to prove it:",
        "inv smoke --env prod",
        "inv checks",
        "to take it back:",
        "inv rollback",
    ]
    progress = "".join(each for event in context.observer.events for each in event)  # type: ignore[attr-defined]
    assert (drawn.drawn("deploy", result) + progress).upper().count("NOT PROVEN") == 1


def test_the_one_step_restore_of_a_created_function_deletes_it(stage: Scene) -> None:
    stage.commit({index("beta"): 'throw new Error("no start");'})
    result = _deploy(stage.context(clock=scene.Hurried()))
    assert result.deployment.outcome == "restored", result.message
    assert _live(stage) == {}


NOW = datetime(2026, 11, 27, tzinfo=UTC)


def _rows(*cases: CaseResult, embedded: bool = False) -> dict[str, int]:
    """The log rows that a gate of alpha, with a case GET and one OPTIONS, waits for."""
    config: Any = SimpleNamespace(gate=None, smoke=[SimpleNamespace(name="get", method="GET"),
                                                    SimpleNamespace(name="options", method="OPTIONS")])  # fmt: skip
    where = SimpleNamespace(embedded=embedded)
    context: Any = SimpleNamespace(config=config, clock=VirtualClock(NOW), environment=where)
    return gate._Gate(context, None, {"alpha": ("id", 2)}, (), set(), {})._rows(SmokeResult(cases))  # type: ignore[arg-type]


def _seen(**requests: int) -> Evidence:
    parts = tuple(Traffic(slug, {200: number}) for slug, number in requests.items())
    window = Window(NOW, NOW, {"alpha": 2, "beta": 1})
    return Evidence(window, parts, spend=Spend(0, 0))


def test_a_gate_waits_only_for_rows_that_can_come() -> None:
    """A function that was not deployed, and one that answers nothing but OPTIONS, made every gate wait for minutes."""
    get = CaseResult("get", "alpha", True, 200, execution_id="e1")
    options = CaseResult("options", "alpha", True, 200, execution_id="e2")
    assert _rows(get, options) == {"alpha": 1}
    assert _rows(options) == {"alpha": 0}
    assert _rows() == {"alpha": 1}, "without a case the first row is a caller's"
    assert _rows(embedded=True) == {"alpha": 0}, "the sandbox has no callers"
    open_ = [CriterionResult("c", Verdict.INCONCLUSIVE, "", "")]
    assert checks_run._settled(open_, _seen(alpha=1), _rows(get, options), True)
    assert checks_run._settled(open_, _seen(), _rows(options), True)
    assert not checks_run._settled(open_, _seen(beta=9), _rows(get), True)
    assert not checks_run._settled(open_, _seen(alpha=1), {}, True), "beta has none yet"
    blind = replace(_seen(), spend=Missing("no usage lines"))
    assert not checks_run._settled(open_, blind, _rows(options), True)
    assert checks_run._settled(open_, blind, _rows(options), False), "an app without usage lines has none to wait for"


def _brought(verdict: str, why: str = "") -> dict[str, Any]:
    """A check that the caller brings, as `cli` brings the steps in a browser."""
    found = gate.ExtraResult(verdict, why, {"seen": verdict}, {"steps": 3})
    return {"e2e": lambda: found}


@pytest.mark.slow
def test_brought_check_decides_like_the_gates_own(stage: Scene) -> None:
    """Its failure restores and holds, with its words; what it found stands in the result and in the ledger."""
    passed = _deploy(stage.context(), extra=_brought("pass"))
    assert passed.deployment.outcome == "live" and passed.gate["e2e"] == {"seen": "pass"}
    stage.commit({index("alpha"): 'Deno.serve(() => new Response("second"));'})
    failed = _deploy(stage.context(), extra=_brought("fail", "step 2 (press Fix): blank"))
    assert (failed.deployment.outcome, failed.exit_code) == ("restored", 1), failed.message
    assert "e2e: step 2 (press Fix): blank" in failed.message
    kept = stage.context().ledger.history().deployments[-1].gate
    assert kept["e2e"] == {"verdict": "fail", "steps": 3}


def test_brought_check_without_evidence_is_inconclusive(stage: Scene) -> None:
    """Every smoke case passed: the new code stays, exit 4."""
    result = _deploy(stage.context(), extra=_brought("inconclusive", "no log line yet"))
    assert (result.deployment.outcome, result.exit_code) == ("unproven", 4)
    assert "e2e: no log line yet" in result.message
