"""The figures are those of the verbs; what was not measured says why and how to measure it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from checks.evidence import Missing, Spend
from checks.result import Verdict
from migration.base.command import inv
from migration.base.plain import plain, timed
from migration.inspect.history import HistoryResult
from migration.inspect.status import StatusResult
from migration.report.figures import figures
from migration.report.gather import ReportFacts, UnmeasuredPart
from migration.report.markdown import markdown
from migration.report.markup import FORMS
from migration.report.page import page
from migration.verify.checks_run import ChecksResult
from tests.support import read_page, reported

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/figures.json").read_text(encoding="utf-8"))
GONE = UnmeasuredPart("the logs cannot be read: 503", (inv("doctor"),))


def fits(data: Any) -> Sequence[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)]


def judged(verdict: Verdict) -> ChecksResult:
    own = reported.facts().checks
    assert isinstance(own, ChecksResult)
    return replace(own, verdict=verdict, criteria=tuple(replace(one, verdict=verdict) for one in own.criteria))


def test_figures_are_those_of_the_verbs() -> None:
    """Each part holds what `--json` of its verb holds for the same time."""
    facts = reported.facts()
    data = figures(facts)
    assert isinstance(facts.history, HistoryResult)
    costs = timed(plain(facts.costs))
    assert {name: data["costs"][name] for name in costs} == costs
    for shown, one in zip(data["checks"]["criteria"], plain(facts.checks)["criteria"], strict=True):
        assert all(shown[name] == one[name] for name in ("name", "verdict", "expected", "got", "advisory"))
    for shown, row in zip(data["deployments"]["rows"], timed(plain(facts.history.deployments)), strict=True):
        assert all(shown[name] == row[name] for name in ("id", "who", "outcome", "at", "ended", "revision"))
    assert (
        data["live"]["functions"] == plain(facts.status)["functions"] or data["live"]["functions"][0]["version"] == 12
    )
    assert data["watch"]["verdict"] == "pass" and data["watch"]["round"] == 288
    assert data["costs"]["cumulative"][-1] == pytest.approx(data["costs"]["cost"])
    assert fits(data) == []


def test_seconds_are_split_into_work_and_waiting() -> None:
    row = figures(reported.facts())["deployments"]["rows"][0]
    assert row["seconds"] == pytest.approx(sum(step["seconds"] for step in row["steps"]))
    assert row["waited"] == pytest.approx(44.825)


def test_waiting_is_unknown_where_a_step_lacks_it() -> None:
    """Records of earlier versions do not hold it: then it is not claimed to be zero."""
    facts = reported.facts()
    assert isinstance(facts.history, HistoryResult)
    rows = [{**row, "steps": [{"name": "gate", "seconds": 2.0}]} for row in facts.history.deployments]
    data = figures(replace(facts, history=replace(facts.history, deployments=tuple(rows))))
    assert data["deployments"]["rows"][0]["waited"] is None
    assert "of them waiting" not in read_page.words(read_page.parsed(page(data)).find(".//article/p[last()]"))


def test_what_a_failure_avoided_costs() -> None:
    """The price of one more request over how many fewer of them fail; the gain is measured, before and after."""
    found = figures(reported.facts())["reliability"]
    assert found["gain"] == pytest.approx(1830 / 1832 - 512 / 943)
    assert found["per_failure_avoided"] == pytest.approx(found["extra"] / found["gain"])
    heavy = next(one for one in found["volumes"] if one["name"] == "heavy")
    assert heavy["month"] / heavy["avoided"] == pytest.approx(found["per_failure_avoided"])


def test_a_failure_avoided_is_priced_at_each_end_by_its_own_lines() -> None:
    """Where the old code logged what it cost, the mean of all lines of the period would be neither end's."""
    facts = reported.facts()
    assert isinstance(facts.checks, ChecksResult) and facts.checks.evidence is not None
    before, after = (Spend(100, 100, mean=mean, ripe=100) for mean in (0.02, 0.05))
    evidence = replace(facts.checks.evidence, spend_before=before, spend=after)
    checks = replace(facts.checks, evidence=evidence)
    found = figures(replace(facts, checks=checks))["reliability"]
    assert found["extra"] == pytest.approx(0.03) and found["old_cost_measured"]


def test_repeated_prompts_are_priced() -> None:
    data = figures(reported.facts())
    found, mean = data["prompts"], data["costs"]["per_request"]["mean"]
    assert found["repeated"] == 131 and found["saved"] == pytest.approx(131 * mean)


PARTS = ("status", "history", "checks", "costs", "traffic", "prompts", "watch")


@pytest.mark.parametrize("parts", [*((name,) for name in PARTS), PARTS], ids=[*PARTS, "all"])
def test_unmeasured_says_why_and_how(parts: Sequence[str]) -> None:
    """A part that could not be read takes nothing else with it, and the page names it with the command."""
    gone: dict[str, Any] = dict.fromkeys(parts, GONE)
    data = figures(replace(reported.facts(), **gone))
    shown = read_page.words(read_page.parsed(page(data)))
    assert "the logs cannot be read: 503" in shown and "inv doctor" in shown
    assert any(one["why"] == GONE.why and one["how"] == ["inv doctor"] for one in data["missing"])
    assert fits(data) == []
    assert data["verdict"]["word"] not in ("pass", "not deployed", "rolled back") and data["verdict"]["title"]


def test_before_was_not_measured() -> None:
    """Without figures of the old code there is no gain, and no price of a failure avoided."""
    facts = reported.facts()
    assert isinstance(facts.checks, ChecksResult) and facts.checks.evidence is not None
    evidence = replace(facts.checks.evidence, before=Missing("no earlier version is recorded"))
    data = figures(replace(facts, checks=replace(facts.checks, evidence=evidence)))
    assert "before the migration was not measured" in data["reliability"]["missing"]
    assert data["comparison"]["success"]["before"] is None and data["comparison"]["success"]["points"] is None


def verdict(facts: ReportFacts) -> tuple[str, str]:
    found = figures(facts)["verdict"]
    return found["word"], found["title"]


def test_verdict_of_the_criteria() -> None:
    facts = reported.facts()
    for one, title in (
        (Verdict.PASS, "works in"),
        (Verdict.FAIL, "does not meet"),
        (Verdict.INCONCLUSIVE, "not settled"),
    ):
        word, text = verdict(replace(facts, checks=judged(one)))
        assert word == one and title in text


def test_a_failed_verdict_names_the_way_back() -> None:
    """Whatever the status says is next; the label above the rollback is text, in the page and in Markdown."""
    facts = replace(reported.facts(), checks=judged(Verdict.FAIL))
    assert isinstance(facts.status, StatusResult)
    data = figures(replace(facts, status=replace(facts.status, next=(inv("checks"),))))
    assert data["verdict"]["next"] == ["inv checks", "to take it back:", "inv rollback"]
    assert "- to take it back:\n- `inv rollback`" in markdown(data)
    assert ">to take it back:</span>" in page(data)
    assert fits(data) == []


def test_code_that_was_put_back() -> None:
    """Live again after a failed gate says since when; that versions were not recorded is not that there were none."""
    facts = reported.facts()
    assert isinstance(facts.history, HistoryResult)
    live = next(row for row in facts.history.deployments if row["live"])
    slugs = [{**one, "after": None} for one in live["functions"]]
    failed = {
        **live,
        "id": "later",
        "live": False,
        "outcome": "restored",
        "functions": slugs,
        "ended": facts.until.isoformat(),
    }
    data = figures(replace(facts, history=replace(facts.history, deployments=(failed, *facts.history.deployments))))
    assert data["live"]["restored"] == {"at": data["until"], "after": "later"}
    assert "Live again since" in markdown(data)
    assert "not recorded" in page(data) and "vabsent" not in page(data)
    assert fits(data) == []


def test_an_absent_function_has_no_version() -> None:
    facts = reported.facts()
    data = figures(facts)
    data["live"]["functions"][0]["version"] = None
    assert "vabsent" not in page(data) and ">absent<" in page(data)


def test_verdict_of_a_watch_that_alarmed() -> None:
    """Criteria of the last hours may pass when the watch has alarmed before: it is not called good."""
    facts = replace(reported.facts(), checks=judged(Verdict.PASS))
    assert isinstance(facts.watch, dict)
    assert verdict(replace(facts, watch={**facts.watch, "verdict": "fail"}))[0] == "fail"


def test_verdict_without_a_deployment() -> None:
    facts = reported.facts()
    assert isinstance(facts.history, HistoryResult)
    none = replace(facts, history=replace(facts.history, deployments=()))
    assert verdict(none)[0] == "not deployed"
    undone = tuple({**row, "live": False} for row in facts.history.deployments)
    assert verdict(replace(facts, history=replace(facts.history, deployments=undone)))[0] == "rolled back"


def test_verdict_of_an_interruption() -> None:
    facts = reported.facts()
    assert not isinstance(facts.status, UnmeasuredPart)
    stopped = replace(facts.status, exit_code=5, message="Deployment x was interrupted.", next=(inv("deploy"),))
    data = figures(replace(facts, status=stopped))
    assert data["verdict"]["word"] == "interrupted" and data["verdict"]["next"] == ["inv deploy"]


def test_functions_without_a_request() -> None:
    """A migrated function that nothing has reached is named beside the verdict, however many criteria passed."""
    facts = reported.facts()
    assert isinstance(facts.checks, ChecksResult) and facts.checks.evidence
    assert figures(facts)["checks"]["silent"] == ["generate-artifact-fix"]
    quiet = replace(facts.checks.evidence, traffic=())
    found = figures(replace(facts, checks=replace(facts.checks, evidence=quiet)))
    moved = list(facts.config.migration.functions)
    assert found["checks"]["silent"] == moved
    assert f"No request has reached {', '.join(moved)} yet." in found["verdict"]["sentence"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.00011712, "$0.000117"), (0.0000058, "$0.0000058"), (0.00496, "$0.00496"), (0.6, "$0.60"), (0, "$0.00")],
)
def test_small_costs(value: float, shown: str) -> None:
    """Three digits are left of the smallest; larger ones are as before."""
    assert FORMS["usd"](value) == shown
