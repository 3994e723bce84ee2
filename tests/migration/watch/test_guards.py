"""A watch rolls back by itself only where every guard holds; else it says in one sentence why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import stats
from migration.watch import guards
from migration.watch.model import RollbackEvidence

SOUND = RollbackEvidence(
    stood=3, wanted=3, failed=30, answers=100, past=(1, 200), changed=("alpha", "beta"), failing=("alpha",)
)


def test_acts_where_every_guard_holds() -> None:
    found = guards.decide(SOUND)
    assert found.acts and found.reason == (
        "alpha fails 30% of 100 since the alarm (at least 19%), the code before failed 0.5% of 200 (at most 3.7%)"
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"acted": True}, "alert", "this watch has rolled back once already"),
        ({"stood": 2}, "wait", "the alarm has stood for 2 of 3 rounds"),
        ({"stood": 0, "wanted": 1, "obstacles": ("x",)}, "wait", "the alarm has stood for 0 of 1 round"),
        ({"inconclusive": True}, "alert", "the verdict is inconclusive: what it rests on was not measured"),
        ({"elsewhere": ("chat: 9 of 20",)}, "alert",
         "functions that were not changed fail in the same rounds: chat: 9 of 20"),
        ({"failing": ("alpha", "chat")}, "alert", "chat fails, which this deployment did not change"),
        ({"failing": ()}, "alert", "no function that this deployment changed fails since the alarm"),
        ({"obstacles": ("the lock is held by ann", "alpha v9 was deployed outside Cutover")}, "alert",
         "the lock is held by ann; alpha v9 was deployed outside Cutover"),
        ({"old_provider": ("gemini: the key is disabled",)}, "alert",
         "the provider of the code before does not serve it: gemini: the key is disabled"),
        ({"past": None}, "alert",
         "whether the code before is better was never measured: the ledger has no answer of it, 100 are needed"),
        ({"past": (0, 99)}, "alert",
         "whether the code before is better was never measured: the ledger has only 99 answers of it, 100 are needed"),
        ({"answers": 49}, "wait", "49 answers since the alarm, 50 are needed"),
        ({"past": (80, 200)}, "alert",
         "the code before may be no better: it failed 40% of 200 (up to 49%), this one 30% of 100 (at least 19%)"),
        ({"failed": 5, "past": (80, 200)}, "alert",
         "the code before is worse: it failed 40% of 200 (up to 49%), this one 5% of 100 (at least 1.1%)"),
    ],
)  # fmt: skip
def test_one_guard_is_enough(changes: dict[str, Any], verdict: str, reason: str) -> None:
    """Each guard alone keeps it from acting, and is the one that is named."""
    found = guards.decide(replace(SOUND, **changes))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("failed", "answers", "past", "verdict"),
    [
        (5, 100, (80, 200), "alert"),  # 5% over a baseline of 40%
        (5, 100, (400, 1000), "alert"),
        (20, 400, (400, 1000), "alert"),
        (20, 400, (5, 1000), "act"),  # 5% over one of 0.5%
        (10, 200, (5, 1000), "act"),
        (5, 100, (5, 1000), "alert"),  # not yet certain: 1.1% and 1.5%
        (15, 50, (1, 100), "act"),
        (50, 50, (50, 100), "act"),
    ],
)
def test_codes_are_compared(failed: int, answers: int, past: tuple[int, int], verdict: str) -> None:
    """Not with a limit: the code that fails less stays, whatever is tolerated."""
    assert guards.decide(replace(SOUND, failed=failed, answers=answers, past=past)).verdict == verdict


COUNTS = st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda pair: (min(pair), max(pair)))
EVIDENCE = st.builds(
    RollbackEvidence,
    stood=st.integers(0, 5),
    wanted=st.integers(1, 4),
    failed=st.integers(0, 60),
    answers=st.integers(60, 300),
    past=st.none() | COUNTS,
    elsewhere=st.lists(st.just("chat"), max_size=1).map(tuple),
    obstacles=st.lists(st.just("the lock is held"), max_size=1).map(tuple),
    old_provider=st.lists(st.just("gone"), max_size=1).map(tuple),
    inconclusive=st.booleans(),
    acted=st.booleans(),
    changed=st.just(("alpha",)),
    failing=st.sampled_from([(), ("alpha",), ("chat",), ("alpha", "chat")]),
)


@settings(max_examples=300, deadline=None)
@given(EVIDENCE)
def test_never_acts_against_a_guard(evidence: RollbackEvidence) -> None:
    """Written the other way round than the code: whoever acts has all of it."""
    found = guards.decide(evidence)
    assert found.reason and "\n" not in found.reason
    if found.acts:
        assert evidence.past is not None and evidence.past[1] >= 100 and evidence.answers >= 50
        now = stats.exact(evidence.failed, evidence.answers, 0.99)
        assert now.low > stats.exact(*evidence.past, 0.99).high
        assert evidence.stood >= evidence.wanted and evidence.failing == ("alpha",)
        assert not (evidence.elsewhere or evidence.obstacles or evidence.old_provider)
        assert not (evidence.inconclusive or evidence.acted)
