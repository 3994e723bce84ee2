"""Wherever a deploy or a rollback is killed, `status` tells the truth of it and the command that it names ends it."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from migration.base import failpoint, interrupts
from migration.rehearsal.server import Running
from tests.support import crash, long, scene
from tests.support.kills import ACTS, Act, cut, interrupt, make, survive, visits


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["deploy", "rollback"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_a_kill_at_every_durable_step(act: Act, way: str, tmp_path: Path, deno_state: Path, sandbox: Running) -> None:
    began, called, failed, rounds = time.monotonic(), Counter[str](), [], 0
    points = visits(act, make(act, tmp_path / "visits", deno_state, sandbox))
    assert points
    for point in points:
        for machine in act.machines(point, way):
            rounds += 1
            try:
                called[survive(act, point, machine, way, tmp_path / str(rounds), deno_state, sandbox)] += 1
            except Exception as error:  # noqa: BLE001 - the other cells are to be seen too
                failed.append(f"{point}, {machine}: {type(error).__name__}: {error}")
    found = {**called, "failed": len(failed)}
    long.report("kill -9", f"{act.name}, then {way}", rounds, time.monotonic() - began, found)
    assert not failed, "\n" + "\n".join(failed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", interrupts.SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("name", ["deploy two", "deploy with a gate that passes", "roll back two"])
def test_a_signal_at_every_durable_step(
    name: str, number: signal.Signals, tmp_path: Path, deno_state: Path, sandbox: Running
) -> None:
    began, called, failed = time.monotonic(), Counter[str](), []
    act = next(act for act in ACTS if act.name == name)
    points = visits(act, make(act, tmp_path / "visits", deno_state, sandbox))
    for round_, point in enumerate(points):
        if point.startswith(("lock.g", "record.outcome.after", "record.git.after")):
            continue  # nothing is left to be interrupted there
        try:
            called[interrupt(act, point, number, tmp_path / str(round_), deno_state, sandbox)] += 1
        except Exception as error:  # noqa: BLE001 - the other cells are to be seen too
            failed.append(f"{point}: {type(error).__name__}: {error}")
    found = {**called, "failed": len(failed)}
    long.report("signals", f"{name}, {number.name}", len(points), time.monotonic() - began, found)
    assert not failed, "\n" + "\n".join(failed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["cut-api", "cut-git", "cut-both", "full"])
@pytest.mark.parametrize("name", ["deploy two", "deploy one", "roll back two"])
def test_the_network_is_lost_or_the_disk_full_at_every_durable_step(
    name: str, what: str, tmp_path: Path, deno_state: Path, sandbox: Running
) -> None:
    began, ended, failed = time.monotonic(), Counter[str](), []
    act = next(act for act in ACTS if act.name == name)
    points = visits(act, make(act, tmp_path / "visits", deno_state, sandbox))
    for number, point in enumerate(points):
        try:
            ended[cut(act, point, what, tmp_path / str(number), deno_state, sandbox)] += 1
        except Exception as error:  # noqa: BLE001 - the other cells are to be seen too
            failed.append(f"{point}: {type(error).__name__}: {error}")
    found = {**ended, "failed": len(failed)}
    area = "disk full" if what == "full" else "network lost"
    long.report(area, f"{name}, {what.removeprefix('cut-')}", len(points), time.monotonic() - began, found)
    assert not failed, "\n" + "\n".join(failed)


OTHERS = ("lock.give", "lock.given", "emergency.pushed")  # the acts give the lock back with a record, and leave no file


@pytest.mark.parametrize("point", OTHERS[:2])
def test_a_lock_whose_owner_is_killed_while_giving_it_back_stands_in_nobody_s_way(
    point: str, tmp_path: Path, sandbox: Running
) -> None:
    stage = scene.make(tmp_path, sandbox)
    assert crash.run(stage, point, verb="lock") == -9
    holder = stage.context().lock.holder()
    assert (holder is None) == (point == "lock.given")
    assert holder is None or holder.stale
    with stage.context().lock.held("the next"):
        pass


def test_a_record_that_was_pushed_when_the_process_was_killed_is_not_pushed_again(
    tmp_path: Path, sandbox: Running
) -> None:
    stage = scene.make(tmp_path, sandbox)
    ledger = stage.context().ledger
    ledger.emergency.save(ledger.stamp({"record": "note", "text": "it waited"}))
    assert crash.run(stage, OTHERS[2], verb="flush") == -9
    assert len(ledger.emergency.records()) == 1, "the file is still there"
    again = stage.context().ledger
    again.flush()
    assert [record["text"] for record in again.records()] == ["it waited"]
    assert again.emergency.records() == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_acts_come_by_every_failpoint(tmp_path: Path, deno_state: Path, sandbox: Running) -> None:
    seen: set[str] = set()
    for number, act in enumerate(ACTS):
        points = visits(act, make(act, tmp_path / str(number), deno_state, sandbox), every=True)
        seen |= {re.sub(r":\d+$", "", point) for point in points}
    assert seen | set(OTHERS) == set(failpoint.NAMES)
