"""Answers count in the order of their requests, however they come."""

from __future__ import annotations

import itertools
import random
import threading
import time

import pytest

from migration.verify.sequential import Pursuit


def test_answers_come_in_order_though_the_later_ones_are_quicker() -> None:
    gates = [threading.Event() for _ in range(4)]

    def ask(number: int) -> int:
        if number < 3:
            gates[number].wait(5)
        if number > 0:
            gates[number - 1].set()
        return number

    assert list(Pursuit(ask, 4, lambda number: number < 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("width", [1, 2, 7])
def test_never_more_are_under_way_than_allowed_and_each_is_asked_once(width: int) -> None:
    lock, now, most, asked = threading.Lock(), 0, 0, []

    def ask(number: int) -> int:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
            asked.append(number)
        time.sleep(random.Random(number).random() / 500)
        with lock:
            now -= 1
        return number

    assert list(Pursuit(ask, width, lambda number: number < 40)) == list(range(40))
    assert sorted(asked) == list(range(40))
    assert most <= width


def test_an_answer_that_does_not_come_holds_back_what_is_sent_after_it() -> None:
    slow = threading.Event()
    asked: list[int] = []

    def ask(number: int) -> int:
        asked.append(number)
        if number == 0:
            slow.wait(5)
        elif len(asked) == 6:
            slow.set()
        return number

    pursuit = Pursuit(ask, 3, lambda number: number < 50)
    assert next(iter(pursuit)) == 0
    assert pursuit.sent <= 7


def test_leaving_early_sends_nothing_more_and_what_is_under_way_can_still_be_had() -> None:
    held = threading.Event()

    def ask(number: int) -> int:
        if number > 1:
            held.wait(5)
        return number

    pursuit = Pursuit(ask, 3, lambda _: True)
    assert list(itertools.islice(pursuit, 2)) == [0, 1]
    sent = pursuit.sent
    held.set()
    assert pursuit.drain(5) == list(range(2, sent))
    assert pursuit.sent == sent


def test_what_never_comes_keeps_nobody() -> None:
    forever = threading.Event()
    pursuit = Pursuit(lambda number: number == 0 or forever.wait(30), 2, lambda _: True)
    assert next(iter(pursuit)) is True
    assert pursuit.drain(0.05) == []
    forever.set()


def test_a_mistake_in_asking_is_raised_in_its_turn() -> None:
    def ask(number: int) -> int:
        if number == 2:
            raise ZeroDivisionError
        return number

    seen = []
    with pytest.raises(ZeroDivisionError):
        for answer in Pursuit(ask, 4, lambda number: number < 9):
            seen.append(answer)
    assert seen == [0, 1]


def test_nothing_to_send_ends_at_once() -> None:
    assert list(Pursuit(lambda number: number, 3, lambda _: False)) == []
