"""The screens of `inv smoke` and `inv soak`, as a person reads them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from migration.cli.results.draw import draw

CASE = {
    "name": "counter", "function": "generate-artifact", "ok": False, "status": 503, "seconds": 1.5,
    "request_id": "3f6c0d7e-5b1f-4a56-9d0e-0a6f0f2f5a11", "skipped": None, "curl": "curl -i -X POST http://x",
    "failures": [{"what": "status", "expected": "200", "got": '503: {"error": "Busy"}'}],
    "log_lines": ["[3f6c0d7e-5b1f-4a56-9d0e-0a6f0f2f5a11] 💰 Token usage: {\n  input: 1,\n}\n", "\x1b[31mbusy\x1b[0m"],
}  # fmt: skip
FED = {
    "name": "fix-counter", "function": "generate-artifact-fix", "ok": False, "status": None, "seconds": 0.0,
    "request_id": None, "skipped": "it needs cut_off of the case counter", "curl": "", "failures": [], "log_lines": [],
}  # fmt: skip
SOAK = {
    "verdict": "pass", "decision": "73 of 73 succeeded; a rate below 95% is ruled out", "stopped": "boundary",
    "requests": 73, "successes": 73,
    "interval": (0.9507, 1.0), "p50": 2.04, "p95": 5.0, "p99": 6.1, "cost": 0.0562, "cost_measured": True,
    "reasons": (), "failures": (),
}  # fmt: skip


def shown(kind: str, data: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    draw(kind, data, Console(file=stream, width=200))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_failed_case_shows_why_its_request_its_log_lines_and_how_to_send_it_again() -> None:
    """Each on a line of its own, whatever the function logged; what passed had its line when its answer came."""
    passed = {**CASE, "name": "chat", "ok": True}
    assert shown("smoke", {"cases": [CASE, passed, FED]}) == [
        "✗ counter",
        '  status: expected 200, got 503: {"error": "Busy"}',
        "  request: 3f6c0d7e-5b1f-4a56-9d0e-0a6f0f2f5a11",
        "  log: 💰 Token usage: { input: 1, }",
        "  log: busy",
        "  to repeat it: curl -i -X POST http://x",
        "✗ fix-counter",
        "  not sent: it needs cut_off of the case counter",
        "1 of 3 cases passed, the slowest in 1.5s.",
    ]


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ({}, "passed: 73 of 73 succeeded; a rate below 95% is ruled out"),
        (
            {"verdict": "fail", "decision": "3 of 5 succeeded, below the 95% floor", "successes": 71},
            "failed: 3 of 5 succeeded, below the 95% floor",
        ),
        (
            {"verdict": "inconclusive", "decision": "not settled between 99% and 95%: x", "stopped": "cost"},
            "inconclusive: not settled between 99% and 95%: x",
        ),
    ],
)
def test_a_soak_says_what_was_decided_with_the_exact_interval(more: dict[str, Any], first: str) -> None:
    found = shown("soak", SOAK | more)
    assert found == [
        first,
        "The success rate is between 95.1% and 100.0%.",
        "Successes took p50 2.0s, p95 5.0s, p99 6.1s; spent $0.0562.",
    ]


def test_a_soak_in_which_nothing_succeeded_speaks_of_no_times() -> None:
    nothing = {"p50": None, "p95": None, "p99": None, "cost_measured": False}
    assert shown("soak", SOAK | nothing)[-1] == "Spent $0.0562 (estimate)."


def test_one_cause_is_said_once() -> None:
    """With nothing running all cases fail alike: one line and where to look, not a table and a paragraph each."""
    silent = {**FED, "skipped": None, "failures": [{"what": "answer", "expected": "one", "got": "connection refused"}]}
    assert shown("smoke", {"cases": [silent] * 9})[0] == "None of 9 cases was answered: connection refused"
    assert len(shown("smoke", {"cases": [silent] * 9})) == 3


def test_checks_say_what_they_judge_and_name_a_criterion_once() -> None:
    """The deployment and its span first; a hint carries the name that the table has, not another one."""
    row = {"name": "answers_work", "label": "artifact generation works", "verdict": "fail", "expected": "all",
           "got": "1 of 3", "evidence": ["2 requests failed"], "advisory": False}  # fmt: skip
    data = {"criteria": [row], "verdict": "fail", "window": "deployment d1, 12:00:00 to 13:00:00 UTC", "table": (),
            "provider": (), "next": ["inv logs --signal failure --since 1h"]}  # fmt: skip
    lines = shown("checks", data)
    assert lines[0] == "Judged: deployment d1, 12:00:00 to 13:00:00 UTC."
    assert "  artifact generation works: 2 requests failed" in lines and not any("answers_work" in one for one in lines)
    assert lines[-1].endswith("inv logs --signal failure --since 1h")
