"""Three verdicts on who answers: the new version, something else, or nobody could see."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.clients.http import Answer
from migration.deploy import deploy
from migration.logs.reader import LogReader
from migration.rehearsal.server import Running
from migration.verify.proof import BOOT_FAILURES, Probe, _note, judge, prove
from tests.support import scene


def _probe(**known: object) -> Probe:
    return Probe("alpha", "", "id", 2, **known)  # type: ignore[arg-type]


def test_all_proven_is_a_pass() -> None:
    assert judge([_probe(version=2), _probe(version=2)]).verdict == "pass"


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"version": 1, "status": 200}, "v1 answers; v2 was expected"),
        ({"version": 3, "status": 200}, "v3 answers; v2 was expected"),
        ({"status": 404}, "it answers 404"),
        ({"boot_failures": BOOT_FAILURES, "status": 503}, "does not start"),
    ],
)
def test_something_else_that_answers_is_a_fail(known: dict[str, object], why: str) -> None:
    found = judge([_probe(version=2), _probe(**known)])
    assert found.verdict == "fail"
    assert why in found.why


def test_no_log_row_in_time_is_inconclusive_and_never_a_pass() -> None:
    found = judge([_probe(version=2), _probe(status=200, executions=["e"])])
    assert found.verdict == "inconclusive"
    assert "no log row" in found.why
    assert "outage" in judge([_probe(status=200)], "outage").why


@pytest.mark.parametrize(
    ("value", "version"),
    [("abc_0f1e-22_7", 7), ("7", 7), (" 7 ", 7), ("", None), ("v7", None), ("7.1", None), ("abc_0f1e_", None)],
)
def test_a_marker_is_a_deployment_id_or_a_version_and_nothing_else(value: str, version: int | None) -> None:
    probe = _probe()
    _note(probe, Answer(204, {"x-deployment": value, "x-deno-execution-id": "e"}, b"", 0.1), "x-deployment")
    assert probe.version == version
    assert probe.executions == ([] if version else ["e"]), "without a marker the logs are asked"


def test_a_marker_in_the_answer_proves_without_the_logs_and_an_old_one_refutes(
    tmp_path: Path, sandbox: Running
) -> None:
    gate = {"delay": "0s", "within": "1s", "marker": {"header": "x-deployment"}}
    stage = scene.make(tmp_path, sandbox, gate=gate)
    marked = 'new Response("1", { headers: { "x-deployment": Deno.env.get("DENO_DEPLOYMENT_ID")! } })'
    stage.commit({scene.index(slug): f"Deno.serve(() => {marked});\n" for slug in stage.functions})
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    sandbox.fault("logs", "status", status=500, times=0)
    context = stage.context(clock=scene.Hurried())
    live = {one.slug: (one.id, one.version) for one in context.supabase.functions()}
    assert prove(context, live, LogReader.of(context)).verdict == "pass"
    later = {slug: (name, version + 1) for slug, (name, version) in live.items()}
    found = prove(context, later, LogReader.of(context))
    assert found.verdict == "fail"
    assert "v1 answers; v2 was expected" in found.why
