"""`inv watch --auto-rollback` on generated hours: real log engine and git; where it acts, a real project, too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.context import Context
from migration.deploy import deploy
from migration.git.repository import Repository
from migration.rehearsal.logstore import LogStore
from migration.rehearsal.running import Running
from migration.rollback import rollback
from migration.watch import automatic, watch
from migration.watch.report import WatchRound
from migration.watch.watch import WatchOptions
from tests.support import repos, scene
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct
from tests.support.scene import Scene
from tests.support.traffic import request
from tests.support.watching import Night

pytestmark = pytest.mark.slow

Behaviour = Callable[[random.Random], dict[str, Any]]


@pytest.fixture(autouse=True)
def one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider is asked what it serves under a model's name."""
    monkeypatch.setattr("migration.watch.facts.proofs.build", lambda *_: "")


A_LOOK = 40  # answers


def failing(share: float, slugs: tuple[str, ...] = ("artifact", "fix")) -> Behaviour:
    """Of these functions this share of answers is a 503; everything else is healthy."""

    def one(chance: random.Random) -> dict[str, Any]:
        slug = chance.choice(("artifact", "artifact", "fix", "chat"))
        bad = slug in slugs and chance.random() < share
        return {"slug": slug, "seconds": 2.0, **({"status": 503, "usage": False} if bad else {"usage": slug != "chat"})}

    return one


def measured(night: Night, failed: int, answers: int) -> None:
    """The code before has been watched: what its own watch counted is on its deployment in the ledger."""
    counts = {"artifact": [failed, answers], "fix": [0, 0]}
    record = {"record": "watch", "deployment": "d1", "watch": "w-1", "verdict": "pass", "ended": "x", "counts": counts}
    repos.ledger(night.apps[0], clock=night.clock).append(record)


def night(folder: Path, store: LogStore, past: tuple[int, int] | None, **settings: Any) -> Night:
    """d1 was live, and was measured; d2 has replaced it."""
    made = Night(folder, store, settings=settings)
    if past:
        measured(made, *past)
    made.clock.sleep(7200)
    made.deploy("d2", {"artifact": (8, 9), "fix": (4, 5)})
    made.start = made.clock.now()
    return made


def last(rounds: Iterator[WatchRound]) -> tuple[WatchRound, list[WatchRound]]:
    found = list(rounds)
    return found[-1], found


def actions(rounds: list[WatchRound]) -> set[str]:
    return {one.summary for each in rounds for one in each.alarms if one.kind == "action"}


@pytest.mark.parametrize(
    ("past", "behave", "why"),
    [
        pytest.param((400, 1000), failing(0.05), "the code before is worse: it failed 40% of 1000", id="worse before",
                     marks=pytest.mark.long),
        pytest.param((5, 1000), failing(0.4, ("chat",)), "", id="unchanged function", marks=pytest.mark.long),
        pytest.param((5, 1000), failing(0.4, ("artifact", "fix", "chat")),
                     "functions that were not changed fail in the same rounds: chat", id="everything fails",
                     marks=pytest.mark.long),
        pytest.param(None, failing(0.4), "the ledger has no answer of it, 100 are needed", id="never measured",
                     marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_alerts_and_does_not_act(
    tmp_path: Path, store: LogStore, monkeypatch: pytest.MonkeyPatch, past: tuple[int, int] | None, behave: Behaviour,
    why: str,
) -> None:  # fmt: skip
    """A rollback would not help, or would harm: a person is alerted once, with the reason, and nothing is changed."""
    monkeypatch.setattr(rollback, "run", lambda *_: pytest.fail("it acted"))
    made = night(tmp_path, store, past)
    hours = 6.0 if why.startswith("the code before is worse") else 2.0
    chance = random.Random(1)
    for n in range(int(hours * 12 * A_LOOK)):
        made.arrive(made.request((n + chance.random()) * 300 / A_LOOK, **behave(chance)))
    final, rounds = last(made.rounds(span=hours * 3600, automatic=True))
    assert final.exit_code == 1 and not final.state.acted
    assert all(why in one for one in actions(rounds)) and bool(actions(rounds)) == bool(why)
    sent = [one for one in final.state.alerts.sent if "not rolled back automatically" in one.title]
    assert len({one.id for one in sent}) == len(sent) <= 3
    assert made.source.deployed[0].version == 9


@dataclass
class Project:
    """A project of the sandbox on which version 1 and then version 2 were deployed; the test writes its logs."""

    scene: Scene
    store: LogStore

    def __post_init__(self) -> None:
        self.clock = VirtualClock(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2))
        self.start = self.clock.now()
        self.source = Direct(self.store, self.clock)

    def context(self) -> Context:
        made = self.scene.context(clock=self.clock)
        made.__dict__["repository"] = Repository(made.app, repos.QUIET)
        made.__dict__["supabase"] = _Platform(made.supabase, self.source)
        return made

    def live(self) -> dict[str, tuple[str, int]]:
        return {one.slug: (one.id, one.version) for one in self.scene.context().supabase.functions()}

    def traffic(self, hours: float, share: float, a_look: int) -> None:
        ids, chance = self.live(), random.Random(3)
        for n in range(int(hours * 12 * a_look)):
            at = (n + chance.random()) * 300 / a_look
            bad = chance.random() < share
            rows = request((self.start - NOON).total_seconds() + at, slug="artifact", status=503 if bad else 200,
                           usage=False, lines=False, ids=ids)  # fmt: skip
            self.source.arriving += [(one.timestamp + timedelta(seconds=5), one) for one in rows]


class _Platform:
    """The project's real Management API, except that its logs are those of the test's clock."""

    def __init__(self, real: Any, source: Direct) -> None:
        self._real, self.logs = real, source.logs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def project(tmp_path: Path, sandbox: Running, store: LogStore) -> Project:
    made = scene.make(tmp_path, sandbox, ("artifact", "fix"), gate={"delay": 0, "within": 5})
    options = deploy.DeployOptions(yes=True, gate=False)
    first = deploy.run(made.context(), options)
    assert first.deployment is not None
    record = {"record": "watch", "deployment": first.deployment.id, "watch": "w-1", "verdict": "pass", "ended": "x"}
    made.context().ledger.append({**record, "counts": {"artifact": [5, 1000]}})
    made.change(2, "artifact")
    deploy.run(made.context(), options)
    return Project(made, store)


def test_acts_once(project: Project) -> None:
    """New code that fails over code at 0.5%: the ordinary rollback, with lock and record and the revert on main, once;
    then the watch ends with that reason, and people are told of both."""
    before = project.live()["artifact"][1]
    project.traffic(3.0, 0.6, 20)
    rounds = list(watch.run(project.context(), WatchOptions(span=3 * 3600, automatic=True)))
    final = rounds[-1]
    history = project.scene.context().ledger.history()
    assert [one.kind for one in history.deployments] == ["deploy", "deploy", "rollback"]
    assert project.live()["artifact"][1] == before + 1
    assert "was rolled back by" in final.state.ended and final.exit_code in (1, 5)
    assert final.state.acted.startswith(f"rolled back automatically ({history.deployments[-1].id})")
    app = project.scene.folder / "remote.git"
    assert repos.git(app, "show", f"main:{scene.index('artifact')}") == scene.text(1).strip()
    titles = [one.title for one in final.state.alerts.sent]
    assert any("rolled back automatically" in title for title in titles)
    assert titles[-1].startswith("PROD: watch ended: ") and not any("resolved" in title for title in titles)
    assert project.scene.context().lock.holder() is None and len(rounds) < 20


def test_another_deployment_is_not_taken_back(project: Project) -> None:
    """Someone deploys between the decision and the rollback: the newest deployment is theirs, and stays."""
    context = project.context()
    watched = context.ledger.history().newest
    assert watched is not None
    project.scene.change(3, "artifact")
    deploy.run(project.scene.context(), deploy.DeployOptions(yes=True, gate=False))
    live = project.live()
    fresh = project.context()
    state = next(iter(watch.run(fresh, WatchOptions(once=True)))).state
    after, alarms = automatic._roll_back(fresh, state, (), watched, "it fails")
    assert not after.acted and project.live() == live
    assert [one.summary for one in alarms] == [
        f"not rolled back automatically: {watched.id} is not the newest deployment any more"
    ]
    assert alarms[0].commands == ("inv status",)


@pytest.mark.long
def test_protected_branch_needs_a_person(project: Project) -> None:
    """Where main may not be pushed the service is restored, it ends with 5, and the alert says what git needs."""
    hook = project.scene.folder / "remote.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nwhile read -r old new ref; do [ $ref != refs/heads/main ] || { echo protected; exit 1; }; done\n"
    )
    hook.chmod(0o755)
    before = project.live()["artifact"][1]
    project.traffic(3.0, 0.6, 20)
    rounds = list(watch.run(project.context(), WatchOptions(span=3 * 3600, automatic=True)))
    assert project.live()["artifact"][1] == before + 1 and rounds[-1].exit_code == 5
    [done] = [one for each in rounds for one in each.alarms if one.kind == "action"]
    assert done.summary.startswith("rolled back automatically") and "main is protected" in done.summary
    branch = f"cutover/rollback-{project.scene.context().ledger.history().deployments[-1].id}"
    assert done.commands[:3] == (
        f"# open a pull request from {branch} to main", "# when it is merged:", "inv rollback",
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("share", [0.05, 0.1, 0.4])
def test_acts_once_at(project: Project, share: float) -> None:
    """The same at 5%, which takes longer to be sure of: once, whatever follows."""
    project.traffic(16.0, share, A_LOOK)
    rounds = list(watch.run(project.context(), WatchOptions(span=16 * 3600, automatic=True)))
    history = project.scene.context().ledger.history()
    assert [one.kind for one in history.deployments] == ["deploy", "deploy", "rollback"]
    assert "was rolled back by" in rounds[-1].state.ended


def test_agreed_to_at_start(tmp_path: Path, store: LogStore) -> None:
    """Without agreement nothing is watched and nothing is changed; the question names the deployment."""
    made, asked = night(tmp_path, store, None), []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(Refused, match="Not confirmed"):
        list(made.rounds(automatic=True, confirm=no))
    assert asked == ["Roll d2 in prod back without asking, if it fails and the guards allow it"]
