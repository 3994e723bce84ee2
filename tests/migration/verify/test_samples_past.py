"""What the code before delivered is told from the answers of its own time alone, else from what its gate counted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.evidence import Artifacts, Missing
from migration.context import Context
from migration.ledger.deployments import History
from migration.rehearsal.logstore import LogStore
from migration.verify import samples
from migration.verify.samples import Sample
from migration.verify.smoke import CaseResult, SmokeResult
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, context
from tests.support.repos import fold

HOUR = timedelta(hours=1)


def deployment(name: str, begins: int, how: str = "live", **more: Any) -> list[dict[str, Any]]:
    """Its two records, begun so many hours after noon and ended half an hour later."""
    at, end = (NOON + begins * HOUR).isoformat(), (NOON + begins * HOUR + HOUR / 2).isoformat()
    intent: dict[str, Any] = {
        "record": "intent", "kind": "deploy", "deployment": name, "at": at, "functions": [], "to": None,
    }  # fmt: skip
    ended = {"record": "outcome", "deployment": name, "at": end, "outcome": how, "functions": []}
    gate = more.pop("gate", {})
    return [intent | more, ended | {"gate": gate}]


def history(*records: list[dict[str, Any]]) -> History:
    return fold([one for pair in records for one in pair])


def answered(own: Context, **hours: bool) -> None:
    """One artifact an hour after noon, `h3=True` a valid one at three."""
    kept = [Sample(NOON + int(name[1:]) * HOUR + HOUR * 0.75, "make", "case", good, 200, 1.0, good)
            for name, good in hours.items()]  # fmt: skip
    samples.record(own, kept)


@pytest.fixture
def own(tmp_path: Path) -> Context:
    store: Any = LogStore.__new__(LogStore)  # nobody asks the logs here
    return context(tmp_path, Direct(store, VirtualClock(NOON)))


def judged(own: Context, records: History, name: str) -> Artifacts | Missing:
    found = records.find(name)
    assert found is not None
    return samples.artifacts_before(own, samples.past(records, found))


def counts(found: Artifacts | Missing) -> tuple[int, int]:
    assert isinstance(found, Artifacts), found
    return found.valid, found.delivered


def test_answers_from_before_the_first_deployment_are_those_of_the_code_before(own: Context) -> None:
    answered(own, h1=True, h2=False, h5=True)
    assert counts(judged(own, history(deployment("one", 4)), "one")) == (1, 2)


def test_code_that_was_tried_and_put_back_is_no_part_of_it(own: Context) -> None:
    """Restored by its gate, or live for a while and rolled back."""
    records = history(
        deployment("one", 2, "restored"),
        deployment("two", 4),
        deployment("back", 6, "rolled_back", kind="rollback", to=None),
        deployment("three", 8),
    )
    answered(own, h1=True, h4=False, h5=False, h7=True, h9=False)
    assert counts(judged(own, records, "three")) == (2, 2)
    assert counts(judged(own, records, "two")) == (1, 1)


def test_what_came_while_somebody_s_deployment_had_no_end_is_left_out(own: Context) -> None:
    records = history(deployment("one", 2)[:1], deployment("two", 6))
    answered(own, h1=True, h4=False)
    assert counts(judged(own, records, "two")) == (1, 1)


def test_without_answers_here_the_gate_of_the_code_before_tells(own: Context) -> None:
    gate = {"verdict": "pass", "artifacts": {"tried": 4, "worked": 4, "delivered": 4, "valid": 3}}
    records = history(deployment("one", 2, gate=gate), deployment("two", 6))
    assert counts(judged(own, records, "two")) == (3, 4)
    answered(own, h4=True)
    assert counts(judged(own, records, "two")) == (1, 1)


def test_where_nothing_is_known_it_says_so(own: Context) -> None:
    assert judged(own, history(deployment("one", 2)), "one") == Missing("no smoke case was run before")
    assert samples.artifacts_before(own, samples.PastCode()) == Missing("no earlier version is recorded")


def test_a_gate_counts_what_its_smoke_cases_got() -> None:
    good = CaseResult("a", "make", True, 200, artifact="valid", at=NOON)
    broken = CaseResult("b", "make", False, 200, artifact="invalid", at=NOON)
    refused = CaseResult("c", "make", False, 503, artifact="missing", at=NOON)
    found = samples.counts(SmokeResult((good, broken, refused, CaseResult("d", "chat", True, 200, at=NOON))).samples)
    assert found == {"tried": 3, "worked": 1, "delivered": 2, "valid": 1}
    assert samples.counts([])["tried"] == 0


def test_old_and_new_by_the_same_cases(own: Context) -> None:
    """A case that only the code before was sent says nothing about the difference."""
    samples.record(own, [
        Sample(NOON + HOUR, "make", "shared", True, 200, 1.0, True),
        Sample(NOON + HOUR, "make", "dropped", False, 200, 1.0, False),
    ])  # fmt: skip
    records = history(deployment("one", 4))
    found = records.find("one")
    assert found is not None
    code = samples.past(records, found)
    assert counts(samples.artifacts_before(own, code)) == (1, 2)
    assert counts(samples.artifacts_before(own, code, {"shared"})) == (1, 1)
