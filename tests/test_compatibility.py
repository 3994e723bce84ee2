"""What an earlier Cutover wrote stays readable: its ledger, and a deployment of it that was killed half way.

`tests/data/written-2026-11-27` holds the folder of a sandbox as the code of that day left it: a deploy, a rollback, a
lifted hold, and a deploy killed between its last staged version and the activation.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.running import start
from tests.support import repos
from tests.support.project import Project, copy

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data" / "written-2026-11-27"
RECORDED: dict[str, Any] = json.loads((DATA / "history.json").read_text())
KEYS = ("id", "kind", "outcome", "who", "at", "revision", "message")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The project of that day's user, with the sandbox running again."""
    made = copy(tmp_path / "project")
    folder = made.folder / ".cutover" / "sandbox"
    folder.mkdir(parents=True)
    with tarfile.open(DATA / "sandbox.tgz") as archive:
        archive.extractall(folder, filter="data")
    clone = folder / "clone.json"
    clone.write_text(clone.read_text().replace("{root}", str(made.folder)))
    settings = json.loads((folder / "settings.json").read_text().replace("{root}", str(made.folder)))
    repos.git(tmp_path, "clone", "--quiet", "--mirror", str(DATA / "app.bundle"), str(folder / "app.git"))
    repos.git(tmp_path, "clone", "--quiet", str(folder / "app.git"), str(folder / "app"))
    models = {"models": ["moonshotai/kimi-k2-thinking"]}  # each start takes them from the config
    with start(folder, settings=settings["rehearsal"] | models):
        yield made


def _deployments(project: Project) -> list[dict[str, Any]]:
    found = project.inv("history", "--env", "sandbox", "--json").json["deployments"]
    return [{key: row[key] for key in KEYS} for row in found]


def test_earlier_ledger_and_intent(project: Project) -> None:
    """The records read as they did, and the unfinished deployment is finished by its printed command."""
    assert _deployments(project) == [{key: row[key] for key in KEYS} for row in RECORDED["deployments"]]
    status = project.inv("status", "--env", "sandbox")
    assert status.code == 5 and "inv deploy --env sandbox" in status.out + status.err
    done = project.inv("deploy", "--env", "sandbox", "--yes", "--json")
    assert (done.code, done.json["deployment"]["outcome"]) == (0, "live"), done.err
    assert done.json["deployment"]["id"] == RECORDED["deployments"][0]["id"]
    assert project.inv("status", "--env", "sandbox").code == 0


def test_earlier_intent_rolled_back(project: Project) -> None:
    """The same deployment can be taken back instead."""
    project.edit("within: 10m", "within: 3s")  # what is restored is a hotfix's predecessor: it has the new route
    done = project.inv("rollback", "--env", "sandbox", "--yes", "--json")
    assert done.code in (0, 4), done.err
    assert project.inv("status", "--env", "sandbox").code == 0
