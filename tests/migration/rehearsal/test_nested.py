"""Calls of functions by functions."""

from __future__ import annotations

from starlette.datastructures import Headers

from migration.rehearsal import nested
from migration.rehearsal.nested import NestedCalls


def test_a_chain_waits_for_its_minute() -> None:
    """Each chain has a minute of its own, which begins with its first call."""
    clock = [100.0]
    calls = NestedCalls(2, lambda: clock[0])
    assert [calls.wait("one"), calls.wait("two"), calls.wait("one")] == [None, None, None]
    clock[0] += 45
    assert (calls.wait("one"), calls.wait("two")) == (15_000, None)
    clock[0] += 15
    assert calls.wait("one") is None


def test_no_limit_counts_nothing() -> None:
    calls = NestedCalls(0)
    assert {calls.wait("one") for _ in range(9)} == {None}


def test_a_trace_is_kept() -> None:
    """A caller's own trace goes on; one that cannot be read is replaced."""
    given = f"00-{'a' * 32}-{'b' * 16}-01"
    assert nested.trace(Headers({"traceparent": given})) == []
    for broken in ({}, {"traceparent": "nonsense"}):
        ((name, value),) = nested.trace(Headers(broken))
        assert name == b"traceparent" and len(value) == len(given)
