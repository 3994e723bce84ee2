"""When looks are taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from migration.watch import progress
from migration.watch.rows import RowQuery
from tests.support.days import BEGIN, EVERY, LOOKS, state

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("taken", [0, 1, 7])
@pytest.mark.parametrize("round_", [1, 2, 5])
@pytest.mark.parametrize("late", [{}, {"17": 100}])
def test_next_look_is_the_first_round_that_takes_one(taken: int, round_: int, late: dict[str, int]) -> None:
    """As `ripe_until` decides in each round, however late rows are and whatever the length of a round."""
    every, wanted = round_ * MINUTE, RowQuery({}, BEGIN, EVERY)
    known = replace(state(), cursor=BEGIN + taken * EVERY, lateness=late)
    rounds = (BEGIN + every * n for n in range(1, 200))
    first = next(at for at in rounds if progress.ripe_until(known, wanted, at) > known.cursor)
    assert progress.next_look(known, BEGIN, every=every) == first
    single = progress.next_look(known, BEGIN)
    assert single is not None and first - every < single <= first
    assert progress.ripe_until(known, wanted, single) > known.cursor
    assert progress.ripe_until(known, wanted, single - timedelta(seconds=1)) == known.cursor


def test_missed_look_is_due_at_the_next_round() -> None:
    """A round that could not read leaves its looks to the one after it."""
    now = BEGIN + timedelta(hours=3, seconds=20)
    assert progress.next_look(state(), now, every=EVERY) == BEGIN + timedelta(hours=3, minutes=5)
    assert progress.next_look(state(), now) == now


def test_no_look_is_left() -> None:
    """After the last one, and in a watch that has ended."""
    assert progress.next_look(replace(state(), cursor=BEGIN + EVERY * LOOKS), BEGIN, every=EVERY) is None
    assert progress.next_look(replace(state(), ended="over"), BEGIN) is None
