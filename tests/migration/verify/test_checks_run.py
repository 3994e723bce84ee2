"""The criteria on a real sandbox: after against before, and each fault where it must show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import checks
from checks.result import CriterionResult, Verdict
from migration.base.errors import ConfigError, Refused
from migration.base.secrets_type import Secret
from migration.clients.edge import Purpose
from migration.clients.http import Http
from migration.config.cases import SmokeCase
from migration.config.settings import CRITERIA, CriterionSettings
from migration.context import Context
from migration.ledger.deployments import Deployment
from migration.source import snapshots
from migration.verify import checks_run, measure, samples, smoke, soak
from migration.verify.checks_run import ChecksResult, InGate
from migration.verify.forecast import unmeasurable
from tests.support.stage import Moved, open_

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Twelve requests before the migration, half of them refused; then the migration, and nothing since."""
    stage = open_(tmp_path_factory.mktemp("stage"))
    limits = structs.replace(stage.config.budget, monthly_warning=1.0, monthly_critical=10_000.0)
    stage.config = structs.replace(stage.config, budget=limits)
    try:
        stage.ask(12)
        stage.move()
        yield stage
    finally:
        stage.close()


def judge(stage: Moved, **more: Any) -> ChecksResult:
    context = stage.fresh()
    return checks_run.run(context, deployment=moved(context), **more)


def moved(context: Context) -> Deployment:
    found = context.ledger.history().find(Moved.deployment)
    assert found is not None
    return found


def verdicts(found: ChecksResult) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in found.criteria}


def result(found: ChecksResult, name: str) -> CriterionResult:
    one = found.result(name)
    assert one is not None
    return one


def test_criteria_from_no_traffic_to_a_pass_and_then_to_a_changed_neighbour(stage: Moved) -> None:
    """One story, because a version's log cannot be taken back."""
    quiet = judge(stage)
    of_traffic = ("no_503", "cost_logged", "success_rate", "response_time", "no_errors_in_logs", "cost_per_request")
    assert {name: verdicts(quiet)[name] for name in of_traffic} == dict.fromkeys(of_traffic, OPEN)
    assert (quiet.verdict, quiet.exit_code) == (OPEN, 4)

    assert stage.ask(24) == {200: 24}
    for slug, body in (("chat", {"message": "Hello"}), ("generate-image", {"prompt": "A red bicycle"})):
        assert stage.context.edge.call(slug, purpose=Purpose.SMOKE, json=body).status == 200
    smoked = smoke.run(stage.fresh())
    assert smoked.ok, [case.failures for case in smoked.cases]
    gate = judge(stage, gate=InGate(smoked.samples, stage.context.supabase.functions(), 20))
    assert gate.verdict is PASS, [one for one in gate.criteria if one.verdict is not PASS]

    good = judge(stage)
    open_ones = {name: verdict for name, verdict in verdicts(good).items() if verdict is not PASS}
    assert open_ones == {"success_rate": OPEN, "code_quality": OPEN}, good.criteria
    rate = result(good, "success_rate")
    assert "more requests like these would settle it" in rate.evidence[0]
    row = next(row for row in good.table if row.name == "success rate")
    assert 30 < float(row.before.split("%")[0]) < 70 and row.after.startswith("100%"), row

    one = stage.context.supabase.function("chat")
    assert one is not None
    found = stage.context.supabase.body("chat")
    changed = snapshots.from_body(found, one)
    files = {
        path: data + (b"\n// mended\n" if path.endswith("chat/index.ts") else b"")
        for path, data in changed.files.items()
    }
    stage.context.supabase.deploy(type(changed)("chat", changed.entrypoint, files, verify_jwt=one.verify_jwt).upload())
    failed = judge(stage)
    assert "deployment " in failed.window or " to " in failed.window
    assert [str(step) for step in failed.next][1:] == ["or to take the deployment back:", "inv rollback"]
    chat = result(failed, "unchanged")
    assert (chat.verdict, chat.evidence[0]) == (FAIL, "chat: index.ts")
    others = [each for each in stage.context.supabase.functions() if each.slug != "chat"]
    moved = judge(stage, gate=InGate(smoked.samples, [*others, one]))
    assert "chat: another version is live" in result(moved, "unchanged").got
    stage.context.supabase.deploy(snapshots.from_body(found, one).upload())


def test_logs_that_cannot_be_read_are_an_error_of_measuring_and_no_verdict(stage: Moved) -> None:
    stage.running.fault("logs", "status", status=403, times=20)  # type: ignore[union-attr]
    try:
        found = judge(stage)
    finally:
        stage.running.heal()  # type: ignore[union-attr]
    broken = [one for one in found.criteria if one.error]
    assert {"no_503", "success_rate", "response_time", "cost_logged"} <= {one.name for one in broken}
    assert {one.verdict for one in broken} == {OPEN}


def test_a_window_looks_at_the_live_versions_only(stage: Moved) -> None:
    """The hour also holds the requests before the migration, half of them refused: they are the baseline."""
    context = stage.fresh()
    found = checks_run.run(context, since=context.clock.now() - timedelta(hours=1))
    versions = found.evidence.window.versions if found.evidence else {}
    assert set(versions.values()) == {2}


def test_what_smoke_cases_got_is_kept_and_judged_later(stage: Moved) -> None:
    context = stage.fresh()
    answered = smoke.run(context, cases=[stage.config.smoke[0].name])
    kept = samples.recent(context, context.clock.now() - timedelta(minutes=5), context.clock.now())
    assert answered.samples[0].execution in {one.execution for one in kept}
    assert result(judge(stage), "answers_work").verdict is PASS


def test_a_user_s_own_criterion_is_judged_with_the_others(stage: Moved, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from checks import criterion, Judgement, Verdict\n\n"
        "@criterion('enough_traffic')\n"
        "def enough_traffic(evidence, options):\n"
        "    'Requests in the window.'\n"
        "    seen = sum(part.requests for part in evidence.traffic)\n"
        "    return Judgement(Verdict.PASS if seen >= (options.at_least or 1) else Verdict.FAIL, 'some', str(seen))\n"
    )
    context = stage.fresh()
    criteria = structs.replace(context.config.criteria, files=["mine.py"])
    context.config = structs.replace(context.config, criteria=criteria, folder=tmp_path)
    try:
        found = checks_run.run(context, deployment=moved(context))
    finally:
        checks.REGISTRY.pop("enough_traffic", None)
    assert result(found, "enough_traffic").verdict is PASS


@pytest.mark.parametrize(
    "text,words",
    [
        (None, "mine.py does not exist"),
        ("1 +", "cannot load mine.py: SyntaxError"),
        ("1/0", "ZeroDivision"),
    ],
)
def test_a_file_of_criteria_that_cannot_be_used_is_refused(
    stage: Moved, tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    criteria = structs.replace(stage.config.criteria, files=["mine.py"])
    with pytest.raises(ConfigError, match=words):
        checks_run.criteria(structs.replace(stage.config, criteria=criteria, folder=tmp_path))


def test_a_name_that_neither_we_nor_their_files_define_is_refused(stage: Moved, tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("")
    own = structs.replace(stage.config.criteria, files=["none.py"], named={"no_504": CriterionSettings()})
    with pytest.raises(ConfigError, match=r"criteria\.no_504: unknown criterion"):
        checks_run.criteria(structs.replace(stage.config, criteria=own, folder=tmp_path))


def test_a_config_that_names_no_criterion_never_passes(stage: Moved) -> None:
    """Outside of a gate it is refused, with how to add one: a script that asks for proof must not go on."""
    own = structs.replace(stage.config.criteria, named={})
    context = stage.fresh()
    context.config = structs.replace(context.config, criteria=own)
    with pytest.raises(Refused, match="names no criterion, so there is nothing to prove") as refused:
        checks_run.run(context)
    assert refused.value.exit_code == 2 and "criteria: {no_503: {}" in str(refused.value.steps[1])
    assert checks_run.run(context, deployment=moved(context), gate=InGate()).verdict is OPEN


def test_what_stands_in_the_way_of_the_provider_is_told_beside_the_criteria(stage: Moved) -> None:
    dearer = {"openrouter": {"listed_price": {"input": 1.15, "cached_input": 0.15, "output": 8.0}}}
    token = stage.context.project()[1].reveal()
    stand_in = Http(stage.context.environment.url, {"Authorization": f"Bearer {token}"})
    assert stand_in.request("POST", "/_sandbox/providers", json=dearer).ok
    try:
        assert any("price" in finding.problem for finding in judge(stage).provider)
        assert judge(stage, gate=InGate()).provider == ()
    finally:
        stand_in.request("DELETE", "/_sandbox/providers")
    assert judge(stage).provider == ()


Judged = Callable[[], ChecksResult]
Scene = Callable[[Moved], ChecksResult]
DRIVEN: list[tuple[Scene, dict[str, Verdict]]] = []


def drives(**verdicts: Verdict) -> Callable[[Scene], Scene]:
    """Say which verdicts a scene brings about on the sandbox; a scene returns what `inv checks` says at its end."""

    def noted(scene: Scene) -> Scene:
        DRIVEN.append((scene, verdicts))
        return scene

    return noted


def since_now(stage: Moved, **criteria: Any) -> Judged:
    """What `inv checks` says of what happens from here on, with options of some criteria replaced."""
    context = stage.fresh()
    measure.read_key(context)
    start = context.clock.now()

    def judged() -> ChecksResult:
        fresh = stage.fresh()
        own = fresh.config.criteria
        given = {name: CriterionSettings(**options) for name, options in criteria.items()}
        fresh.config = structs.replace(fresh.config, criteria=structs.replace(own, named={**own.named, **given}))
        return checks_run.run(fresh, since=start)

    return judged


def until(judged: Judged, name: str, verdict: Verdict, seconds: float = 30) -> ChecksResult:
    """Judge again until it is so: a usage line counts as missing only once it cannot be late any more."""
    end = time.monotonic() + seconds
    while result(found := judged(), name).verdict is not verdict and time.monotonic() < end:
        time.sleep(0.5)
    return found


_OF_TRAFFIC = ("no_503", "cost_logged", "provider_sees_requests", "no_errors_in_logs", "success_rate", "response_time",
               "cost_per_request")  # fmt: skip
_OF_ANSWERS = ("answers_work", "code_quality")
_OF_OTHERS = ("unchanged",)


@drives(**dict.fromkeys((*_OF_TRAFFIC, *_OF_ANSWERS, *_OF_OTHERS), OPEN))
def nobody_asks(stage: Moved) -> ChecksResult:
    return since_now(stage)()


@drives(**dict.fromkeys(CRITERIA, PASS))
def all_is_well(stage: Moved) -> ChecksResult:
    judged = since_now(stage)
    for slug, body in (("chat", {"message": "Hello"}), ("generate-image", {"prompt": "A red bicycle"})):
        stage.context.edge.call(slug, purpose=Purpose.SMOKE, json=body)
    found = soak.run(stage.fresh())
    assert (found.verdict, found.cost_measured) == ("pass", True), found
    return judged()


@drives(provider_sees_requests=OPEN)
def the_provider_books_late(stage: Moved) -> ChecksResult:
    judged = since_now(stage)
    stage.ask(2)
    stage.misbehave(openrouter={"booking_delay": 3600})
    stage.ask(8)
    found = judged()
    assert "may be late" in result(found, "provider_sees_requests").evidence[0]
    stage.misbehave()
    assert result(judged(), "provider_sees_requests").verdict is PASS
    return found


@drives(no_503=FAIL, no_errors_in_logs=FAIL, success_rate=FAIL)
def the_provider_is_overloaded(stage: Moved) -> ChecksResult:
    judged = since_now(stage)
    stage.misbehave(openrouter={"error_rate": {"503": 1.0}})
    assert stage.ask(6) == {503: 6}
    found = judged()
    assert (found.verdict, found.exit_code) == (FAIL, 1)
    assert (result(found, "no_503").got, len(result(found, "no_503").evidence)) == ("6 of 6 requests answered 503", 6)
    return found


@drives(answers_work=FAIL, code_quality=FAIL)
def the_model_stops_in_the_middle(stage: Moved) -> ChecksResult:
    judged = since_now(stage)
    stage.misbehave(openrouter={"error_rate": {"torn": 1.0}})
    cases = [case.name for case in stage.config.smoke if (case.expect.artifact or case.expect.code) and not _fed(case)]
    smoked = smoke.run(stage.fresh(), cases=cases, lines=False)
    assert [(case.status, case.artifact) for case in smoked.cases] == [(200, "invalid")] * 3
    found = judged()
    assert result(found, "answers_work").got == "0 of 3 as expected"
    assert result(found, "code_quality").got.startswith("0 of 3 valid")
    assert result(found, "code_quality").evidence[0].count("Deno cannot parse it")
    return found


def _fed(case: SmokeCase) -> bool:
    return "capture." in str(case.body)


@drives(response_time=FAIL)
def the_provider_is_slow(stage: Moved) -> ChecksResult:
    judged = since_now(stage, response_time={"p95": 0.8, "requests": 4})
    stage.misbehave(openrouter={"latency": 1.0})
    stage.ask(4)
    found = judged()
    assert float(re.search(r"p95 ([\d.]+)s", result(found, "response_time").got)[1]) >= 1.0  # type: ignore[index]
    return found


@drives(**dict.fromkeys(_OF_OTHERS, FAIL))
def the_other_functions_are_gone(stage: Moved) -> ChecksResult:
    judged = since_now(stage)
    for slug in stage.config.migration.unchanged:
        stage.running.fault("route", "missing", slug=slug, times=0)  # type: ignore[union-attr]
    smoke.run(stage.fresh(), ["chat", "image"], lines=False)
    found = judged()
    assert "does not answer (404)" in result(found, "unchanged").got
    return found


@drives(cost_logged=FAIL, provider_sees_requests=FAIL)
def another_key_pays_and_no_usage_is_logged(stage: Moved) -> ChecksResult:
    context = stage.fresh()
    target = context.target
    assert target is not None and target.management_key is not None
    provider = Http(target.url, name="OpenRouter")
    manager = {"Authorization": f"Bearer {target.management_key.reveal()}"}
    made = provider.request("POST", "/keys", json={"name": "another"}, headers=manager)
    assert made.status == 201, made.text
    context.supabase.set_secrets({"OPENROUTER_K2T_KEY": Secret(made.json()["key"])})
    stage.mutate("generate-artifact", ("_shared/openrouter-client.ts", "💰 Token usage:", "tokens"))
    try:
        judged = since_now(stage)
        assert stage.ask(3) == {200: 3}
        found = until(judged, "cost_logged", FAIL)
    finally:
        context.supabase.set_secrets(context.environment.secrets)
        stage.mutate("generate-artifact")
    assert result(found, "cost_logged").evidence[0].endswith("served without a usage line")
    assert "another key" in result(found, "provider_sees_requests").evidence[0]
    return found


@drives(cost_per_request=FAIL, budget=OPEN)
def the_provider_is_a_thousand_times_dearer(stage: Moved) -> ChecksResult:
    return _dearer(stage, 1_000)


@drives(cost_per_request=FAIL, budget=FAIL)
def the_provider_is_ten_million_times_dearer(stage: Moved) -> ChecksResult:
    return _dearer(stage, 10_000_000)


def _dearer(stage: Moved, times: int) -> ChecksResult:
    judged = since_now(stage)
    price = {"input": 0.6 * times, "cached_input": 0.15 * times, "output": 2.5 * times}
    stage.misbehave(openrouter={"price": price, "credit": 10**12})
    assert stage.ask(4) == {200: 4}
    return judged()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scene", "wanted"),
    [
        pytest.param(*each, id=each[0].__name__, marks=pytest.mark.long if each[0] is all_is_well else ())
        for each in DRIVEN  # a rehearsal, too, ends with all criteria passed
    ],
)
def test_a_fault_of_the_sandbox_brings_these_verdicts_about(
    stage: Moved, scene: Scene, wanted: dict[str, Verdict]
) -> None:
    try:
        found = scene(stage)
    finally:
        stage.misbehave()
        stage.running.heal()  # type: ignore[union-attr]
    assert {name: verdicts(found)[name] for name in wanted} == wanted, found.criteria


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_is_driven_to_all_three_verdicts_on_the_sandbox(name: str) -> None:
    assert {wanted[name] for _, wanted in DRIVEN if name in wanted} == set(Verdict)


def test_what_cannot_be_measured_is_refused(stage: Moved) -> None:
    """Before anything is asked or deployed, each with what is missing."""
    config = stage.config
    lacking = structs.replace(
        config,
        migration=structs.replace(config.migration, unchanged=[]),
        signals={name: one for name, one in config.signals.items() if name != "usage"},
    )
    problems = list(unmeasurable(lacking))
    assert "criteria.unchanged cannot be measured: migration.unchanged names no function" in problems
    assert any("cost_logged" in one and "signals.usage" in one for one in problems)
    with pytest.raises(ConfigError, match="names no function"):
        checks_run.criteria(lacking)
    assert list(unmeasurable(config)) == []
