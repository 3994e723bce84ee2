"""A CI job's page shows the verdict, nothing of it is taken for markup, and no secret is on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.base.command import inv
from migration.base.secrets_type import Secret
from migration.cli import summary

CHECKS: dict[str, Any] = {
    "verdict": "fail",
    "window": "deployment 20261122-120000-abcd",
    "criteria": [
        {"name": "no_503", "verdict": "fail", "expected": "no answer of 503", "got": "1 of 9 requests answered 503",
         "evidence": ["make e1: 503 after 2.0s"], "advisory": False},
        {"name": "budget", "verdict": "inconclusive", "expected": "below $10", "got": "$12 | $13", "evidence": [],
         "advisory": True},
    ],
    "table": [{"name": "success rate", "before": "50 %", "after": "99 %", "improvement": "+49.0 points"}],
}  # fmt: skip
SMOKE: dict[str, Any] = {
    "cases": [
        {"name": "counter", "function": "make", "ok": True, "status": 200, "seconds": 1.234, "failures": []},
        {"name": "<b>todo</b>", "function": "make", "ok": False, "status": 503, "seconds": 2.0,
         "failures": [{"what": "status", "expected": "200", "got": "503\nnow"}]},
    ]
}  # fmt: skip
SOAK: dict[str, Any] = {
    "verdict": "pass", "decision": "73 of 73 succeeded; a rate below 95% is ruled out", "requests": 73,
    "successes": 73, "sent": 75,
    "interval": [0.9507, 1.0], "p50": 2.0, "p95": 4.0, "p99": None, "cost": 0.1234, "cost_measured": True,
    "stopped": "boundary", "reasons": [], "failures": ["1 × 503 (for example e1)"],
}  # fmt: skip


def test_without_a_ci_that_asks_nothing_is_written(tmp_path: Path) -> None:
    assert not summary.write("checks", CHECKS, {})
    assert not list(tmp_path.iterdir())


def test_results_are_appended_to_the_file_that_github_names(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    for verb, data in (("smoke", SMOKE), ("checks", CHECKS), ("soak", SOAK)):
        assert summary.write(verb, data, {"GITHUB_STEP_SUMMARY": str(file)})
    text = file.read_text()
    assert [line for line in text.splitlines() if line.startswith("###")] == [
        "### ❌ Smoke: 1 of 2 cases passed",
        "### ❌ Success criteria: fail",
        "### ✅ Soak: 73 of 73 succeeded; a rate below 95% is ruled out",
    ]
    assert "| success rate | 50 % | 99 % | +49.0 points |" in text
    assert "73 of 73 succeeded (95.07% to 100.00%), 75 sent" in text


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    assert not summary.write("checks", CHECKS, {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "folder")})


@pytest.mark.parametrize(("verb", "data"), [("checks", CHECKS), ("smoke", SMOKE), ("soak", SOAK)])
def test_every_row_of_a_table_has_the_columns_of_its_head(verb: str, data: dict[str, Any]) -> None:
    """Pipes, line ends and tags inside a value stay inside its cell."""
    for part in summary.markdown(verb, data).split("\n\n"):
        rows = [line.replace(r"\|", "") for line in part.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1
    assert "<b>" not in summary.markdown(verb, data).replace(r"\<b\>", "")


def test_a_secret_in_a_result_is_masked() -> None:
    secret = Secret("sk-or-v1-0123456789abcdef0123456789")
    data = {**SOAK, "failures": [f"401 {secret.reveal()}"]}
    assert secret.reveal() not in summary.markdown("soak", data)


def test_a_deploy_has_a_summary() -> None:
    """Its outcome, what is live now, and what to type next."""
    rows = [{"slug": "make", "action": "update", "before": {"version": 3}, "after": {"version": 4}}]
    record = {"id": "d1", "outcome": "unproven", "functions": rows}
    text = summary.markdown("deploy", {"deployment": record, "message": "Not proven.", "next": ["inv checks"]})
    assert "### ❔ Deployment d1: unproven" in text and "| make | update | v3 | v4 |" in text
    assert "Not proven." in text and "- inv checks" in text
    assert "### ✅ Deployment: same" in summary.markdown("deploy", {"deployment": {"outcome": "same"}})


def test_a_rollback_has_a_summary() -> None:
    """The rollback job of the workflow says on its page what is live again, what git holds, and what comes next."""
    rows = [{"slug": "make", "action": "restore", "before": {"version": 4}, "after": {"version": 5}}]
    record = {"id": "r1", "outcome": "rolled_back", "functions": rows}
    data = {
        "deployment": record,
        "message": "Live again.",
        "notes": ["make stays."],
        "next": ["inv logs"],
        "exit_code": 4,
    }
    text = summary.markdown("rollback", data)
    assert "### ❔ Rollback r1: rolled back" in text and "| make | restore | v4 | v5 |" in text
    assert text.index("Live again.") < text.index("make stays.") < text.index("- inv logs")
    nothing = {"deployment": None, "message": "Nothing to roll back.", "exit_code": 0}
    assert "### ✅ Rollback: nothing to do" in summary.markdown("rollback", nothing)


def test_commands_among_the_evidence_are_written_as_they_are_typed() -> None:
    """`inv checks` in a CI job ended as a bug, where a criterion had a command as its evidence."""
    one = {"name": "success_rate", "verdict": "inconclusive", "advisory": False, "expected": "", "got": "",
           "evidence": ["more requests are needed", inv("soak", env="staging")]}  # fmt: skip
    text = summary.markdown("checks", {"criteria": [one], "table": [], "verdict": "inconclusive", "window": "1h"})
    assert "more requests are needed; inv soak --env staging" in text
