"""Each shipped criterion is driven to pass, fail and inconclusive; an error of measuring is never a verdict."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypedDict, Unpack

import pytest

import checks
from checks.evidence import (
    Artifacts,
    Evidence,
    Faults,
    Missing,
    Month,
    Offender,
    ProviderEvidence,
    SentAnswers,
    Spend,
    Traffic,
    UnchangedEvidence,
    Window,
)
from checks.result import CriterionOptions, Verdict
from migration.config.settings import CRITERIA

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
WINDOW = Window(datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC))
BLANK = Evidence(WINDOW, Missing("the logs cannot be read"))
QUIET = Traffic("generate-artifact", {})
BAD = Offender("3f6c", "generate-artifact", "503 after 2.0s")


class CaseOptions(TypedDict, total=False):
    at_least: float
    at_most: float
    reject: float
    p50: float
    mean: float
    requests: int
    function: str
    monthly_warning: float


class UnchangedFacts(TypedDict, total=False):
    same_source: bool | None
    differs: tuple[str, ...]
    same_version: bool | None
    answers: bool | None
    status: int
    route_lines: int | None
    routed: bool


def traffic(
    statuses: Mapping[int, int], seconds: Mapping[float, int] | None = None, offenders: tuple[Offender, ...] = ()
) -> Evidence:
    return replace(BLANK, traffic=(Traffic("generate-artifact", statuses, seconds or {}, offenders),))


def alike(function: str, **facts: Unpack[UnchangedFacts]) -> Evidence:
    known: UnchangedFacts = {
        "same_source": True,
        "same_version": True,
        "answers": True,
        "status": 200,
        "route_lines": 3,
        **facts,
    }
    return replace(BLANK, unchanged={function: UnchangedEvidence(function, **known)})


SPEND = Spend(20, 20, total=0.04, mean=0.002, deviation=0.0005)
BOOKED = ProviderEvidence(0.04, "usage of the key", 20, 0.04, 20)
FAULTLESS = replace(BLANK, faults=Faults(0), traffic=(Traffic("generate-artifact", {200: 9}),))

CASES: list[tuple[str, Evidence, CaseOptions, Verdict]] = [
    ("no_503", traffic({200: 30, 500: 1}), {}, PASS),
    ("no_503", traffic({200: 30, 503: 1}, offenders=(BAD,)), {}, FAIL),
    ("no_503", traffic({200: 30, 503: 1}), {"at_most": 1}, PASS),
    ("no_503", traffic({}), {}, OPEN),
    ("no_503", traffic({401: 4}), {}, OPEN),
    ("success_rate", traffic({200: 368}), {}, PASS),
    ("success_rate", traffic({200: 367}), {}, OPEN),
    ("success_rate", traffic({200: 72}), {"reject": 0.95}, PASS),
    ("success_rate", traffic({200: 71}), {"reject": 0.95}, OPEN),
    ("success_rate", traffic({200: 140, 503: 2}), {"reject": 0.95}, OPEN),
    ("success_rate", traffic({200: 72, 400: 50, 401: 9}), {"reject": 0.95}, PASS),
    ("success_rate", traffic({200: 90, 503: 10}), {}, FAIL),
    ("success_rate", traffic({200: 90, 429: 10}), {}, FAIL),
    ("success_rate", traffic({200: 1, 503: 2}), {}, FAIL),
    ("success_rate", traffic({200: 2, 503: 1}), {}, OPEN),
    ("success_rate", traffic({}), {}, OPEN),
    ("response_time", traffic({200: 40}, {2.0: 38, 9.0: 2}), {}, PASS),
    ("response_time", traffic({200: 40}, {2.0: 20, 9.0: 20}), {}, FAIL),
    ("response_time", traffic({200: 3}, {9.0: 3}), {}, FAIL),
    ("response_time", traffic({200: 3}, {2.0: 2, 9.0: 1}), {}, OPEN),
    ("response_time", traffic({200: 3}, {2.0: 3}), {}, OPEN),
    ("response_time", traffic({200: 3}, {2.0: 3}), {"requests": 1}, PASS),
    ("response_time", traffic({200: 40}, {2.0: 37, 9.0: 3}), {}, OPEN),
    ("response_time", traffic({200: 40}, {2.0: 38, 9.0: 2}), {"p50": 1.0}, FAIL),
    ("response_time", traffic({200: 40}, {2.0: 20, 4.0: 20}), {"mean": 3.5}, PASS),
    ("response_time", traffic({200: 40}, {2.0: 20, 4.0: 20}), {"mean": 3.1}, OPEN),
    ("response_time", traffic({200: 40}, {2.0: 20, 4.0: 20}), {"mean": 2.1}, FAIL),
    ("response_time", traffic({}), {}, OPEN),
    ("answers_work", replace(BLANK, answers=SentAnswers(3, 3)), {}, PASS),
    ("answers_work", replace(BLANK, answers=SentAnswers(3, 2)), {}, FAIL),
    ("answers_work", replace(BLANK, answers=SentAnswers(100, 99)), {"at_least": 0.98}, PASS),
    ("answers_work", replace(BLANK, answers=SentAnswers(0, 0)), {}, OPEN),
    ("answers_work", replace(BLANK, answers=SentAnswers(3, 3)), {"requests": 5}, OPEN),
    ("code_quality", replace(BLANK, artifacts=Artifacts(20, 20, 20, 20)), {}, PASS),
    ("code_quality", replace(BLANK, artifacts=Artifacts(20, 10, 20, 10)), {}, FAIL),
    ("code_quality", replace(BLANK, artifacts=Artifacts(3, 3, 3, 3)), {}, OPEN),
    ("code_quality", replace(BLANK, artifacts=Artifacts(3, 0, 0, 0)), {}, OPEN),
    ("cost_logged", replace(BLANK, spend=SPEND), {}, PASS),
    ("cost_logged", replace(BLANK, spend=replace(SPEND, lines=19, missing=1, offenders=(BAD,))), {}, FAIL),
    ("cost_logged", replace(BLANK, spend=replace(SPEND, lines=19, missing=1)), {"at_least": 0.95}, PASS),
    ("cost_logged", replace(BLANK, spend=replace(SPEND, lines=19, late=1)), {}, OPEN),
    ("cost_logged", replace(BLANK, spend=Spend(0, 0)), {}, OPEN),
    ("provider_sees_requests", replace(BLANK, provider=BOOKED), {}, PASS),
    ("provider_sees_requests", replace(BLANK, provider=replace(BOOKED, spent=0.0)), {}, FAIL),
    ("provider_sees_requests", replace(BLANK, provider=replace(BOOKED, spent=0.01)), {}, OPEN),
    ("provider_sees_requests", replace(BLANK, provider=ProviderEvidence(0.04, "usage", 0, 0.0, 0)), {}, OPEN),
    ("provider_sees_requests", replace(BLANK, provider=replace(BOOKED, spent=0.0, ripe=0)), {}, OPEN),
    ("cost_per_request", replace(BLANK, spend=SPEND), {}, PASS),
    ("cost_per_request", replace(BLANK, spend=SPEND, provider=replace(BOOKED, spent=0.042)), {}, PASS),
    ("cost_per_request", replace(BLANK, spend=SPEND, provider=replace(BOOKED, spent=0.06, tight=True)), {}, PASS),
    ("cost_per_request", replace(BLANK, spend=SPEND, provider=replace(BOOKED, spent=0.11, tight=True)), {}, OPEN),
    ("cost_per_request", replace(BLANK, spend=SPEND, provider=replace(BOOKED, spent=9.0)), {}, PASS),
    ("cost_per_request", replace(BLANK, spend=replace(SPEND, mean=0.009)), {}, FAIL),
    ("cost_per_request", replace(BLANK, spend=replace(SPEND, mean=0.0049)), {}, OPEN),
    ("cost_per_request", replace(BLANK, spend=replace(SPEND, mean=0.0049)), {"mean": 0.006}, PASS),
    ("cost_per_request", replace(BLANK, spend=Spend(1, 1, mean=0.001)), {}, OPEN),
    ("cost_per_request", replace(BLANK, spend=Spend(0, 0)), {}, OPEN),
    ("cost_per_request", replace(BLANK, spend=Spend(20, 20, priced=False)), {}, OPEN),
    ("budget", replace(BLANK, month=Month(4.0, 8.0, "the key's month")), {}, PASS),
    ("budget", replace(BLANK, month=Month(4.0, 60.0, "the key's month")), {}, FAIL),
    ("budget", replace(BLANK, month=Month(51.0, None, "the key's month")), {}, FAIL),
    ("budget", replace(BLANK, month=Month(4.0, 20.0, "the key's month")), {}, OPEN),
    ("budget", replace(BLANK, month=Month(4.0, 20.0, "the key's month")), {"monthly_warning": 30.0}, PASS),
    ("no_errors_in_logs", FAULTLESS, {}, PASS),
    ("no_errors_in_logs", replace(FAULTLESS, faults=Faults(1, {"BootFailure": 1})), {}, FAIL),
    ("no_errors_in_logs", replace(FAULTLESS, faults=Faults(1, {"error": 1})), {"at_most": 1}, PASS),
    ("no_errors_in_logs", replace(FAULTLESS, traffic=(QUIET,)), {}, OPEN),
]
for name, function in (("unchanged", "chat"),):
    CASES += [
        (name, alike(function), {}, PASS),
        (name, alike(function, same_source=False, differs=("chat/index.ts",)), {}, FAIL),
        (name, alike(function, answers=False, status=500), {}, FAIL),
        (name, alike(function, route_lines=0), {}, OPEN),
        (name, alike(function, route_lines=None), {}, OPEN),
        (name, alike(function, route_lines=None, routed=False), {}, PASS),
        (name, alike("other"), {"function": function}, OPEN),
        (name, alike("other"), {"function": "other"}, PASS),
        (name, replace(alike(function, route_lines=None, same_source=None), gate=True), {}, PASS),
        (name, replace(alike(function, same_version=False), gate=True), {}, FAIL),
        (name, replace(alike(function, answers=None), gate=True), {}, OPEN),
    ]


@pytest.mark.parametrize(("name", "evidence", "options", "verdict"), CASES)
def test_the_criterion_comes_to_this_verdict_and_says_what_it_expected_and_got(
    name: str, evidence: Evidence, options: CaseOptions, verdict: Verdict
) -> None:
    found = checks.REGISTRY[name].judge(evidence, CriterionOptions(**options))
    assert found.verdict is verdict, found
    assert found.expected and found.got and found.measures and found.window


@pytest.mark.parametrize("name", CRITERIA)
def test_every_shipped_criterion_is_driven_to_all_three_verdicts(name: str) -> None:
    assert {verdict for case, _, _, verdict in CASES if case == name} == set(Verdict)


@pytest.mark.parametrize("name", CRITERIA)
def test_what_could_not_be_measured_is_inconclusive_and_says_why_it_was_not(name: str) -> None:
    found = checks.REGISTRY[name].judge(replace(BLANK, unchanged={"chat": Missing("no permission")}))
    assert found.verdict is OPEN
    assert found.error


def test_the_criteria_that_the_config_knows_are_those_that_come_with_us() -> None:
    assert set(checks.REGISTRY) == set(CRITERIA)


def test_a_failing_criterion_names_the_offending_requests_and_how_many_more_there_are() -> None:
    many = tuple(Offender(f"id-{n}", "generate-artifact", "503 after 1.0s") for n in range(9))
    found = checks.REGISTRY["no_503"].judge(traffic({200: 1, 503: 9}, offenders=many))
    assert found.evidence[0] == "generate-artifact id-0: 503 after 1.0s"
    assert found.evidence[-1] == "and 4 more"


def test_an_open_success_rate_says_how_many_more_requests_would_settle_it() -> None:
    found = checks.REGISTRY["success_rate"].judge(traffic({200: 10}), CriterionOptions(reject=0.95))
    told = re.search(r"about (\d+) more", found.evidence[0])
    assert told is not None, found
    more = int(told[1])
    assert more == 62
    settled = checks.REGISTRY["success_rate"].judge(traffic({200: 10 + more}), CriterionOptions(reject=0.95))
    assert settled.verdict is PASS


def test_a_rate_at_its_limit_says_that_more_of_the_same_would_not_settle_it() -> None:
    found = checks.REGISTRY["success_rate"].judge(traffic({200: 495, 503: 5}))
    assert (found.verdict, "would not settle it" in found.evidence[0]) == (OPEN, True)


def test_the_caller_s_own_faults_do_not_count_and_a_refusal_for_money_or_load_does() -> None:
    found = Traffic("chat", {200: 5, 400: 1, 401: 1, 404: 1, 402: 1, 429: 1, 500: 1})
    assert (found.requests, found.refused, found.trials, found.successes) == (11, 3, 8, 5)


def test_unchanged_has_a_result_per_function() -> None:
    """One criterion: each function's verdict beside it, and the row names the one that failed."""
    good = UnchangedEvidence("chat", same_source=True, answers=True, status=200, route_lines=2)
    evidence = replace(BLANK, unchanged={"chat": good, "image": replace(good, function="image", answers=False)})
    found = checks.REGISTRY["unchanged"].judge(evidence)
    assert found.verdict is Verdict.FAIL and found.got.startswith("image: ")
    parts = {part.function: part.verdict for part in found.functions}
    assert parts == {"chat": Verdict.PASS, "image": Verdict.FAIL}
    gone = checks.REGISTRY["unchanged"].judge(replace(evidence, unchanged={"chat": good, "image": Missing("not now")}))
    assert gone.verdict is Verdict.INCONCLUSIVE and "image: not measured: not now" in gone.got


def test_unchanged_says_once_what_holds_for_several() -> None:
    """Eight functions without a smoke case are one sentence, in the row and below it."""
    open_ = UnchangedEvidence("chat", same_source=True, routed=False)
    evidence = replace(BLANK, unchanged={"chat": open_, "image": replace(open_, function="image")})
    row = checks.REGISTRY["unchanged"].judge(evidence)
    assert row.got == "chat, image: whether it answers is not known"
    assert row.evidence == ("chat, image: a smoke case may settle it",)


def test_what_each_measures_is_a_sentence() -> None:
    """The first line of a docstring is shown alone, in the report: it must not end in the middle."""
    assert [name for name, one in checks.REGISTRY.items() if not one.measures.endswith(".")] == []
