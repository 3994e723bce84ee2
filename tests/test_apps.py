"""Five apps, none like the sample: each initialised, rehearsed with faults, deployed, smoked, checked, costed and
rolled back by the config that `init` wrote, changed only where it asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.progress import Observer
from migration.rehearsal import rehearse
from tests.support import adopted, repos
from tests.support.apps import APPS, OwnApp
from tests.support.project import Done, Project, copy
from tests.support.runtime import shared
from tests.support.sandboxes import sandbox

every = pytest.mark.parametrize("name", APPS)


def asked(config: Path, unknown: list[str], key: str) -> bool:
    """Whether init asked for a key, or for what holds it, or offers it in a commented line."""
    section, _, inner = re.sub(r"\[[^\]]*\].*", "", key).partition(".")
    offered = rf"(?ms)^{section}:.*?^ +# {inner.partition('.')[0]}: "
    return any(key.startswith(each) or each.startswith(key) for each in unknown) or bool(
        re.search(offered, config.read_text(encoding="utf-8"))
    )


def fill(app: OwnApp, config: Path) -> None:
    """Answer in the file what init asked."""
    data = yaml.safe_load(config.read_text(encoding="utf-8"))
    app.fill(data)
    config.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_own_app_rehearsed(tmp_path: Path) -> None:
    """One of them in the ordinary run: from OpenAI to Anthropic with tools and JSON, through all phases and back."""
    app = APPS["tools"]
    folder, root = app.make(tmp_path / "app"), tmp_path / "root"
    done = adopted.run(root, folder)
    config = root / "config.yaml"
    unknown = [each.split(": ")[0] for each in done.unknown]
    assert [key for key in app.answers if not asked(config, unknown, key)] == []
    fill(app, config)
    loaded = adopted.config(root)
    assert (loaded.migration.from_, loaded.migration.to) == app.providers
    refs = repos.git(folder, "for-each-ref"), repos.git(tmp_path / "app" / "origin.git", "for-each-ref")
    shared(root)
    result = rehearse.run(root, Observer())
    assert [(phase.name, phase.evidence) for phase in result.phases if not phase.ok] == []
    phases = {phase.name: phase.evidence for phase in result.phases}
    assert "502: 1" in phases["baseline"] and "reverted by" in phases["drill"]
    assert refs == (repos.git(folder, "for-each-ref"), repos.git(tmp_path / "app" / "origin.git", "for-each-ref"))
    again = adopted.run(root, folder)
    assert (again.written, again.adds) == ((), "")


@pytest.mark.long
@pytest.mark.timeout(900)
@every
def test_own_app_from_init_to_rollback(tmp_path: Path, name: str) -> None:
    """Every verb as its owner types it."""
    app, project = APPS[name], copy(tmp_path / "project")
    shared(project.folder)
    folder = app.make(tmp_path / "app")
    made = _well(project.inv("init", "--app", str(folder), "--json")).json
    unknown = [each.split(": ")[0] for each in made["unknown"]]
    assert [key for key in app.answers if not asked(project.config, unknown, key)] == []
    bare = _well(project.inv("rehearse", "--json", seconds=400)).json
    assert all(phase["ok"] for phase in bare["phases"])
    fill(app, project.config)
    config = _well(project.inv("config", "--json")).json["config"]
    migration = config["migration"]
    assert (migration["functions"], migration.get("from"), migration.get("to")) == ([*app.functions], *app.providers)
    found = _well(project.inv("rehearse", "--json", seconds=400)).json
    skipped = {phase["name"] for phase in found["phases"] if phase["skipped"]}
    assert skipped == {"before", "e2e"} | (set() if app.providers[1] else {"costs"})
    with sandbox(project):
        _on_the_sandbox(app, project)
    again = _well(project.inv("init", "--app", str(folder), "--json")).json
    assert again["written"] == []


def _on_the_sandbox(app: OwnApp, project: Project) -> None:
    def inv(verb: str, *flags: str) -> Any:
        return _well(project.inv(verb, "--env", "sandbox", "--json", *flags, seconds=300)).json

    plan = inv("plan")
    assert {row["slug"] for row in plan["functions"] if row["action"] != "same"} == set(app.functions)
    deployment = inv("deploy", "--yes")["deployment"]
    assert deployment["outcome"] == "live" and {row["slug"] for row in deployment["functions"]} == set(app.functions)
    assert all(case["ok"] for case in inv("smoke")["cases"])
    assert inv("soak", "--yes")["verdict"] == "pass"
    checks = inv("checks")
    assert checks["verdict"] == "pass" and len(checks["criteria"]) >= 4
    if app.providers[1]:
        for by in ("day", "function", "model"):
            costs = inv("costs", "--by", by)
            assert costs["requests"] > 0 and costs["cost"] > 0 and costs["rows"]
    else:
        refused = project.inv("costs", "--env", "sandbox")
        assert refused.code == 2 and "migration.to" in refused.err + refused.out
    assert not [row for row in inv("doctor")["findings"] if row["severity"] == "error"]
    back = inv("rollback", "--yes")
    assert back["revert"]["pushed"] and back["exit_code"] == 0


def _well(done: Done) -> Done:
    assert done.code == 0, done.out + done.err
    return done
