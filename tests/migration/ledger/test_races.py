"""Many at once: no record lost or doubled, never two holders, even through a remote that loses answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.server import Running
from tests.support import scene
from tests.support.git_http import Faults, serve
from tests.support.long import report
from tests.support.repos import bare, clone, commit, git, ledger, pair
from tests.support.scene import Scene

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
KINDS = ("file", "http", "lossy")
LEDGER = "refs/cutover/ledger/prod"


@dataclass
class Field:
    """A remote and the clones that race in it."""

    remote: Path
    clones: list[Path]
    faults: Faults = field(default_factory=Faults)


@contextlib.contextmanager
def prepared(folder: Path, kind: str, clones: int) -> Iterator[Field]:
    remote, _ = pair(folder)
    if kind == "file":
        yield Field(remote, [clone(remote, folder / f"clone{number}") for number in range(clones)])
        return
    git(remote, "config", "http.receivepack", "true")
    with serve(folder) as (address, faults):
        ground = Field(remote, [clone(f"{address}/remote.git", folder / f"clone{n}") for n in range(clones)], faults)
        if kind == "lossy":  # a third of the answers never arrive, half of those after the server acted
            faults.before, faults.after, faults.busy = 0.12, 0.18, 0.04
        yield ground
        faults.before = faults.after = faults.busy = 0.0


class Racers:
    """Processes that wait for each round's start."""

    def __init__(self, folders: Sequence[Path], job: str, count: int = 1, about: str = "") -> None:
        self.children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.racer", str(folder), job, f"p{number}", str(count), about],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number, folder in enumerate(folders)
        ]  # fmt: skip
        for child in self.children:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"

    def round(self, number: int) -> list[dict[str, Any]]:
        for child in self.children:
            assert child.stdin is not None
            child.stdin.write(f"{number}\n")
            child.stdin.flush()
        return [json.loads(child.stdout.readline()) for child in self.children if child.stdout]

    def end(self) -> None:
        for child in self.children:
            assert child.stdin is not None
            child.stdin.close()
        for child in self.children:
            child.wait(30)


def texts(ground: Field) -> list[str]:
    """The notes as the server itself holds them."""
    if not git(ground.remote, "for-each-ref", "refs/cutover/ledger/prod"):
        return []  # every racer gave up before its first record
    lines = git(ground.remote, "log", "--reverse", "--format=%s", "refs/cutover/ledger/prod").splitlines()
    return [json.loads(line).get("text", "") for line in lines]


def appending(ground: Field, folders: Sequence[Path], rounds: int, count: int) -> dict[str, int]:
    racers = Racers(folders, "append", count)
    acknowledged: list[str] = []
    failed: list[str] = []
    for number in range(rounds):
        for answer in racers.round(number):
            acknowledged += answer["written"]
            failed += [answer["failed"]] if "failed" in answer else []
    racers.end()
    found = texts(ground)
    assert len(found) == len(set(found)), "a record stands twice"
    assert not set(acknowledged) - set(found), "an acknowledged record is lost"
    assert not failed, f"writers gave up: {failed}"
    return {"written": len(acknowledged), "in the ledger": len(found)}


def deploying(ground: Field, folders: Sequence[Path], rounds: int) -> dict[str, int]:
    racers, won, failed = Racers(folders, "deploy"), 0, 0
    for number in range(rounds):
        answers = racers.round(number)
        winners = [answer for answer in answers if answer["won"]]
        won += len(winners)
        failed += sum("failed" in answer for answer in answers)
        assert winners or any("failed" in answer for answer in answers), answers
    racers.end()
    overlaps(texts(ground))
    assert "refs/cutover/lock/prod" not in git(ground.remote, "for-each-ref") or failed
    return {"won": won, "gave up": failed}


def releasing(stage: Scene, shared: Path, kind: str, clones: int, rounds: int) -> dict[str, object]:
    """Whole deploys of the same new commit from every clone at once, each beside a note of its own."""
    git(stage.folder / "remote.git", "config", "http.receivepack", "true")
    with serve(stage.folder) as (address, faults):
        source = f"{address}/remote.git" if kind != "file" else stage.folder / "remote.git"
        folders = [clone(source, stage.folder / f"clone{number}") for number in range(clones)]
        for number in range(clones):
            _warm(stage.folder / f"p{number}" / ".cutover", shared)
        if kind == "lossy":
            faults.before, faults.after, faults.busy = 0.12, 0.18, 0.04
        names = ("url", "api_url", "project_ref", "access_token", "anon_key")
        running = {name: getattr(stage.running, name) for name in names}
        about = json.dumps({"running": running, "settings": dict(stage.settings)})
        racers = Racers(folders, "release", 120 if kind == "lossy" else 0, about)
        told: Counter[str] = Counter()
        began = max((entry["number"] for entry in stage.running.history()), default=0)
        for number in range(rounds):
            revision = stage.change(number + 2)
            for folder in folders:
                git(folder, "fetch", "--quiet", str(stage.folder / "remote.git"), "main")
                git(folder, "reset", "--quiet", "--hard", revision)
            answers = racers.round(number)
            told.update(_released(stage, answers, number + 2, began, kind == "lossy"))
        faults.before = faults.after = faults.busy = 0.0
        racers.end()
    records = [json.loads(line) for line in git(stage.folder / "remote.git", "log", "--format=%s", LEDGER).splitlines()]
    notes = [record["text"] for record in records if record["record"] == "note"]
    assert sorted(notes) == sorted({f"p{one}r{number}-0" for one in range(clones) for number in range(rounds)})
    assert len({record["id"] for record in records}) == len(records), "a record stands twice"
    assert stage.context().lock.holder() is None or kind == "lossy"
    return {**told, **faults.counts}


def _released(stage: Scene, answers: list[Any], version: int, began: int, lossy: bool) -> list[str]:
    """One of them deployed, and each function was staged once; nobody else changed a thing, and each said why."""
    tries = [one for answer in answers for one in answer["tries"]]
    told = json.dumps(answers, indent=1)
    assert [one["outcome"] for one in tries].count("ungated") == 1, told
    assert all(answer["code"] in (0, 2) and "failed" not in answer for answer in answers), told
    done = Counter(entry["operation"] for entry in stage.running.history(since=began))
    assert (done["stage"], done["activate"]) == (2 * (version - 1), version - 1)
    assert {one.version for one in stage.context().supabase.functions()} == {version}
    ends = Counter(one.outcome for one in stage.context().ledger.history().deployments)
    assert ends["ungated"] == version and (lossy or len(ends) == 1), ends
    return [one["outcome"] or f"exit {one['code']}" for one in tries]


def _warm(state: Path, shared: Path) -> None:
    """Deno's caches are shared by all; everything else is each clone's own."""
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (shared / name).mkdir(exist_ok=True)
        (state / name).symlink_to(shared / name)


def overlaps(found: Sequence[str]) -> None:
    """Between a holder's two records nobody else's may stand: the chain itself proves that holders never overlapped."""
    notes = [text for text in found if text.startswith(("begin", "end"))]
    assert len(notes) == len(set(notes)), "a record stands twice"
    open_by = ""
    for text in notes:
        word, _, rest = text.partition(" ")
        if word == "begin":
            open_by = rest
        else:
            assert open_by == rest, f"{rest} ended while {open_by or 'nobody'} held the lock"
            open_by = ""


@pytest.mark.parametrize(("kind", "clones"), [("file", 4), ("lossy", 3)])
def test_clones_appending_at_once_lose_and_double_nothing(tmp_path: Path, kind: str, clones: int) -> None:
    with prepared(tmp_path, kind, clones) as ground:
        assert appending(ground, ground.clones, rounds=1, count=1)["in the ledger"] == clones


def test_four_processes_in_one_clone_appending_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    with prepared(tmp_path, "file", 1) as ground:
        assert appending(ground, ground.clones * 4, rounds=1, count=3)["in the ledger"] == 12


def test_of_deployers_at_once_no_two_hold_the_lock(tmp_path: Path) -> None:
    with prepared(tmp_path, "lossy", 2) as ground:
        found = deploying(ground, ground.clones, rounds=1)
        assert found["won"] + found["gave up"] >= 1


def test_of_whole_deploys_at_once_one_carries_it_out_and_the_others_change_nothing(
    tmp_path: Path, sandbox: Running, deno_state: Path
) -> None:
    assert releasing(scene.deployed(tmp_path, sandbox), deno_state, "file", 3, 1)["ungated"] == 1


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "clones"), [("file", 4), ("http", 4), ("lossy", 3)])
def test_whole_deploys_at_once_for_many_rounds(
    tmp_path: Path, sandbox: Running, deno_state: Path, kind: str, clones: int
) -> None:
    began = time.monotonic()
    found = releasing(scene.deployed(tmp_path, sandbox), deno_state, kind, clones, 20)
    report("git", f"whole deploys and notes, {clones} clones, {kind} remote", 20, time.monotonic() - began, found)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("job", ["append", "deploy"])
@pytest.mark.parametrize("shape", ["8 clones", "4 processes in one clone"])
def test_a_hundred_rounds(tmp_path: Path, kind: str, job: str, shape: str) -> None:
    """100 rounds each: 8 clones and 4 processes in one clone, deploying and recording at once."""
    began = time.monotonic()
    with prepared(tmp_path, kind, 8 if shape == "8 clones" else 1) as ground:
        folders = ground.clones if shape == "8 clones" else ground.clones * 4
        found = appending(ground, folders, 100, 1) if job == "append" else deploying(ground, folders, 100)
        seconds, facts = time.monotonic() - began, {**found, **ground.faults.counts}
        report("git", f"{job}, {shape}, {kind} remote", 100, seconds, facts)


def test_a_remote_that_loses_answers_tells_every_writer_the_truth(tmp_path: Path) -> None:
    """Half of the pushes land without an answer: each is recognised as landed, none is written again."""
    remote = bare(tmp_path / "remote.git")
    git(remote, "config", "http.receivepack", "true")
    with serve(tmp_path, Faults()) as (address, faults):
        folder = clone(f"{address}/remote.git", tmp_path / "one")
        commit(folder, {"README": "x"})
        own = ledger(folder)
        faults.after = 0.4
        for number in range(6):
            own.append({"record": "note", "text": str(number)})
        faults.after = 0.0
        assert [record["text"] for record in own.records()] == ["0", "1", "2", "3", "4", "5"]
        assert faults.counts["after"] > 0
