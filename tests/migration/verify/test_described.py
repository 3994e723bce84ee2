"""Which smoke cases are sent is decided by the code that is live, as the ledger knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.clients.supabase_types import Upload
from migration.deploy import deploy
from migration.deploy.deploy import DeployOptions
from migration.ledger.deployments import History
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.verify import described, forecast, smoke
from tests.support import repos, scene
from tests.support.repos import fold
from tests.support.scene import Hurried, Scene, index, text

pytestmark = pytest.mark.slow

BASE, NEW, FIX = "a" * 40, "b" * 40, "c" * 40


def _deployed(name: str, revision: str, version: int, outcome: str = "live", **more: Any) -> list[dict[str, Any]]:
    change = {"slug": "make", "action": "update", "before": {"version": version}, "wanted": {}}
    intent = {"record": "intent", "kind": "deploy", "deployment": name, "functions": [change | more], "to": None}
    after = [{"slug": "make", "after": {"version": version + 1}}]
    ended = {"record": "outcome", "deployment": name, "outcome": outcome, "functions": after}
    return [{**intent, "revision": revision, "base_revision": BASE}, ended]


def _back(name: str, of: str, version: int) -> list[dict[str, Any]]:
    intent, ended = _deployed(name, BASE, version, "rolled_back", wanted={"of": of})
    return [{**intent, "kind": "rollback"}, ended]


FIRST, HOTFIX = _deployed("d1", NEW, 1), _deployed("d2", FIX, 2)


@pytest.mark.parametrize(
    ("records", "version", "code"),
    [
        ([], 1, "before"),
        (FIRST, 2, "after"),
        (FIRST, 3, ""),  # deployed outside Cutover since
        (FIRST[:1], 2, ""),  # interrupted
        (_deployed("d1", NEW, 1, "restored"), 2, "before"),  # its gate failed
        ([*FIRST, *_back("r1", "d1", 2)], 3, "before"),
        ([*FIRST, *HOTFIX, *_back("r1", "d2", 3)], 4, "after"),  # a hotfix was rolled back
        ([*FIRST, *_deployed("d2", BASE, 2)], 3, "before"),  # the revert was deployed
    ],
)
def test_code_by_the_ledger(records: list[dict[str, Any]], version: int, code: str) -> None:
    history: History = fold(records)
    assert described.code(history, "make", version, BASE[:9]) == code


def _case(name: str, when: str, answer: int) -> dict[str, Any]:
    return {"name": name, "function": "alpha", "when": when, "method": "GET", "auth": "anon",
            "expect": {"text": {"matches": f"^{answer}$"}}}  # fmt: skip


CASES = [_case("old", "before", 1), _case("new", "after", 2)]


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    made = scene.make(tmp_path, sandbox, smoke=CASES)
    base = repos.git(made.app, "rev-parse", "HEAD")
    made.settings = {**made.settings, "app": {"path": str(made.app), "base": base}}
    for slug in made.functions:
        about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
        made.context().supabase.deploy(Upload(slug, about, [(index(slug), text(1).encode())]))
    return made


def _sent(stage: Scene, **how: Any) -> dict[str, bool]:
    return {case.name: case.ok for case in smoke.run(stage.context(), **how).cases}


def test_cases_follow_the_code(stage: Scene) -> None:
    """Before, after and after a rollback `inv smoke` passes; a case that is named is sent all the same."""
    found = smoke.run(stage.context())
    assert [case.name for case in found.cases] == ["old"] and found.ok
    assert found.notes == ("Not sent, because the code before the migration is live: 1 case (new). "
                           "--case sends one anyway.",)  # fmt: skip
    stage.change(2)
    assert forecast.forecast(stage.context().config, ["alpha"]).requests == 1  # the gate: of the code after
    deploy.run(stage.context(), DeployOptions(yes=True, gate=False))
    assert _sent(stage) == {"new": True} and _sent(stage, cases=["old"]) == {"old": False}
    rollback.run(stage.context(clock=Hurried()))
    assert _sent(stage) == {"old": True}
    stage.settings = {**stage.settings, "smoke": CASES[1:]}
    with pytest.raises(Refused, match="No smoke case describes the code that is live"):
        smoke.run(stage.context())
