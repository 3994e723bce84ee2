"""Three verdicts on who answers: the new version, something else, or nobody could see."""

from __future__ import annotations

import pytest

from migration.proof import BOOT_FAILURES, Probe, judge


def _probe(**known: object) -> Probe:
    return Probe("alpha", "", "id", 2, **known)  # type: ignore[arg-type]


def test_all_proven_is_a_pass() -> None:
    assert judge([_probe(version=2), _probe(version=2)]).verdict == "pass"


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"version": 1, "status": 200}, "version 1 answers, and not 2"),
        ({"version": 3, "status": 200}, "version 3 answers, and not 2"),
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
