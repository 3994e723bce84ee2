"""The criteria on a real sandbox: after against before, and each fault where it must show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import checks
from checks.result import Result, Verdict
from migration import checks_run, smoke, soak, source
from migration.answers import samples
from migration.checks_run import ChecksResult
from migration.clients.http import Http
from migration.common.secrets_type import Secret
from migration.errors import ConfigError, Refused
from migration.evidence import usage
from migration.schema.settings import Criterion
from tests.support.stage import Moved, open_

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Twelve requests before the migration, half of them refused; then the migration, and nothing since."""
    stage = open_(tmp_path_factory.mktemp("stage"))
    try:
        stage.ask(12)
        stage.move()
        yield stage
    finally:
        stage.close()


def judge(stage: Moved, **more: Any) -> ChecksResult:
    return checks_run.run(stage.fresh(), deployment=Moved.deployment, **more)


def verdicts(found: ChecksResult) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in found.criteria}


def result(found: ChecksResult, name: str) -> Result:
    one = found.result(name)
    assert one is not None
    return one


def test_criteria_from_no_traffic_to_a_pass_and_then_to_each_fault(stage: Moved) -> None:
    """One story, because a version's log cannot be taken back."""
    quiet = judge(stage)
    of_traffic = ("no_503", "cost_logged", "success_rate", "response_time", "no_errors_in_logs", "cost_per_artifact")
    assert {name: verdicts(quiet)[name] for name in of_traffic} == dict.fromkeys(of_traffic, OPEN)
    assert (quiet.verdict, quiet.exit_code) == (OPEN, 4)

    assert stage.ask(24) == {200: 24}
    for slug, body in (("chat", {"message": "Hello"}), ("generate-image", {"prompt": "A red bicycle"})):
        assert stage.context.edge.call(slug, json=body).status == 200
    smoked = smoke.run(stage.fresh())
    assert smoked.ok, [case.failures for case in smoked.cases]
    gate = judge(stage, gate=True, smoke=smoked.samples, before=stage.context.supabase.functions(), patience=20)
    assert gate.verdict is PASS, [one for one in gate.criteria if one.verdict is not PASS]

    good = judge(stage, smoke=smoked.samples)
    open_ones = {name: verdict for name, verdict in verdicts(good).items() if verdict is not PASS}
    assert open_ones == {"success_rate": OPEN, "code_quality": OPEN}, good.criteria
    rate = result(good, "success_rate")
    assert "more requests like these would settle it" in rate.evidence[0]
    row = next(row for row in good.table if row.name == "success rate")
    assert (row.before.startswith("50 %"), row.after.startswith("100 %")) == (True, True)

    stage.misbehave(openrouter={"error_rate": {"503": 1.0}})
    assert set(stage.ask(6)) == {503}
    bad = judge(stage, smoke=smoked.samples)
    assert (bad.verdict, bad.exit_code) == (FAIL, 1)
    assert {"no_503", "no_errors_in_logs", "success_rate"} <= {n for n, v in verdicts(bad).items() if v is FAIL}
    assert result(bad, "no_503").got == f"6 of {24 + 6 + _artifact_cases(stage)} requests answered 503"
    assert len(result(bad, "no_503").evidence) == 6
    stage.misbehave()

    one = stage.context.supabase.function("chat")
    assert one is not None
    found = stage.context.supabase.body("chat")
    from migration.code import downloaded

    changed = downloaded.from_body(found, one)
    files = {
        path: data + (b"\n// mended\n" if path.endswith("chat/index.ts") else b"")
        for path, data in changed.files.items()
    }
    stage.context.supabase.deploy(type(changed)("chat", changed.entrypoint, files, verify_jwt=one.verify_jwt).upload())
    chat = result(judge(stage, smoke=smoked.samples), "chat_unchanged")
    assert (chat.verdict, chat.evidence) == (FAIL, ("index.ts",))
    moved = judge(stage, gate=True, smoke=smoked.samples, before=[one])
    assert result(moved, "chat_unchanged").got == "another version is live"


def _artifact_cases(stage: Moved) -> int:
    return sum(case.function in stage.config.migration.functions for case in stage.config.smoke)


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
    assert result(judge(stage), "artifacts_work").verdict is PASS


def test_a_user_s_own_criterion_is_judged_with_the_others(stage: Moved, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from checks import criterion, Finding, Verdict\n\n"
        "@criterion('enough_traffic')\n"
        "def enough_traffic(evidence, options):\n"
        "    'Requests in the window.'\n"
        "    seen = sum(part.requests for part in evidence.traffic)\n"
        "    return Finding(Verdict.PASS if seen >= (options.at_least or 1) else Verdict.FAIL, 'some', str(seen))\n"
    )
    context = stage.fresh()
    criteria = context.config.criteria.model_copy(update={"files": ["mine.py"]})
    context.config = context.config.model_copy(update={"criteria": criteria, "folder": tmp_path})
    found = checks_run.run(context, deployment=Moved.deployment)
    assert result(found, "enough_traffic").verdict is PASS


@pytest.mark.parametrize(
    "text,words",
    [
        (None, "mine.py, which does not exist"),
        ("1 +", "mine.py cannot be loaded: SyntaxError"),
        ("1/0", "ZeroDivision"),
    ],
)
def test_a_file_of_criteria_that_cannot_be_used_is_refused(
    stage: Moved, tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    criteria = stage.config.criteria.model_copy(update={"files": ["mine.py"]})
    with pytest.raises(ConfigError, match=words):
        checks_run.criteria(stage.config.model_copy(update={"criteria": criteria, "folder": tmp_path}))


def test_a_name_that_neither_we_nor_their_files_define_is_refused(stage: Moved, tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("")
    own = stage.config.criteria.model_copy(update={"files": ["none.py"]})
    own.__pydantic_extra__ = {"no_504": Criterion()}
    with pytest.raises(ConfigError, match=r"criteria\.no_504: no criterion of this name"):
        checks_run.criteria(stage.config.model_copy(update={"criteria": own, "folder": tmp_path}))


def test_a_config_that_names_no_criterion_never_passes(stage: Moved) -> None:
    own = stage.config.criteria.model_copy()
    own.__pydantic_extra__ = {}
    context = stage.fresh()
    context.config = context.config.model_copy(update={"criteria": own})
    found = checks_run.run(context)
    assert (found.criteria, found.verdict, found.exit_code) == ((), FAIL, 1)
    assert checks_run.run(context, deployment=Moved.deployment, gate=True, smoke=[]).verdict is OPEN


def test_earlier_readings_count_where_several_are_asked_for(stage: Moved) -> None:
    found = result(judge(stage), "artifacts_work")
    bad = replace(found, verdict=FAIL)
    assert result(judge(stage, readings={"artifacts_work": [bad]}), "artifacts_work").verdict is FAIL


def test_an_unknown_deployment_is_refused(stage: Moved) -> None:
    with pytest.raises(Refused, match="the ledger has no deployment nonsense"):
        checks_run.run(stage.fresh(), deployment="nonsense")


def since_now(stage: Moved, **criteria: Any) -> Callable[[], ChecksResult]:
    """What `inv checks` says of what happens from here on, with options of some criteria replaced."""
    context = stage.fresh()
    start = context.clock.now()

    def judged() -> ChecksResult:
        fresh = stage.fresh()
        own = fresh.config.criteria.model_copy()
        for name, options in criteria.items():
            assert own.__pydantic_extra__ is not None
            own.__pydantic_extra__[name] = Criterion(**options)
        fresh.config = fresh.config.model_copy(update={"criteria": own})
        return checks_run.run(fresh, since=start)

    return judged


def test_slow_answers_fail_the_response_time_and_quick_ones_pass_it(stage: Moved) -> None:
    judged = since_now(stage, response_time={"p95": 0.8, "requests": 4})
    assert result(judged(), "response_time").verdict is OPEN
    stage.misbehave(openrouter={"latency": 1.0})
    stage.ask(4)
    assert result(judged(), "response_time").verdict is FAIL
    assert float(re.search(r"p95 ([\d.]+) s", result(judged(), "response_time").got)[1]) >= 1.0  # type: ignore[index]
    stage.misbehave()


@pytest.mark.long
def test_a_dearer_provider_fails_the_cost_of_an_artifact_and_the_budget(stage: Moved) -> None:
    judged = since_now(stage)
    stage.misbehave(openrouter={"price": {"input": 60.0, "cached_input": 15.0, "output": 250.0}})
    stage.ask(4)
    found = judged()
    assert result(found, "cost_per_artifact").verdict is FAIL
    stage.misbehave()
    own = stage.fresh()
    for critical, warning, verdict in ((0.05, 0.01, FAIL), (500.0, 0.05, OPEN), (900.0, 800.0, PASS)):
        limits = own.config.budget.model_copy(update={"monthly_critical": critical, "monthly_warning": warning})
        own.config = own.config.model_copy(update={"budget": limits})
        budget = checks.REGISTRY["budget"].judge(found.evidence, checks_run.option(own.config, "budget"))  # type: ignore[arg-type]
        assert budget.verdict is verdict, budget


@pytest.mark.long
def test_requests_over_another_key_are_not_seen_on_ours(stage: Moved) -> None:
    context = stage.fresh()
    provider = Http(context.environment.provider_url, name="OpenRouter")
    manager = {"Authorization": f"Bearer {context.environment.management_key.reveal()}"}  # type: ignore[union-attr]
    made = provider.request("POST", "/keys", json={"name": "another"}, headers=manager)
    assert made.status == 201, made.text
    usage.read(context)
    judged = since_now(stage)
    context.supabase.set_secrets({"OPENROUTER_K2T_KEY": Secret(made.json()["key"])})
    try:
        assert stage.ask(3) == {200: 3}
        assert result(judged(), "provider_sees_requests").verdict is FAIL
    finally:
        context.supabase.set_secrets(context.environment.secrets)
    judged = since_now(stage)
    assert result(judged(), "provider_sees_requests").verdict is OPEN
    stage.ask(3)
    assert result(judged(), "provider_sees_requests").verdict is PASS


def test_a_revision_without_usage_lines_and_with_broken_artifacts_fails_what_it_breaks(stage: Moved) -> None:
    quiet = ("_shared/openrouter-client.ts", "💰 Token usage:", "tokens")
    delivered = "return { success: true, artifactCode"
    torn = f'{delivered}: artifactCode.replace("export default", "export defalt")'
    broken = ("generate-artifact/index.ts", delivered, torn)
    stage.mutate("generate-artifact", quiet, broken)
    judged = since_now(stage)
    assert stage.ask(4) == {200: 4}
    case = next(case.name for case in stage.config.smoke if case.function == "generate-artifact")
    assert not smoke.run(stage.fresh(), cases=[case]).ok
    found = until(judged, lambda one: result(one, "cost_logged").verdict is FAIL)
    assert result(found, "artifacts_work").verdict is FAIL
    assert result(found, "artifacts_work").got == "0 of 1 worked"
    assert (found.evidence.artifacts.valid, found.evidence.artifacts.delivered) == (0, 1)  # type: ignore[union-attr]
    assert result(found, "cost_logged").evidence[0].endswith("served, and no usage line")
    stage.mutate("generate-artifact")


@pytest.mark.long
def test_after_a_soak_every_criterion_passes(stage: Moved) -> None:
    judged = since_now(stage)
    for slug, body in (("chat", {"message": "Hello"}), ("generate-image", {"prompt": "A red bicycle"})):
        stage.context.edge.call(slug, json=body)
    stage.context.supabase.deploy(
        source.at_revision(stage.context.repository, stage.clone.base, ["chat"], stage.context.state)["chat"].upload()
    )
    stage.context.edge.call("chat", json={"message": "Hello"})
    found = soak.run(stage.fresh())
    assert (found.verdict, found.cost_measured) == ("pass", True), found
    checked = judged()
    assert checked.verdict is PASS, [one for one in checked.criteria if one.verdict is not PASS]


def until(
    judged: Callable[[], ChecksResult], done: Callable[[ChecksResult], bool], seconds: float = 30
) -> ChecksResult:
    """Judge again until it is so: a usage line counts as missing only once it cannot be late any more."""
    end = time.monotonic() + seconds
    while not done(found := judged()) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def test_what_stands_in_the_way_of_the_provider_is_told_beside_the_criteria(stage: Moved) -> None:
    dearer = {"openrouter": {"listed_price": {"input": 1.15, "cached_input": 0.15, "output": 8.0}}}
    stand_in = Http(stage.context.environment.url)
    assert stand_in.request("POST", "/_sandbox/providers", json=dearer).ok
    try:
        assert any("price" in finding.problem for finding in judge(stage).provider)
        assert judge(stage, gate=True).provider == ()
    finally:
        stand_in.request("DELETE", "/_sandbox/providers")
    assert judge(stage).provider == ()
