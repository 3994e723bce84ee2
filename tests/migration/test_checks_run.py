"""The criteria on a real sandbox: after against before, and each fault where it must show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.result import Result, Verdict
from migration import checks_run, samples, smoke
from migration.checks_run import ChecksResult
from migration.errors import ConfigError, Refused
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
    from migration import downloaded

    changed = downloaded.from_body(found, one)
    files = {
        path: data + (b"\n// mended\n" if path.endswith("chat/index.ts") else b"")
        for path, data in changed.files.items()
    }
    stage.context.supabase.deploy(type(changed)("chat", changed.entrypoint, files, verify_jwt=one.verify_jwt).upload())
    chat = result(judge(stage, smoke=smoked.samples), "chat_unchanged")
    assert (chat.verdict, chat.evidence) == (FAIL, ("supabase/functions/chat/index.ts",))
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


def test_an_unknown_deployment_is_refused(stage: Moved) -> None:
    with pytest.raises(Refused, match="the ledger has no deployment nonsense"):
        checks_run.run(stage.fresh(), deployment="nonsense")
