"""What a result and a list of them come to."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import pytest

import checks
from checks.criterion import Criterion, criterion, failed, need, passed
from checks.evidence import Evidence, Missing, Traffic, Window
from checks.result import CriterionOptions, CriterionResult, Judgement, Verdict, overall

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
GOOD = CriterionResult("no_503", PASS, "none", "none")
BAD = replace(GOOD, verdict=FAIL)
OPENED = replace(GOOD, verdict=OPEN)
ERROR = replace(OPENED, error="the logs cannot be read")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVIDENCE = Evidence(Window(NOW, NOW), (Traffic("generate-artifact", {200: 9, 503: 1}),))


class GateOptions(TypedDict, total=False):
    gate: bool


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([], FAIL),
        ([replace(GOOD, advisory=True)], FAIL),
        ([GOOD], PASS),
        ([GOOD, OPENED], OPEN),
        ([GOOD, ERROR], OPEN),
        ([OPENED, BAD], FAIL),
        ([GOOD, replace(BAD, advisory=True), replace(OPENED, advisory=True)], PASS),
    ],
)
def test_a_list_passes_only_when_something_decided_and_all_that_decided_passed(
    results: list[CriterionResult], verdict: Verdict
) -> None:
    assert overall(results) is verdict


def test_an_advisory_criterion_reports_its_verdict_and_does_not_decide() -> None:
    found = checks.REGISTRY["no_503"].judge(EVIDENCE, CriterionOptions(advisory=True))
    assert (found.verdict, found.advisory) == (FAIL, True)


@pytest.mark.parametrize(
    ("name", "options", "advisory"),
    [
        ("no_503", {}, False),
        ("no_503", {"gate": False}, True),
        ("success_rate", {}, True),
        ("success_rate", {"gate": True}, False),
        ("code_quality", {}, True),
    ],
)
def test_in_a_gate_what_so_few_requests_cannot_settle_does_not_hold_the_deploy_back(
    name: str, options: GateOptions, advisory: bool
) -> None:
    assert checks.REGISTRY[name].judge(replace(EVIDENCE, gate=True), CriterionOptions(**options)).advisory is advisory


def test_in_a_gate_a_rate_that_is_surely_too_low_fails_the_deploy() -> None:
    few = replace(EVIDENCE, gate=True, traffic=(Traffic("generate-artifact", {503: 3}),))
    found = checks.REGISTRY["success_rate"].judge(few)
    assert (found.verdict, found.advisory) == (FAIL, False)


def test_a_mistake_in_a_user_s_criterion_is_told_and_is_no_verdict_on_the_service() -> None:
    def broken(evidence: Evidence, options: CriterionOptions) -> Judgement:  # noqa: ARG001
        return passed("x", str(1 / 0))

    found = Criterion("mine", "x", "decides", broken).judge(EVIDENCE)
    assert found.verdict is OPEN
    assert found.error == "the criterion raised ZeroDivisionError: division by zero"


def test_a_user_s_criterion_takes_its_name_measure_and_place_from_the_decorator() -> None:
    mine: dict[str, Criterion] = {}

    @criterion("no_teapots", gate="decides", registry=mine)
    def no_teapots(evidence: Evidence, options: CriterionOptions) -> Judgement:  # noqa: ARG001
        """Answers 418."""
        return passed("none", "none") if not need(evidence.traffic)[0].count(418) else failed("none", "some")

    found = mine["no_teapots"].judge(EVIDENCE)
    assert (found.name, found.measures, found.verdict) == ("no_teapots", "Answers 418.", PASS)
    assert "no_teapots" not in checks.REGISTRY


def test_a_criterion_without_a_word_on_what_it_measures_is_refused() -> None:
    with pytest.raises(ValueError, match="says what it measures"):
        criterion("mute", registry={})(lambda _evidence, _options: passed("x", "y"))


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    code = compile("def no_503(evidence, options):\n    'Mine.'\n", str(tmp_path / "mine.py"), "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    with pytest.raises(ValueError, match="already a criterion named no_503"):
        criterion("no_503")(names["no_503"])


def test_evidence_that_is_missing_carries_its_reason_into_the_result() -> None:
    found = checks.REGISTRY["no_503"].judge(replace(EVIDENCE, traffic=Missing("the logs answered 502")))
    assert found.error == "the logs answered 502"
