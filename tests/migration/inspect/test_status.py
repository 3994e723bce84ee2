"""Status and history tell every engineer and every CI job the same story."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from migration.base.errors import Refused, Unreachable
from migration.cli.results.draw import draw
from migration.cli.sink import one_line
from migration.clients.supabase_types import Function, Upload
from migration.context import Context
from migration.deploy import deploy, plan
from migration.deploy.staging import Pace
from migration.inspect import history, status
from migration.inspect.source import FunctionCode
from migration.ledger.deployments import History
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.source.source import Source
from tests.support import crash, repos, scene, sources
from tests.support.collector import Collector
from tests.support.drawn import drawn
from tests.support.scene import Scene, index, text

QUICK = Pace(upload=10.0, retry=2.0, limited=2.0, activate=2.0, wait=0.02, longest=0.1)


@pytest.fixture(autouse=True)
def _warm(tmp_path: Path, deno_state: Path) -> None:
    """Deno's caches are shared by all tests; everything else that a machine knows is each test's own."""
    state = tmp_path / "root" / ".cutover"
    state.mkdir(parents=True)
    for name in ("deno", "graphs", "maps"):
        (deno_state / name).mkdir(exist_ok=True)
        (state / name).symlink_to(deno_state / name)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.make(tmp_path, sandbox)


def texts(steps: Any) -> list[str]:
    return [str(step) for step in steps]


def _deploy(context: Context, **more: Any) -> Any:
    return deploy.run(context, deploy.DeployOptions(**{"yes": True, "gate": False, "pace": QUICK, **more}))


def test_an_empty_project_says_so(stage: Scene) -> None:
    found = status.run(stage.context())
    assert found.exit_code == 0 and found.message == "Nothing was deployed with Cutover yet."
    assert [(row.slug, row.version) for row in found.functions] == [("alpha", None), ("beta", None)]
    assert "empty" in history.run(stage.context()).message


def test_what_is_live_by_whom_and_that_git_says_the_same(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_ACTOR", "ada")
    done = _deploy(stage.context())
    second = repos.clone(stage.folder / "remote.git", stage.folder / "two")
    for context in (stage.context(), stage.context(second, root="elsewhere")):
        found = status.run(context)
        assert [(row.version, row.deployment, row.who, row.git) for row in found.functions] == [
            (1, done.deployment.id, "ada", "same")] * 2  # fmt: skip
        assert found.deployments[0].outcome == "ungated" and found.deployments[0].ended is not None
        assert found.lock is None and found.exit_code == 0
        assert found.message == f"{done.deployment.id} is live (deployed without a gate: not proven)."
        assert texts(found.next) == ["inv checks"]
    stage.change(2, "beta")
    assert [row.git for row in status.run(stage.context()).functions] == ["same", "differs"]


def test_somebody_else_s_deployment_is_named(stage: Scene) -> None:
    _deploy(stage.context())
    context = stage.context()

    context.supabase.deploy(sources.read(context.app, "alpha", context.state).upload())
    found = status.run(stage.context())
    assert (
        "alpha v2 was deployed outside Cutover" in found.message and found.functions[0].drifted and found.exit_code == 0
    )


def test_a_lock_is_shown_with_who_and_what_for(stage: Scene) -> None:
    with stage.context().lock.held("a rehearsed pause") as held:
        found = status.run(stage.context())
        assert found.lock is not None and found.lock["id"] == held.id and found.lock["doing"] == "a rehearsed pause"
    assert status.run(stage.context()).lock is None


def test_an_interrupted_deployment_exits_5_and_names_both_commands(stage: Scene) -> None:
    assert crash.run(stage, "record.staged.after") == -9
    context = stage.context()
    context.lock.acquire("look").stop()
    found = status.run(stage.context())
    assert found.exit_code == 5
    assert texts(found.next) == ["to finish it:", "inv deploy", "to undo it:", "inv rollback"]
    assert found.interrupted is not None and "interrupted" in found.message


@pytest.mark.slow
def test_whose_code_is_live_after_a_restore(stage: Scene) -> None:
    """The row names the deployment whose code is live, and apart from it what made it live again."""
    first = _deploy(stage.context())
    stage.change(2)
    _deploy(stage.context())
    back = rollback.run(stage.context(), rollback.RollbackOptions(pace=QUICK))
    assert back.deployment
    found = status.run(stage.context())
    assert {(row.deployment, row.restored_by) for row in found.functions} == {(first.deployment.id, back.deployment.id)}
    shown = drawn("status", found)
    assert "restored by" in shown and f"{first.deployment.id} is live (" in shown
    assert " rolled back " in _drawn(history.run(stage.context()))


def test_history_tells_a_takeover_from_a_break() -> None:
    """A stale lock that the next command took over was not broken by anyone."""
    record = {"record": "unlock", "lock": "ab12", "who": "ada", "robbed": {"who": "bob"}}
    assert history._note(record)["text"] == "broke the lock ab12 of bob"
    assert history._note({**record, "stale": True})["text"] == "took over the stale lock ab12 of bob"


def test_history_lists_deployments_and_notes_newest_first(stage: Scene) -> None:
    first = _deploy(stage.context())
    stage.change(2)
    second = _deploy(stage.context())
    history.run(stage.context(), note="a note for all")
    found = history.run(stage.context())
    assert [row["id"] for row in found.deployments] == [second.deployment.id, first.deployment.id]
    assert found.deployments[0]["live"] and not found.deployments[1]["live"]
    assert found.notes[0]["text"] == "a note for all"
    alone = history.run(stage.context(), limit=1)
    assert [row["id"] for row in alone.deployments] == [second.deployment.id] and not alone.records
    shown = _drawn(alone)
    assert second.deployment.id in shown and "source_digest" not in shown  # a table like the rest


def _drawn(found: object) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    draw("history", json.loads(one_line(found)), console)
    return console.export_text()


def test_one_deployment_in_full(stage: Scene) -> None:
    """`--show ID` reads as text for people; all records are in the JSON."""
    first = _deploy(stage.context()).deployment
    stage.change(2)
    second = _deploy(stage.context()).deployment
    history.run(stage.context(), note=f"{first.id} went well")
    found = history.show(stage.context(), first.id)
    assert [record["record"] for record in found.records] == ["intent", "staged", "outcome"]
    shown = _drawn(found)
    assert f"Deployment {first.id}: ungated" in shown and second.id not in shown
    assert "alpha     create  absent  v1" in shown and "went well" in shown and "snapshot" in shown
    assert f"inv history --source alpha --show {first.id}" in shown
    assert history.show(stage.context(), second.id[:-1]).deployments[0]["id"] == second.id
    for name, words in (("2", "is the beginning of 2 deployments"), ("x", "The ledger has no deployment x")):
        with pytest.raises(Refused, match=words):
            history.show(stage.context(), name)


def test_code_as_it_was(stage: Scene) -> None:
    """Of every deployment, from git; after a rollback what it restored; where it is not kept, the reason."""
    with pytest.raises(Refused, match="ledger is empty"):
        history.code(stage.context(), "alpha")
    first = _deploy(stage.context()).deployment.id
    stage.change(2, "alpha")
    second = _deploy(stage.context()).deployment.id

    def code(slug: str, name: str = "") -> FunctionCode:
        return history.code(stage.context(), slug, name)

    assert code("alpha").files == {index("alpha"): text(2)} and code("alpha").version == 2
    assert code("alpha", first).files == {index("alpha"): text(1)}
    assert (
        code("beta", second).files == {index("beta"): text(1)} and "did not change it" in code("beta", second).message
    )
    back = rollback.run(stage.context()).deployment
    assert back is not None
    for name in ("", back.id):
        assert code("alpha", name).files == {index("alpha"): text(1)} and code("alpha", name).version == 3
    assert code("alpha", second).files == {index("alpha"): text(2)}  # what it sent
    shown = _drawn(code("alpha"))
    assert f"--- {index('alpha')}" in shown and text(1).strip() in shown and f"rollback {back.id} restored it" in shown
    with pytest.raises(Refused, match=r"left gamma live\. Functions in the ledger: alpha, beta"):
        code("gamma")


def test_code_from_a_snapshot(stage: Scene) -> None:
    """What no commit holds comes from the snapshot; what neither holds any more is named."""
    first = _deploy(stage.context()).deployment.id
    about = {"entrypoint_path": index("alpha"), "import_map_path": "", "static_patterns": [], "name": "alpha"}
    files = [(index("alpha"), text("theirs").encode())]
    stage.context().supabase.deploy(Upload("alpha", about, files))
    stage.change(2)
    made = plan.make(stage.context())
    second = deploy.run(stage.context(), deploy.DeployOptions(plan_hash=made.hash, gate=False)).deployment.id
    rollback.run(stage.context())
    found = history.code(stage.context(), "alpha")
    assert found.files == {index("alpha"): text("theirs")} and found.kept == "snapshot"
    for ref in repos.git(stage.folder / "remote.git", "for-each-ref", "--format=%(refname)", "refs").split():
        if "/snapshots/" in ref:
            repos.git(stage.folder / "remote.git", "update-ref", "-d", ref)
    with pytest.raises(Refused, match=r"The code of alpha, as rollback .* restored it, is not kept"):
        history.code(stage.context(root="elsewhere"), "alpha")
    assert history.code(stage.context(), "alpha", second).files == {index("alpha"): text(2)}
    assert history.code(stage.context(), "alpha", first).files == {index("alpha"): text(1)}


def test_history_says_what_is_next(stage: Scene) -> None:
    """The same way forward as `plan` and `status`; without the platform the ledger alone."""
    _deploy(stage.context())
    assert history.run(stage.context()).next == ()
    stage.change(2)
    assert texts(history.run(stage.context()).next) == texts(status.run(stage.context()).next) == ["inv deploy"]


@pytest.mark.parametrize(
    ("outcome", "words", "following"), [("live", "", []), ("unproven", " (not proven)", ["inv checks"])]
)
def test_what_was_not_proven_is_not_called_live_as_if_it_were(
    outcome: str, words: str, following: list[str], stage: Scene
) -> None:
    done = _deploy(stage.context())
    stage.context().ledger.append(
        {"record": "outcome", "deployment": done.deployment.id, "outcome": outcome, "functions": []}
    )
    found = status.run(stage.context())
    assert found.message == f"{done.deployment.id} is live{words}." and texts(found.next) == following


def test_an_empty_note_is_refused(stage: Scene) -> None:
    for note in ("", "  "):
        with pytest.raises(Refused, match="needs some text"):
            history.run(stage.context(), note=note)


def test_the_ledger_is_read_offline_and_says_so(stage: Scene) -> None:
    _deploy(stage.context())
    (stage.folder / "remote.git").rename(stage.folder / "gone.git")
    found = history.run(stage.context())
    assert len(found.deployments) == 1 and found.message.startswith("The ledger is as this clone last read it: ")
    assert any("as this clone last read it" in note for note in status.run(stage.context()).notes)


def test_unlock_asks_and_takes_only_the_lock_of_that_id(stage: Scene) -> None:
    with stage.context().lock.held("deploy") as held:
        with pytest.raises(Refused, match="Not confirmed"):
            history.unlock(stage.context(), held.id, confirm=lambda _: False)
        with pytest.raises(Refused, match="There is no lock 00000000"):
            history.unlock(stage.context(), "00000000")
        done = history.unlock(stage.context(), held.id)
        assert done.lock["id"] == held.id and "Broke the lock" in done.message
    assert "broke the lock" in history.run(stage.context()).notes[0]["text"]


def test_a_silent_git_remote_is_not_waited_for(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few seconds status shows what this clone knows, how old that is, and what the remote was asked."""
    monkeypatch.setattr("migration.ledger.ledger.READING", 1.0)
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    context = stage.context()
    script = stage.folder / "ssh"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    repos.git(stage.app, "remote", "set-url", "origin", f"ssh://host{stage.folder / 'remote.git'}")
    began = time.monotonic()
    result = status.run(context)
    assert time.monotonic() - began < 25, "one question, one short wait"
    note = next(note for note in result.notes if "did not answer" in note)
    assert "The git remote origin did not answer git ls-remote within" in note and " ago. " in note
    assert [row.version for row in result.functions][:2] == [1, 1]


def test_silent_one_is_named() -> None:
    """The git remote where the platform has answered, with what the platform says; both where neither has."""
    observer, past = Collector(), SimpleNamespace(live=None, newest=None)
    live = [Function("i", "alpha", "alpha", "ACTIVE", 7)]
    context: Any = SimpleNamespace(
        remote="origin", observer=observer, supabase=SimpleNamespace(functions=lambda: live),
        ledger=SimpleNamespace(history=lambda: past),
        config=SimpleNamespace(migration=SimpleNamespace(functions=["alpha", "beta"])),
    )  # fmt: skip
    waiting = status._Waiting(context)
    waiting.show()
    waiting.functions()
    waiting.history()
    waiting.show()
    assert [text for _, _, _, text in observer.events] == [
        "The platform and the git remote origin have not answered for 3s.",
        "The git remote origin has not answered for 3s. The platform: alpha v7 and beta is not there.",
    ]


def test_never_read_ledger_is_unknown(tmp_path: Path) -> None:
    """A clone that never reached the remote does not say that nothing was deployed; its plan does not say by whom."""
    ledger = repos.ledger(repos.pair(tmp_path)[1])
    ledger.outage = Unreachable("Cannot reach the git remote origin.")
    assert ledger.unread and ledger.offline == (
        "This clone has never read the ledger: what was deployed is unknown. Cannot reach the git remote origin."
    )
    live = Function("i", "alpha", "alpha", "ACTIVE", 7)
    assert plan._action(Source("alpha", "", {}), live, None, unread=True) == ("update", "who deployed v7 is unknown")
    here: Any = SimpleNamespace(ledger=ledger, environment=SimpleNamespace(name="prod"))
    assert status._words(here, History(), None, None, ()) == ("What was deployed with Cutover is unknown.", ())


def test_a_commit_that_cannot_be_read_says_why(stage: Scene) -> None:
    """A syntax error is no absent function: the row says so, and a note names file and line."""
    stage.commit({index("alpha"): "Deno.serve(() => {\n  const = 1;\n});\n"}, "Break alpha")
    result = status.run(stage.context())
    assert {row.slug: row.git for row in result.functions}["alpha"] == "broken"
    assert any("cannot be deployed: alpha" in note and "2:" in note for note in result.notes), result.notes
    assert "cannot be read" in drawn("status", result)
