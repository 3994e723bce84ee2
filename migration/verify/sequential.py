"""Wald's sequential test between two success rates, and requests whose answers count in the order of their numbers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, Literal, TypeVar

from migration.base.command import Do
from migration.base.errors import Refused

SprtDecision = Literal["accept", "reject"]


@dataclass(frozen=True)
class Sprt:
    """Is the success rate at least `accept`, or at most `reject`? At most `most` requests.

    The bounds are 1/alpha and beta, not Wald's approximations: with them a rate at or below `reject` is accepted at
    most `alpha` of the time and one at or above `accept` rejected at most `beta`, whatever the overshoot.
    """

    accept: float = 0.99
    reject: float = 0.95
    alpha: float = 0.05
    beta: float = 0.05
    most: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.reject < self.accept < 1:
            raise Refused(
                f"A soak cannot tell {self.accept:g} from {self.reject:g}: "
                "both must lie between 0 and 1, reject below accept.",
                Do("set soak.accept and soak.reject in config.yaml"),
            )

    @property
    def good(self) -> float:
        """What a success adds to the logarithm of the likelihood ratio."""
        return math.log(self.accept / self.reject)

    @property
    def bad(self) -> float:
        """What a failure adds; it is negative."""
        return math.log((1 - self.accept) / (1 - self.reject))

    def decide(self, successes: int, failures: int) -> SprtDecision | None:
        """The verdict on these counts, if they settle it. Only ever ask in the order of the requests."""
        ratio = successes * self.good + failures * self.bad
        if ratio >= -math.log(self.alpha):
            return "accept"
        return "reject" if ratio <= math.log(self.beta) else None


@dataclass(frozen=True)
class Odds:
    """What a test does at one true rate, exactly: probabilities of its three ends and the mean number of requests."""

    rate: float
    accept: float
    reject: float
    open: float
    requests: float


def odds(test: Sprt, rate: float) -> Odds:
    """Computed over every path, not simulated."""
    paths = {0: 1.0}  # probability of still going on, by failures so far
    ends = {"accept": 0.0, "reject": 0.0}
    requests = 0.0
    for sent in range(1, test.most + 1):
        requests += sum(paths.values())
        paths = _step(test, rate, sent, paths, ends)
    return Odds(rate, ends["accept"], ends["reject"], sum(paths.values()), requests)


def _step(test: Sprt, rate: float, sent: int, paths: dict[int, float], ends: dict[str, float]) -> dict[int, float]:
    going: dict[int, float] = {}
    for failed, chance in paths.items():
        for failures, weight in ((failed, rate), (failed + 1, 1 - rate)):
            decision = test.decide(sent - failures, failures)
            if decision:
                ends[decision] += chance * weight
            else:
                going[failures] = going.get(failures, 0.0) + chance * weight
    return going


# A sequential test looks at its answers one after another. Taken as they come, quick failures would overtake slow
# successes and decide first; so an answer counts only when all before it have counted.

T = TypeVar("T")


class Pursuit(Generic[T]):
    """Calls `ask(number)` for 0, 1, 2, … on `width` threads, as long as `more()` says so.

    Iterating yields the answers in order. Leaving early starts nothing new; the threads are daemons, so that an
    answer that never comes does not hold the process. An exception of `ask` is raised here in its turn.
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
        """Fill the free threads; an answer that is late holds back the numbers after it. False: all is done."""
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
