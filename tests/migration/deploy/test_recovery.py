"""Whatever killed a deploy, the next command knows what is live and finishes it."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from migration.base import failpoint
from migration.base.errors import Refused, ServiceFailed, Unfinished
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy, plan, recovery
from migration.deploy.recovery import Recovery
from migration.deploy.result import DeployResult
from migration.inspect import status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.support import crash, repos, scene
from tests.support.scene import Hurried, Scene, index, text

# In the order in which a deploy of two functions meets them.
BEFORE_SENDING = ["snapshot.keep", "snapshot.snapshot", "record.intent", "record.intent.after", "journal.sending"]
STAGING = ["stage.send", "stage.send:2", "journal.answered", "journal.answered:2", "journal.answered.after",
           "journal.answered.after:2", "record.staged", "record.staged.after", "activate.send"]  # fmt: skip
LIVE = ["activate.sent", "record.outcome"]
ALL = [*BEFORE_SENDING, *STAGING, *LIVE, "record.outcome.after"]
SOME = ["record.staged.after", random.Random(5).choice(ALL)]


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 is deployed, version 2 is committed and pushed."""
    made = scene.deployed(tmp_path, sandbox)
    made.change(2)
    return made


def _deploy(stage: Scene, root: str = "root", **more: object) -> DeployResult:
    options = {"yes": True, "gate": False, "pace": crash.QUICK, **more}
    return deploy.run(stage.context(root=root), deploy.DeployOptions(**options))  # type: ignore[arg-type]


def _look(stage: Scene, root: str = "root") -> Recovery | None:
    context = stage.context(root=root)
    live = {function.slug: function for function in context.supabase.functions()}
    return recovery.look(context, context.ledger.history(), live)


def _plan(context: Context) -> object:
    return plan.make(context)


def _texts(stage: Scene) -> set[str]:
    """What the functions' deployed sources are, by their version text."""
    context = stage.context()
    return {body.decode() for slug in stage.functions for body in context.supabase.body(slug).files.values()}


def _settled(stage: Scene) -> None:
    """Nothing is half done: no lock, no interrupted deployment, and a next deploy has nothing to do."""
    context = stage.context()
    assert context.lock.holder() is None
    assert context.ledger.history().interrupted is None
    assert _deploy(stage).deployment.outcome == "same"


def _finishes(stage: Scene, failpoint: str, root: str) -> None:
    assert crash.run(stage, failpoint) == -9
    found = _look(stage, root)
    assert found is None or (found.message and found.next)
    result = _deploy(stage, root)
    assert result.exit_code == 0, result.message
    assert _texts(stage) == {text(2)}
    _settled(stage)


@pytest.mark.parametrize("failpoint", SOME)
def test_a_killed_deploy_is_finished_by_the_next_one(failpoint: str, stage: Scene) -> None:
    _finishes(stage, failpoint, "root")


@pytest.mark.long
@pytest.mark.parametrize("root", ["root", "elsewhere"])
@pytest.mark.parametrize("failpoint", ALL)
def test_a_deploy_killed_anywhere_is_finished_from_this_machine_and_from_another(
    failpoint: str, root: str, stage: Scene
) -> None:
    _finishes(stage, failpoint, root)


def _undone(stage: Scene, failpoint: str, root: str) -> None:
    """After the kill `status` only reads, and `rollback` makes version 1 live again."""
    code = crash.run(stage, failpoint)
    assert code == -9
    requests = len(stage.running.history())
    told = status.run(stage.context(root=root))
    assert {entry["method"] for entry in stage.running.history()[requests:]} <= {"GET"}
    interrupted = stage.context().ledger.history().interrupted is not None
    assert told.exit_code == (5 if interrupted else 0)
    rollback.run(stage.context(root=root), rollback.RollbackOptions(pace=crash.QUICK))
    assert _texts(stage) == {text(1)}
    assert stage.context().ledger.history().interrupted is None
    assert stage.context().lock.holder() is None


@pytest.mark.parametrize("failpoint", ["activate.sent"])
def test_a_killed_deploy_is_told_by_status_and_undone_by_rollback(failpoint: str, stage: Scene) -> None:
    _undone(stage, failpoint, "root")


@pytest.mark.long
@pytest.mark.parametrize("root", ["root", "elsewhere"])
@pytest.mark.parametrize("failpoint", [*STAGING, *LIVE])
def test_a_deploy_killed_anywhere_is_undone_from_this_machine_and_from_another(
    failpoint: str, root: str, stage: Scene
) -> None:
    _undone(stage, failpoint, root)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGHUP, signal.SIGINT))]
)
def test_a_signal_after_staging_began_records_frees_the_lock_and_exits_5(number: signal.Signals, stage: Scene) -> None:
    stage.running.fault("activate", "hang", hold=20.0, times=1)
    child = crash.start(stage, "")
    _until(lambda: len(stage.running.history(operation="activate")))
    began = time.monotonic()
    os.kill(child.pid, number)
    child.join(20)
    assert child.exitcode == 5
    assert time.monotonic() - began < 15.0, "far more than the promised 5 s, for machines that are busy"
    assert stage.context().lock.holder() is None
    found = _look(stage)
    assert found is not None
    assert found.verdict == "staged"
    stage.running.heal()
    assert _deploy(stage).exit_code == 0
    assert _texts(stage) == {text(2)}


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_failpoint_that_the_code_visits_is_listed() -> None:
    visited = set()
    for path in (Path(__file__).parents[3] / "migration").rglob("*.py"):
        visited |= set(re.findall(r'failpoint\("([^"]+)"\)', path.read_text()))
    assert visited == set(failpoint.NAMES)


@pytest.mark.parametrize(
    ("failpoint", "verdict"),
    [
        ("record.intent.after", "abandoned"),
        pytest.param("record.staged.after", "staged", marks=pytest.mark.long),
        pytest.param("activate.sent", "live", marks=pytest.mark.long),
    ],
)
def test_each_state_is_told_from_what_is_live_and_recorded(failpoint: str, verdict: str, stage: Scene) -> None:
    assert crash.run(stage, failpoint) == -9
    found = _look(stage)
    assert found is not None
    assert found.verdict == verdict
    assert "inv rollback" in " ".join(map(str, found.next))


def test_some_live_and_some_not_repeats_the_activation(stage: Scene) -> None:
    stage.running.fault("activate", "partial", skip=["beta"], times=1)
    assert crash.run(stage, "activate.sent") == -9
    found = _look(stage)
    assert found is not None
    assert found.verdict == "mixed"
    assert {one.slug: one.state for one in found.functions} == {"alpha": "live", "beta": "staged"}
    assert _deploy(stage).exit_code == 0
    assert _texts(stage) == {text(2)}
    _settled(stage)


@pytest.mark.slow
def test_somebody_elses_version_is_not_touched(stage: Scene) -> None:
    assert crash.run(stage, "activate.sent") == -9
    about = {"entrypoint_path": index("alpha"), "import_map_path": "", "static_patterns": [], "name": "alpha"}
    stage.context().supabase.deploy(Upload("alpha", about, [(index("alpha"), text("theirs").encode())]))
    requests = len(stage.running.history())
    with pytest.raises(Unfinished, match="was deployed outside Cutover meanwhile") as caught:
        _deploy(stage)
    assert {entry["method"] for entry in stage.running.history()[requests:]} == {"GET"}
    assert caught.value.hint == "inv plan --diff" and "by its hash" in caught.value.message
    made = plan.make(stage.context())
    assert made.drifted
    assert _deploy(stage, yes=False, plan_hash=made.hash).exit_code == 0
    assert _texts(stage) == {text(2)}
    _settled(stage)


def test_another_plan_does_not_go_on_with_an_interrupted_one(stage: Scene) -> None:
    assert crash.run(stage, "record.staged.after") == -9
    stage.change(3)
    with pytest.raises(Unfinished) as caught:
        _deploy(stage)
    assert "to finish it:\ninv deploy\nto undo it:\ninv rollback" in caught.value.hint
    assert _texts(stage) == {text(1)}


@pytest.mark.parametrize(
    ("verb", "again"), [pytest.param("deploy", (), marks=pytest.mark.long), ("rollback", ("inv rollback",))]
)
def test_with_nothing_to_deploy_what_was_interrupted_before_it_began_is_closed_and_named(
    verb: str, again: tuple[str, ...], stage: Scene
) -> None:
    if verb == "rollback":
        assert _deploy(stage).exit_code == 0
    assert crash.run(stage, "record.intent.after", verb=verb) == -9
    if verb == "deploy":
        stage.change(1)
    assert status.run(stage.context()).exit_code == 5
    told = plan.make(stage.context())
    assert "nothing" in told.notes[0] and "The next deploy closes it" in told.notes[0]
    done = _deploy(stage)
    assert done.exit_code == 0 and "Nothing to deploy" in done.message and "Closed the interrupted" in done.message
    assert tuple(map(str, done.next)) == again and status.run(stage.context()).exit_code == 0
    _settled(stage)


@pytest.mark.long
def test_new_work_is_not_deployed_over_a_rollback_that_was_interrupted_before_it_began(stage: Scene) -> None:
    assert _deploy(stage).exit_code == 0
    assert crash.run(stage, "record.intent.after", verb="rollback") == -9
    stage.change(3, "beta")
    with pytest.raises(Unfinished, match=r"nothing was put back yet.* is held") as caught:
        _deploy(stage)
    assert "inv rollback" in caught.value.hint and "--lift-hold" in caught.value.hint
    assert _deploy(stage, lift_hold="it was good after all").exit_code == 0
    _settled(stage)


def test_a_plan_tells_what_an_interrupted_deploy_left_and_which_commands_go_on(stage: Scene) -> None:
    assert crash.run(stage, "activate.sent") == -9
    made = plan.make(stage.context())
    name = made.history.interrupted.id if made.history.interrupted else ""
    assert [item.why for item in made.functions] == [f"v2 is what the unfinished deployment {name} made"] * 2
    assert {item.action for item in made.functions} == {"update"} and not made.drifted
    told = made.as_json()
    assert list(map(str, told["next"])) == ["to finish it:", "inv deploy", "to undo it:", "inv rollback"]
    assert told["interrupted"]["verdict"] == "live"
    assert "its code is live and was not proven" in told["notes"][0]


@pytest.mark.slow
def test_a_killed_deploy_of_a_single_function_is_known_by_its_content(stage: Scene) -> None:
    """One request stages and activates it: no record names the version, so its files must tell."""
    stage.commit({index("beta"): text(1)})
    assert crash.run(stage, "deploy.sent") == -9
    found = _look(stage, "elsewhere")
    assert found is not None
    assert found.verdict == "live"
    assert _deploy(stage, "elsewhere").exit_code == 0
    _settled(stage)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [status.run, rollback.run, _plan])
def test_a_download_that_fails_makes_nobody_a_stranger(verb: Callable[[Context], object], stage: Scene) -> None:
    """Closing it as somebody else's would give up our own live deployment."""
    stage.commit({index("beta"): text(1)})
    assert crash.run(stage, "deploy.sent") == -9
    stage.running.fault("body", "status", status=503, times=0)
    with pytest.raises(ServiceFailed, match=r"Could not read the source of alpha v2: .*503"):
        verb(stage.context(root="elsewhere", clock=Hurried()))
    stage.running.heal()
    found = _look(stage, "elsewhere")
    assert found is not None and found.verdict == "live"


def test_a_clone_without_the_revision_does_not_call_it_somebody_elses(stage: Scene, tmp_path: Path) -> None:
    stage.commit({index("beta"): text(1)})
    assert crash.run(stage, "deploy.sent") == -9
    revision = repos.git(stage.app, "rev-parse", "HEAD")
    repos.git(stage.app, "push", "--quiet", "--force", "origin", "HEAD~2:refs/heads/main")
    repos.git(stage.folder / "remote.git", "gc", "--quiet", "--prune=now")  # else it gives the commit by its id
    clone = repos.clone(f"file://{stage.folder / 'remote.git'}", tmp_path / "two")
    told = status.run(stage.context(clone, root="elsewhere"))
    assert told.exit_code == 5 and "interrupted: and" not in told.message
    assert "whether the live version of alpha is its own is unknown" in told.message and revision[:9] in told.message
    assert tuple(map(str, told.next)) == ("inv status", "inv plan --diff")


FULL = {"snapshot.keep": {1}, "record.intent": {1}, "journal.sending": {1}, "journal.answered": {1, 2},
        "record.staged": {1}, "activate.send": {2}, "record.outcome": {2}}  # fmt: skip


@pytest.mark.parametrize("way", ["deploy", pytest.param("rollback", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "failpoint",
    ["journal.answered", *(pytest.param(name, marks=pytest.mark.long) for name in FULL if name != "journal.answered")],
)
def test_a_disk_that_is_full_from_there_on_is_said_and_the_next_command_mends_it(
    failpoint: str, way: str, stage: Scene
) -> None:
    """The kernel itself refuses every write of the process and of its git; the snapshot is of drifted code."""
    if failpoint == "snapshot.keep":
        about = {"entrypoint_path": index("alpha"), "import_map_path": "", "static_patterns": [], "name": "alpha"}
        stage.context().supabase.deploy(Upload("alpha", about, [(index("alpha"), text(1).encode())]))
    code = crash.run(stage, f"{failpoint}=full", yes=failpoint != "snapshot.keep")
    live = _texts(stage)
    assert live in [{text(version)} for version in FULL[failpoint]]
    told = status.run(stage.context())
    assert told.exit_code == (5 if stage.context().ledger.history().interrupted else 0)
    assert code == 5 or (code in (2, 3) and live == {text(1)} and told.exit_code == 0), (code, told.message)
    if way == "rollback" and told.exit_code == 5:
        assert rollback.run(stage.context(), rollback.RollbackOptions(pace=crash.QUICK)).exit_code == 0
        assert _texts(stage) == {text(1)}
    else:
        assert _deploy(stage, yes=failpoint != "snapshot.keep").exit_code == 0
        assert _texts(stage) == {text(2)}
        _settled(stage)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["e", "1234567", "é" * 8])
def test_a_digit_confirms_nothing(given: str, stage: Scene) -> None:
    """A plan's hash needs eight hex digits, also where it goes on with an interrupted deployment."""
    assert crash.run(stage, "activate.sent") == -9
    made = plan.make(stage.context())
    assert made.pending is not None
    prefix = made.pending.deployment.plan_hash[: len(given)] if given.isascii() else given
    with pytest.raises(Refused, match="at least 8 hex digits"):
        deploy.run(stage.context(), deploy.DeployOptions(plan_hash=prefix, gate=False))
    assert plan.make(stage.context()).pending is not None
    whole = made.pending.deployment.plan_hash[:8].upper()
    assert deploy.run(stage.context(), deploy.DeployOptions(plan_hash=whole, gate=False)).exit_code == 0
