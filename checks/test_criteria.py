"""Each criterion of config.yaml holds; one that is not settled, or was not measured, does not pass."""

from __future__ import annotations

import pytest

from checks.result import Verdict
from migration.verify.checks_run import ChecksResult


def test_criterion(name: str, judged: ChecksResult) -> None:
    result = judged.result(name)
    assert result is not None
    words = "\n  ".join([f"{result.verdict.value}: expected {result.expected}, got {result.got}", *result.evidence])
    if result.advisory and result.verdict is not Verdict.PASS:
        pytest.skip(f"advisory, {words}")
    if result.verdict is not Verdict.PASS:
        pytest.fail(f"{result.measures}\n  {words}\n  ({result.window})", pytrace=False)
