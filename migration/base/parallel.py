"""Many calls at once, bounded, without holding up an orderly end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(items: Sequence[T], call: Callable[[T], R], limit: int = 32) -> Iterator[tuple[T, R | Exception]]:
    """Yields (item, result or exception) as they come. Leaving early starts nothing new.

    The threads are daemons: a signal must end the run within seconds, and a request in flight may take a minute.
    """
    waiting: SimpleQueue[T | None] = SimpleQueue()
    done: SimpleQueue[tuple[T, R | Exception]] = SimpleQueue()
    stopped = threading.Event()
    for item in items:
        waiting.put(item)
    threads = min(limit, len(items))
    for _ in range(threads):
        waiting.put(None)
        threading.Thread(target=_work, args=(waiting, done, call, stopped), daemon=True).start()
    try:
        for _ in items:
            yield done.get()
    finally:
        stopped.set()


def every(items: Sequence[T], call: Callable[[T], R], limit: int = 32) -> list[R]:
    """All results in the order of the items; the first exception in that order is raised."""
    by_item = {id(item): result for item, result in each(items, call, limit)}
    results = [by_item[id(item)] for item in items]
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [result for result in results if not isinstance(result, Exception)]


def begin(calls: Sequence[Callable[[], Any]]) -> Callable[[], list[Any]]:
    """Starts all calls now. What it returns waits for the results, any number of times and from any thread; it raises
    the first exception in their order."""
    results: list[Any] = [None] * len(calls)
    errors: list[Exception | None] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            errors[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()

    def wait() -> list[Any]:
        for thread in threads:
            thread.join()
        for error in errors:
            if error is not None:
                raise error
        return results

    return wait


def _work(
    waiting: SimpleQueue[T | None],
    done: SimpleQueue[tuple[T, R | Exception]],
    call: Callable[[T], R],
    stopped: threading.Event,
) -> None:
    while (item := waiting.get()) is not None and not stopped.is_set():
        try:
            done.put((item, call(item)))
        except Exception as error:  # noqa: BLE001 - handed to the caller, who knows what it means
            done.put((item, error))
