"""Answers are kept on this machine, counted by what became of the artifact, and never in anybody's way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from migration.config.environment import Environment
from migration.config.settings import Config
from migration.context import Context
from migration.verify import samples
from migration.verify.samples import Sample
from tests.support.built import built
from tests.support.clock import VirtualClock

CONFIG = built(
    Config,
    {
        "migration": {"name": "test", "functions": ["make"]},
        "app": {"path": "app"},
        "environments": {"prod": {"url": "http://127.0.0.1:9"}},
    },
)
HOUR = timedelta(hours=1)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(CONFIG, Environment("prod", "http://127.0.0.1:9"), tmp_path, tmp_path / "app", clock=VirtualClock())


def sample(
    context: Context, *, ago: float = 0, ok: bool = True, artifact: bool | None = True, status: int = 200
) -> Sample:
    at = context.clock.now() - timedelta(seconds=ago)
    return Sample(at, "make", "counter", ok, status, 1.5, artifact, "e1", "" if ok else "status: expected 200")


def test_what_is_kept_comes_back_as_it_was_within_its_span(context: Context) -> None:
    old, new = sample(context, ago=7200), sample(context, ago=60, ok=False, artifact=None)
    samples.record(context, [old])
    samples.record(context, [new])
    now = context.clock.now()
    assert samples.recent(context, now - HOUR, now) == [new]
    assert samples.recent(context, now - 3 * HOUR, now) == [old, new]


def test_without_a_file_there_is_nothing_and_a_torn_line_is_passed_over(context: Context) -> None:
    now = context.clock.now()
    assert samples.recent(context, now - HOUR, now) == []
    samples.record(context, [sample(context, ago=1)])
    with samples.file(context).open("a") as file:
        file.write('{"at": "2026-1\nnonsense\n{"at": "2026-11-22T12:00:00+00:00"}\n')
    assert len(samples.recent(context, now - HOUR, now)) == 1


def test_the_oldest_are_forgotten_when_there_are_too_many(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_ROOM", 10_000)
    monkeypatch.setattr(samples, "_KEPT", 50)
    for _ in range(30):
        samples.record(context, [sample(context, ago=1)] * 10)
    assert samples.file(context).stat().st_size < 20_000
    assert len(samples.recent(context, context.clock.now() - HOUR, context.clock.now())) >= 50


def test_a_machine_that_cannot_keep_them_goes_on(context: Context) -> None:
    samples.file(context).parent.parent.mkdir(parents=True)
    samples.file(context).parent.write_text("a file where the folder would be")
    samples.record(context, [sample(context)])


def test_artifacts_are_counted_by_what_became_of_them(context: Context) -> None:
    answers = [
        sample(context),
        sample(context, ok=False),
        sample(context, ok=False, artifact=False),
        sample(context, ok=False, artifact=False, status=503),
        sample(context, artifact=None),
    ]
    found = samples.artifacts(answers)
    assert (found.tried, found.worked, found.delivered, found.valid) == (4, 1, 3, 2)
    assert [str(offender) for offender in found.offenders] == ["make e1: counter: status: expected 200"] * 3
