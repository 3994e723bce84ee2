"""What is left of a killed sandbox is ended, and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from migration.rehearsal.reaper import Reaper
from tests.support.edge import alive, until


@pytest.fixture
def sleepers() -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen(["sleep", "300"], start_new_session=True) for _ in range(2)]


def test_at_the_end_of_the_pipe_it_kills_what_was_added_and_not_removed(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    kept, lost = sleepers
    reaper = Reaper()
    for each in sleepers:
        reaper.add(each.pid)
    reaper.remove(kept.pid)
    reaper.stop()
    assert lost.wait(10) == -9
    assert kept.poll() is None
    kept.kill()
    kept.wait()


def test_a_worker_that_is_gone_already_is_no_trouble(sleepers: list[subprocess.Popen[bytes]]) -> None:
    reaper = Reaper()
    for each in sleepers:
        reaper.add(each.pid)
    sleepers[0].kill()
    sleepers[0].wait()
    reaper.stop()
    until(lambda: not alive(sleepers[1].pid))
    assert sleepers[1].wait(10) == -9
