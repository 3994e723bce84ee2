"""The series and the repeated prompts, counted by the log engine itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.context import Context
from migration.rehearsal.logstore import LogStore
from migration.report import prompts, series
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, USAGE, Direct, context, deployed, row

pytestmark = pytest.mark.usefixtures("emptied")

HOUR = timedelta(hours=1)


class Records:
    """A ledger that is empty."""

    def records(self, fresh: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002
        return []


def surroundings(store: LogStore, folder: Path, **config: Any) -> Context:
    source = Direct(store, VirtualClock(NOON + 48 * HOUR))
    source.deployed = [deployed("artifact", "id-a"), deployed("fix", "id-f"), deployed("chat", "id-c")]
    found = context(folder, source, **config)
    found.__dict__["ledger"] = Records()
    return found


def answer(seconds: float, status: str = "200", took: str = "1000", function: str = "id-a", **more: str) -> Any:
    named = {"request__method": "POST", "response__status_code": status, "execution_time_ms": took, **more}
    return row("POST | x", seconds, source="function_edge_logs", function_id=function, **named)


def test_answers_by_step(store: LogStore, tmp_path: Path) -> None:
    """What the caller caused, a preflight, other functions and a repeated id do not count; a still step is none."""
    twice = row("POST", 5, source="function_edge_logs", id="same", function_id="id-a", request__method="POST",
                response__status_code="200", execution_time_ms="1000")  # fmt: skip
    store.append([twice, twice, answer(10, took="3000"), answer(20, "503"), answer(30, "404"), answer(40, "429")])
    store.append([answer(50, request__method="OPTIONS"), answer(60, function="id-c"), answer(900, function="id-f")])
    found = series.read(surroundings(store, tmp_path), NOON, NOON + HOUR)
    assert found.step == 300
    assert [(one.at, one.answers, one.failed, one.p95) for one in found.points] == [
        (NOON, 4, 2, 3.0), (NOON + timedelta(minutes=15), 1, 0, 1.0),
    ]  # fmt: skip
    assert (found.answers, found.failed) == (5, 2)


def test_steps_of_two_queries_are_joined(store: LogStore, tmp_path: Path) -> None:
    """A query takes less than a day: the step between two of them is counted in both."""
    edge = 23 * 3600 + 57 * 60
    store.append([answer(edge - 60, took="2000"), answer(edge + 60, took="4000"), answer(edge + 61, "500")])
    found = series.read(surroundings(store, tmp_path), NOON, NOON + 30 * HOUR)
    assert [(one.answers, one.failed, one.p95) for one in found.points] == [(3, 1, 4.0)]


def test_at_most_288_steps() -> None:
    for hours in (1, 24, 25, 24 * 7, 24 * 90):
        span = timedelta(hours=hours)
        assert series.width(span) % 60 == 0 and span.total_seconds() / series.width(span) <= 288


def test_no_function_was_seen(store: LogStore, tmp_path: Path) -> None:
    found = surroundings(store, tmp_path, migration={"name": "x", "functions": ["new"], "to": "openrouter"})
    assert series.read(found, NOON, NOON + HOUR).points == ()


def test_repeated_prompts_are_counted_by_their_hash(store: LogStore, tmp_path: Path) -> None:
    own = {"usage": {"pattern": USAGE}, "prompt": {"pattern": r"prompt (?P<hash>[0-9a-f]{8}) of (\d+)"}}
    found = surroundings(store, tmp_path, signals=own)
    texts = ["aaaaaaaa", "bbbbbbbb", "aaaaaaaa", "aaaaaaaa", "nothash!"]
    store.append([row(f"[req-{n:06}] prompt {text} of 12", n, function_id="id-a") for n, text in enumerate(texts)])
    counted = prompts.read(found, NOON, NOON + HOUR)
    assert (counted.prompts, counted.different, counted.repeated) == (4, 2, 2)


def test_without_a_hash_prompts_are_unknown(store: LogStore, tmp_path: Path) -> None:
    assert prompts.pattern(surroundings(store, tmp_path).config) is None
    bare = surroundings(store, tmp_path, signals={"prompt": {"pattern": "prompt"}})
    assert prompts.pattern(bare.config) is None
