"""The lock in virtual time: never two writers, never an older source over a newer one with exit 0."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from migration.ledger.lock import LockHold, LockHolder
from tests.support.long import report
from tests.support.two_machines import history, virtual

ORDINARY, LONG = 600, 100_000  # 2,000 take longer than the ten seconds that an ordinary run has for them


def histories(count: int, first: int = 0) -> Counter[str]:
    """Carries so many histories out; what became of the deploys, by exit code."""
    found: Counter[str] = Counter()
    with virtual():
        for seed in range(first, first + count):
            platform, deploys = history(seed, machines=2 + seed % 5 // 4)
            assert not platform.violations, (seed, platform.violations)
            for one in deploys:
                found["killed" if one.code is None else f"exit {one.code}"] += 1
                assert one.code != 0 or one.replaced == one.saw, (seed, one)
    return found


@pytest.mark.slow
def test_two_machines() -> None:
    found = histories(ORDINARY)
    assert found["exit 0"] > ORDINARY / 2 and found["exit 2"] and found["killed"]


@pytest.mark.parametrize("seed", [2_005_294])
def test_histories_that_failed_once(seed: int) -> None:
    """2005294: a machine slept while it waited for the answer to a renewal, and changed something on waking."""
    assert histories(1, seed)


@pytest.mark.parametrize("harm", ["renewal not asked for", "stale too soon", "records without the lock"])
def test_model_notices(harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model finds two writers where a bound of the lock is left out."""
    if harm == "renewal not asked for":
        monkeypatch.setattr(LockHold, "fresh", lambda *_: None)
    elif harm == "stale too soon":
        monkeypatch.setattr(LockHolder, "stale", property(lambda holder: holder.silent >= holder.heartbeat))
    else:
        monkeypatch.setattr(LockHold, "check", lambda hold, current: setattr(hold, "_commit", current))
    with pytest.raises(AssertionError, match="wrote at"):
        histories(2_000)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_machines_long() -> None:
    began = time.monotonic()
    found = histories(LONG, first=1_000_000)
    report("Locks", "two or three machines in virtual time", LONG, time.monotonic() - began, dict(found))
