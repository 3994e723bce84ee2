"""Which call a fault hits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from migration.rehearsal.faults import KINDS, BadFault, FaultBox, check
from migration.rehearsal.operations import OPERATIONS


def box(*faults: dict[str, Any]) -> FaultBox:
    made = FaultBox()
    made.arm(faults)
    return made


def hits(made: FaultBox, calls: int, operation: str = "stage", slug: str | None = None) -> list[bool]:
    return [made.take(operation, slug) is not None for _ in range(calls)]


def test_a_fault_hits_the_next_call_once() -> None:
    assert hits(box({"operation": "stage", "do": "reset"}), 3) == [True, False, False]


def test_nth_and_times_choose_the_calls() -> None:
    assert hits(box({"operation": "stage", "do": "reset", "nth": 2, "times": 2}), 5) == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert hits(box({"operation": "stage", "do": "reset", "nth": 3, "times": 0}), 4) == [False, False, True, True]


def test_only_calls_of_its_operation_and_its_function_count() -> None:
    made = box({"operation": "stage", "do": "reset", "slug": "chat", "nth": 2})
    assert made.take("deploy", "chat") is None
    assert made.take("stage", "chat") is None
    assert made.take("stage", "other") is None
    assert made.take("stage", "chat") is not None


def test_a_region_narrows_it_and_a_call_without_region_is_another() -> None:
    made = box({"operation": "route", "do": "missing", "region": "eu-west-1", "times": 0})
    assert made.take("route", "chat", "us-east-1") is None
    assert made.take("route", "chat") is None
    assert made.take("route", "chat", "eu-west-1") is not None


def test_of_two_faults_the_first_armed_acts_and_the_second_keeps_its_turn() -> None:
    made = box({"operation": "stage", "do": "reset"}, {"operation": "stage", "do": "hang"})
    kinds = [(made.take("stage") or {}).get("do") for _ in range(3)]
    assert kinds == ["reset", "hang", None]


def test_a_fault_for_some_seconds_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(100.0, 1.0)
    monkeypatch.setattr("migration.rehearsal.faults.time.monotonic", lambda: next(now))
    assert hits(box({"operation": "stage", "do": "reset", "seconds": 2.5}), 4) == [True, True, False, False]


def test_clear_takes_all_faults_away() -> None:
    made = box({"operation": "stage", "do": "reset", "times": 0})
    made.clear()
    assert hits(made, 1) == [False]


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "stge", "do": "reset"},
        {"operation": "stage", "do": "explode"},
        {"operation": "stage", "do": "stale"},
        {"operation": "route", "do": "reset"},
        {"operation": "stage", "do": "status"},
        {"operation": "stage", "do": "reset", "nth": "2"},
        {"operation": "stage", "do": "reset", "times": True},
        "reset",
    ],
)
def test_a_fault_that_could_never_act_is_refused_and_none_is_armed(fault: Any) -> None:
    made = FaultBox()
    with pytest.raises(BadFault):
        made.arm([{"operation": "list", "do": "reset"}, fault])
    assert made.armed == []


def test_every_kind_goes_with_some_operation() -> None:
    for kind in KINDS:
        fits = [operation for operation in OPERATIONS if _fits(operation, kind)]
        assert fits, kind


def _fits(operation: str, kind: str) -> bool:
    try:
        check({"operation": operation, "do": kind, "status": 500})
    except BadFault:
        return False
    return True
