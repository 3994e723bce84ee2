"""Each criterion of config.yaml holds; one that is not settled, or was not measured, does not pass."""

from __future__ import annotations

import pytest

from checks.result import Verdict
from migration.verify.checks_run import ChecksResult


def test_criterion(name: str, judged: ChecksResult) -> None:
    found = judged.result(name)
    assert found is not None
    words = "\n  ".join([f"{found.verdict.value}: expected {found.expected}, got {found.got}", *found.evidence])
    if found.advisory and found.verdict is not Verdict.PASS:
        pytest.skip(f"advisory, {words}")
    if found.verdict is not Verdict.PASS:
        pytest.fail(f"{found.measures}\n  {words}\n  ({found.window})", pytrace=False)
