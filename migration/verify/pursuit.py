"""Requests sent several at a time and decided in the order of their numbers.

A sequential test looks at its answers one after another. Were it to look at them as they come, quick failures would
overtake slow successes and decide first; so an answer counts only when all before it have counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Pursuit(Generic[T]):
    """Calls `ask(number)` for 0, 1, 2, … on `width` threads, as long as `more()` says so.

    Iterating yields the answers in order. Leaving early starts nothing new; the threads are daemons, so that an
    answer that never comes keeps nobody. An exception of `ask` is raised here in its turn.
    """

    def __init__(self, ask: Callable[[int], T], width: int, more: Callable[[int], bool]) -> None:
        self._ask = ask
        self._width = width
        self._more = more
        self._todo: SimpleQueue[int | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, T | Exception]] = SimpleQueue()
        self._early: dict[int, T | Exception] = {}
        self.sent = 0
        self.flying = 0
        self._counted = 0

    def __iter__(self) -> Iterator[T]:
        for _ in range(self._width):
            threading.Thread(target=self._work, daemon=True).start()
        try:
            while self._launch():
                self._take(*self._done.get())
                while self._counted in self._early:
                    answer = self._early.pop(self._counted)
                    self._counted += 1
                    if isinstance(answer, Exception):
                        raise answer
                    yield answer
        finally:
            for _ in range(self._width):
                self._todo.put(None)

    def drain(self, seconds: float) -> list[T]:
        """What was still under way when the pursuit ended, as far as it comes within so many seconds each."""
        while self.flying:
            try:
                self._take(*self._done.get(timeout=seconds))
            except Empty:
                break
        return [self._early[number] for number in sorted(self._early) if not isinstance(self._early[number], Exception)]  # type: ignore[misc]

    def _launch(self) -> bool:
        """Fill the free threads; an answer long in coming holds the numbers after it back. False: all is done."""
        ahead = 2 * self._width
        while self.flying < self._width and self.sent < self._counted + ahead and self._more(self.sent):
            self._todo.put(self.sent)
            self.sent += 1
            self.flying += 1
        return self.flying > 0

    def _take(self, number: int, answer: T | Exception) -> None:
        self.flying -= 1
        self._early[number] = answer

    def _work(self) -> None:
        while (number := self._todo.get()) is not None:
            try:
                self._done.put((number, self._ask(number)))
            except Exception as error:  # noqa: BLE001 - raised again in the main thread, in its turn
                self._done.put((number, error))
