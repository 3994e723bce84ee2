"""Nothing is sent to a function that config.yaml does not name, and nothing twice without a reason."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from migration.clients.edge import Purpose
from migration.config import logsql
from migration.config.settings import CriterionSettings
from migration.context import Context
from migration.deploy import deploy
from migration.deploy import plan as planning
from migration.deploy.deploy import DeployOptions
from migration.deploy.result import DeployResult
from migration.inspect import doctor, history, status
from migration.logs import logs
from migration.logs.reader import LogReader
from migration.rehearsal.server import Running
from migration.setup import secret
from migration.verify import checks_run, gate, rounds, smoke
from migration.verify.forecast import MOST, GateForecast, forecast
from tests.support import scene
from tests.support.scene import Scene, index

CASES = [
    {"name": slug, "function": slug, "auth": "none", "body": {"n": 1}, "expect": {"text": "done"}}
    for slug in ("alpha", "beta")
]
OTHER = {"name": "other", "function": "other", "auth": "none", "body": {}, "expect": {"status": [200, 404]}}
GATE = {"probe": "auto", "delay": "0s", "within": "8s"}
# As many functions in use: every method runs the whole body, which opens a payment session.
CHARGES = 'Deno.serve((r) => { console.log("payment session", r.method); return new Response("done %s"); });\n'


def charging(version: int) -> dict[str, str | None]:
    return {index(slug): CHARGES % version for slug in ("alpha", "beta")}


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    made = scene.make(tmp_path, sandbox, gate=GATE, smoke=CASES)
    config = "".join(f"[functions.{slug}]\nverify_jwt = false\n" for slug in (*made.functions, "other"))
    made.commit({"supabase/config.toml": config, **charging(1)})
    return made


def run(context: Context, **more: Any) -> DeployResult:
    return deploy.run(context, DeployOptions(**{"yes": True, **more}))


def sessions(stage: Scene) -> Counter[str]:
    """Methods of the requests that ran a function's body, by the lines that it logged."""
    context = stage.context()
    now = context.clock.now()
    began = (stage.folder / "remote.git/config").stat().st_mtime  # the sandbox serves other tests too
    since, until = datetime.fromtimestamp(began, UTC), now + timedelta(minutes=1)
    where = logsql.both(logsql.span(since, until), "event_message like 'payment session%'")
    rows = LogReader.of(context).query(f"select event_message from logs where {where} limit 1000", since, until)
    return Counter(str(row["event_message"]).split()[-1] for row in rows)


def test_deploy_sends_each_case_once(stage: Scene) -> None:
    """No OPTIONS, no second request: the smoke cases' own log rows prove the new version."""
    context = stage.context()
    result = run(context)
    assert (result.deployment.outcome, result.exit_code) == ("live", 0), result.message
    assert sessions(stage) == {"POST": 2}
    assert context.edge.sent == {Purpose.GATE: 2}
    assert {probe["version"] for probe in result.gate["proof"]["probes"]} == {1}


def test_reading_verbs_send_nothing(stage: Scene) -> None:
    """plan, checks, doctor, secret, status, history and logs run no function."""
    run(stage.context(), gate=False)
    context = stage.context()
    planning.make(context, diff=True)
    own = structs.replace(context.config.criteria, named={"no_503": CriterionSettings()})
    context.config = structs.replace(context.config, criteria=own)
    checks_run.run(context)
    doctor.run(context)
    secret.verify(context)
    status.run(context)
    history.run(context)
    list(logs.history(context, logs.LogQuery(since=context.clock.now() - timedelta(hours=1))))
    forecast(context.config, stage.functions)
    assert not context.edge.sent and not sessions(stage)


def test_options_only_where_asked(stage: Scene) -> None:
    stage.settings = {**stage.settings, "gate": {**GATE, "probe": "options"}}
    assert run(stage.context()).deployment.outcome == "live"
    assert sessions(stage)["OPTIONS"] >= 2


def test_an_old_version_gets_the_request_again(stage: Scene) -> None:
    """A region that serves the old version once is sent the same request a second time, and passes."""
    run(stage.context(), gate=False)
    stage.commit(charging(2))
    stage.running.fault("route", "stale", slug="alpha", times=1)
    context = stage.context(clock=scene.Hurried())
    result = run(context)
    assert result.deployment.outcome == "live", result.message
    assert context.edge.sent == {Purpose.GATE: 3}
    said = [text for kind, _, _, text in context.observer.events if kind == "note"]  # type: ignore[attr-defined]
    assert any("v1 answers; sending again, until" in text and "is live meanwhile" in text for text in said)


@pytest.mark.slow
def test_three_requests_at_most(stage: Scene) -> None:
    run(stage.context(), gate=False)
    stage.commit(charging(2))
    stage.running.fault("route", "stale", slug="alpha", times=0)
    context = stage.context(clock=scene.Hurried())
    result = run(context)
    stage.running.heal()
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert "alpha: v1 answers; v2 was expected" in result.message
    assert context.edge.sent == {Purpose.GATE: MOST + 1}


def test_further_regions_get_one_request_each(stage: Scene) -> None:
    regions = ["eu-central-1", "us-east-1", "ap-south-1"]
    more = deepcopy(CASES[0]) | {"name": "again"}
    stage.settings = {**stage.settings, "gate": {**GATE, "regions": regions}, "smoke": [*CASES, more]}
    context = stage.context()
    result = run(context)
    assert result.deployment.outcome == "live", result.message
    assert context.edge.sent == {Purpose.GATE: 3 + 2 * 2}
    assert len(result.gate["proof"]["probes"]) == 6
    assert forecast(context.config, stage.functions).requests == MOST * 7


def test_a_function_without_a_case_is_not_proven(stage: Scene) -> None:
    """The forecast says so before, and the gate ends inconclusive without a request to it."""
    stage.settings = {**stage.settings, "smoke": CASES[:1]}
    context = stage.context(clock=scene.Hurried())
    assert forecast(context.config, stage.functions).unproven == ("beta",)
    result = run(context)
    assert (result.deployment.outcome, result.exit_code) == ("unproven", 4), result.message
    assert "beta: no smoke case" in result.message
    assert sessions(stage) == {"POST": 1}


def test_a_marker_needs_no_logs(stage: Scene) -> None:
    marked = 'new Response("done", { headers: { "x-deployment": Deno.env.get("DENO_DEPLOYMENT_ID")! } })'
    stage.commit({index(slug): f"Deno.serve(() => {marked});\n" for slug in stage.functions})
    stage.settings = {**stage.settings, "gate": {**GATE, "marker": {"header": "x-deployment"}}}
    run(stage.context(), gate=False)
    context = stage.context()
    live = {one.slug: (one.id, one.version) for one in context.supabase.functions()}
    stage.running.fault("logs", "status", status=500, times=0)
    found = rounds.run(context, live, ["alpha", "beta"])
    stage.running.heal()
    assert found.proof.verdict == "pass"
    assert not found.failed and context.edge.sent == {Purpose.GATE: 2}


def test_a_failure_is_named_once_with_its_log_line(stage: Scene) -> None:
    """Which case, expected and got, the request, its log line: in the verdict alone, not at the step as well."""
    run(stage.context(), gate=False)
    broken = (
        'Deno.serve(() => { console.error("no such table: orders"); '
        'return new Response(JSON.stringify({ error: "Busy" }), { status: 500 }); });\n'
    )
    stage.commit({index("alpha"): broken})
    context = stage.context()
    result = run(context)
    assert (result.deployment.outcome, result.exit_code) == ("restored", 1), result.message
    assert "smoke case alpha: status: expected 200, got 500: Busy" in result.message
    assert "log: no such table: orders" in result.message
    assert "{" not in result.message
    shown = [row for row in context.observer.events if row[0] in ("warn", "failed")]  # type: ignore[attr-defined]
    assert ("failed", "smoke", "alpha", "500") in shown
    assert not any("orders" in text or "Busy" in text for *_, text in shown)


def test_an_options_case_delays_nothing(stage: Scene) -> None:
    """The criteria leave preflights out, so the gate must not wait for their rows."""
    preflight = {"name": "preflight", "function": "alpha", "auth": "none", "method": "OPTIONS"}
    criteria: dict[str, dict[str, Any]] = {"no_503": {}, "no_errors_in_logs": {}}
    stage.settings = {**stage.settings, "smoke": [*CASES, preflight], "criteria": criteria}
    context = stage.context()
    began = context.clock.monotonic()
    result = run(context)
    assert result.deployment.outcome == "live", result.message
    assert context.clock.monotonic() - began < 30


def test_untouched_functions_are_compared_with_before(stage: Scene) -> None:
    """Failing before and after is a notice; passing before and failing after fails the gate."""
    stage.settings = {**stage.settings, "smoke": [*CASES, {**OTHER, "expect": {"status": 200}}]}
    context = stage.context()
    assert gate.untouched(context) == {"other": False}
    assert context.edge.sent == {Purpose.BEFORE: 1}
    run(stage.context(), gate=False)
    live = {one.slug: (one.id, one.version) for one in context.supabase.functions()}
    deployment = context.ledger.history().deployments[-1]
    found = gate.run(context, deployment, live, [], passing={"other": False})
    assert found.verdict == "pass", found.why
    found = gate.run(context, deployment, live, [], passing={"other": True})
    assert found.verdict == "fail"
    assert "smoke case other" in found.why


def test_smoke_counts_its_own(stage: Scene) -> None:
    run(stage.context(), gate=False)
    context = stage.context()
    smoke.run(context)
    assert context.edge.sent == {Purpose.SMOKE: 2}


@pytest.mark.parametrize(
    ("many", "said"),
    [
        (1, "f0 has no smoke case: the gate cannot prove that it answers,"),
        (2, "f0 and f1 have no smoke case: the gate cannot prove that they answer,"),
        (30, "f0, f1, f2, f3, f4 and 25 more have no smoke case: the gate cannot prove that they answer,"),
    ],
)
def test_functions_without_a_case_are_one_line(many: int, said: str) -> None:
    """Thirty of them filled a screen before the plan's own last line."""
    lines = list(GateForecast(0, 0.0, tuple(f"f{number}" for number in range(many))).lines())
    assert len(lines) == 2 and lines[1].startswith(said)
