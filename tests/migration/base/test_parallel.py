"""Many calls at once: bounded, complete, and no obstacle to leaving."""

from __future__ import annotations

import threading

import pytest

from migration.base import parallel


def test_every_result_comes_back_in_the_order_of_the_items() -> None:
    assert parallel.every([3, 1, 2], lambda number: number * 10, limit=2) == [30, 10, 20]


def test_no_more_than_the_limit_run_at_once() -> None:
    together = threading.Semaphore(2)

    def call(_: int) -> bool:
        free = together.acquire(blocking=False)
        threading.Event().wait(0.005)
        if free:
            together.release()
        return free

    assert all(parallel.every(list(range(12)), call, limit=2))


def test_exceptions_are_results_of_each_and_the_first_in_order_is_raised_by_every() -> None:
    def call(number: int) -> int:
        if number:
            raise ValueError(str(number))
        return number

    found = dict(parallel.each([0, 1], call))
    assert found[0] == 0
    assert isinstance(found[1], ValueError)
    with pytest.raises(ValueError, match="1"):
        parallel.every([0, 1, 2], call)


def test_leaving_early_starts_nothing_new() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def call(number: int) -> int:
        begun.append(number)
        if number:
            gate.wait(5)
        return number

    for _, _result in parallel.each([0, 1, 2, 3, 4, 5], call, limit=2):
        break
    gate.set()
    assert len(begun) <= 3


def test_what_has_begun_goes_on_while_its_caller_does_something_else() -> None:
    running = threading.Event()
    wait = parallel.begin([lambda: running.set(), lambda: 2])
    assert running.wait(5)
    assert wait() == [None, 2]


def test_the_first_exception_of_what_has_begun_is_raised_to_who_waits() -> None:
    empty: dict[str, int] = {}
    wait = parallel.begin([lambda: 1, lambda: int("one"), lambda: empty["two"]])
    with pytest.raises(ValueError, match="one"):
        wait()
