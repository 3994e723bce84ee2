"""`inv report` as a person types it after a deploy and after its rollback: every number is that of the verbs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import read_page, schema
from tests.support.project import Project, copy, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SINCE = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:00Z}"


@dataclass
class Desk:
    """A sandbox that runs, and the report of the hour in a folder of evidence."""

    project: Project
    out: Path

    def inv(self, verb: str, *flags: str, codes: tuple[int, ...] = (0, 1, 4)) -> Mapping[str, Any]:
        """What `--json` of a verb prints, the last line of those that print several."""
        done = self.project.inv(verb, "--env", "sandbox", *flags, "--json")
        assert done.code in codes, done.out + done.err
        found: Mapping[str, Any] = schema.check(done.out.splitlines()[-1])
        return found

    def report(self, name: str) -> tuple[Mapping[str, Any], Any]:
        """figures.json and the page of a report over the hour."""
        found = self.inv("report", "--since", SINCE, "--out", f"{self.out / name}/", codes=(0,))
        folder = Path(found["path"]).parent
        data = json.loads((folder / "figures.json").read_bytes())
        return data, read_page.parsed((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    project = copy(folder / "project")
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "sandbox", "--port", "0", "--json"],
        cwd=project.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline()
    yield Desk(project, folder / "evidence")
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_numbers_after_a_deploy(desk: Desk) -> None:
    """On the page, in figures.json and from the verb over the same hour, the same."""
    desk.inv("deploy", codes=(0,))
    desk.inv("smoke", codes=(0,))
    desk.inv("history", "--note", "the dashboards look right", "--rating", "5", codes=(0,))
    watched = desk.inv("watch", "--once", "--for", "1h", "--every", "30s")
    data, page = desk.report("live")
    compare(desk, data, page)
    assert data["live"]["deployment"] == watched["deployment"] and data["feedback"]["mean"] == 5.0
    for name in ("watch", "deployment", "round", "verdict"):
        assert data["watch"][name] == watched[name], name
    assert [(one["name"], one["bad"], one["answers"]) for one in data["watch"]["criteria"]] == [
        (one["name"], one["bad"], one["answers"]) for one in watched["criteria"]
    ]


def test_numbers_after_a_rollback(desk: Desk) -> None:
    """The criteria judge the code that was rolled back, while it was live, not the old code that answers again."""
    before = desk.inv("checks", "--since", SINCE)
    new = {one["slug"]: one["version"] for one in desk.inv("status")["functions"]}
    desk.inv("rollback", codes=(0,))
    desk.inv("smoke")  # the old code answers, and fails as it did
    data, page = desk.report("back")
    compare(desk, data, page)
    assert data["verdict"]["word"] == "rolled back"
    after = desk.inv("checks", "--since", SINCE)
    assert "while it was live, until" in after["window"] and "inv soak" not in json.dumps(after["criteria"])
    for name in ("no_503", "success_rate", "cost_logged", "cost_per_request", "response_time"):
        one, other = (next(row for row in found["criteria"] if row["name"] == name) for found in (before, after))
        assert (one["verdict"], one["got"]) == (other["verdict"], other["got"]), name
    assert {one["slug"]: one["version"] for one in desk.inv("status")["functions"]} != new


def compare(desk: Desk, data: Mapping[str, Any], page: Any) -> None:
    """Every number of a report against figures.json, and these against the verbs over the same span."""
    seen = 0
    for path, form, text in read_page.figures(page):
        assert text == read_page.written(read_page.at(data, path), form), path
        seen += 1
    assert seen > 200
    costs = desk.inv("costs", "--since", SINCE, "--by", "hour")
    moving = {"schema", "env", "exit_code", "since", "until", "sources", "projection", "budget"}  # they go on with time
    assert {name: data["costs"][name] for name in costs if name not in moving} == {
        name: value for name, value in costs.items() if name not in moving
    }
    for name, value in costs["budget"].items():
        assert data["costs"]["budget"][name] == (pytest.approx(value, rel=0.05) if name == "expected" else value), name
    assert data["costs"]["projection"]["trend"] == pytest.approx(costs["projection"]["trend"], rel=0.05)
    checks = desk.inv("checks", "--since", SINCE)
    assert data["checks"]["verdict"] == checks["verdict"] and data["checks"]["counts"]["pass"] > 0
    for mine, theirs in zip(data["checks"]["criteria"], checks["criteria"], strict=True):
        assert all(mine[name] == theirs[name] for name in ("name", "verdict", "expected", "got")), mine["name"]
    status, history = desk.inv("status"), desk.inv("history")
    assert {one["slug"]: one["version"] for one in data["live"]["functions"]} == {
        one["slug"]: one["version"] for one in status["functions"]
    }
    for mine, theirs in zip(data["deployments"]["rows"], history["deployments"], strict=True):
        assert all(mine[name] == theirs[name] for name in ("id", "who", "outcome", "at", "ended", "revision"))
        assert mine["seconds"] == pytest.approx(sum(one["seconds"] for one in theirs["steps"]))
    logged = desk.project.inv("logs", "--env", "sandbox", "--since", SINCE, "--signal", "usage", "--json")
    assert len(logged.out.splitlines()) == data["costs"]["lines"] > 0
