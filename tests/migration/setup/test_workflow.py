"""The workflow of `inv init --ci github`: what it may do, and that its commands do what they say in a fresh clone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.errors import Refused
from migration.rehearsal.running import Running
from migration.setup import workflow
from migration.setup.workflow import WorkflowResult
from tests.support import project, repos, scene

CONFIG: dict[str, Any] = {
    "migration": {"name": "m", "functions": ["alpha"]},
    "app": {"path": "app"},
    "environments": {
        "prod": {"project_ref": "abcdefghijklmnopqrst", "url": "https://x.supabase.co", "access_token": "${TOKEN}"},
        "staging": {"project_ref": "abcdefghijklmnopqrsu", "url": "https://y.supabase.co", "access_token": "${TOKEN}"},
        "local": {"url": "http://localhost:54321"},
    },
    "watch": {"notify": ["${SLACK_URL}"]},
}  # fmt: skip


def written(root: Path, config: Mapping[str, Any] = CONFIG, environment: str = "prod") -> WorkflowResult:
    (root / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    return workflow.write(root, environment)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The app is a folder of the repository that holds tasks.py."""
    repos.alone(tmp_path / "shop")
    (tmp_path / "shop" / "app").mkdir()
    return tmp_path / "shop"


def jobs(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(file).read_text())["jobs"]
    return found


def steps(file: str) -> list[dict[str, Any]]:
    return [step for job in jobs(file).values() for step in job["steps"]]


def test_least_rights(root: Path) -> None:
    """No right for all jobs; each has what it needs, and only the watch may start a workflow."""
    [file] = written(root).written
    assert file == str(root / ".github/workflows/cutover.yml")
    text = yaml.safe_load(Path(file).read_text())
    assert text["permissions"] == {}
    assert {name: job["permissions"] for name, job in text["jobs"].items()} == {
        "deploy": {"contents": "write"},
        "watch": {"contents": "write", "actions": "write"},
        "rollback": {"contents": "write"},
    }


def test_pinned_by_commit(root: Path) -> None:
    """Every action by forty digits, with its version beside it."""
    [file] = written(root).written
    lines = re.findall(r"uses: (.*)", Path(file).read_text())
    assert len(lines) == 6
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in lines)


def test_watch_never_holds_up_a_deploy(root: Path) -> None:
    """Deploy and rollback wait for each other, and nothing is cancelled in the middle."""
    groups = {name: job["concurrency"] for name, job in jobs(written(root).written[0]).items()}
    assert groups["deploy"] == groups["rollback"] != groups["watch"]
    assert not any(group["cancel-in-progress"] for group in groups.values())


def test_history_is_there(root: Path) -> None:
    checkouts = [step["with"] for step in steps(written(root).written[0]) if "checkout" in step.get("uses", "")]
    assert checkouts == [{"fetch-depth": 0, "filter": "blob:none"}] * 3


def test_nothing_from_outside_is_run(root: Path) -> None:
    """No expression stands in a script: what someone types into the form stays a value."""
    found = [step for step in steps(written(root).written[0]) if "run" in step]
    assert len(found) == 7 and not any("${{" in step["run"] for step in found)


def test_secrets_go_where_they_are_used(root: Path) -> None:
    """Only to the step that needs them; a notifier's address only to the watch."""
    done = written(root)
    assert done.secrets == ("TOKEN", "SLACK_URL")
    has = {step["name"]: step.get("env", {}) for step in steps(done.written[0]) if "name" in step}
    assert has["Deploy"] == has["Roll back"] == {"TOKEN": "${{ secrets.TOKEN }}"}
    assert has["Watch"].keys() == {"WHAT", "SPAN", "AUTO_ROLLBACK", "TOKEN", "SLACK_URL"}
    assert has["Install"] == {}


def test_never_overwrites(root: Path) -> None:
    """The same is there already; another one stays as it is."""
    [file] = written(root).written
    assert (written(root).written, written(root).exit_code) == ((), 0)
    Path(file).write_text("name: mine\n")
    with pytest.raises(Refused, match="exists and is another one"):
        written(root)
    assert Path(file).read_text() == "name: mine\n"


def test_each_environment_has_its_own(root: Path) -> None:
    [file] = written(root, environment="staging").written
    assert file.endswith("cutover-staging.yml")
    text = Path(file).read_text()
    assert "inv deploy --env staging" in text and "gh workflow run cutover-staging.yml" in text
    assert "group: cutover-staging-change" in text


def test_only_changes_of_functions_deploy(root: Path) -> None:
    found = yaml.safe_load(Path(written(root).written[0]).read_text())[True]  # YAML 1.1 reads `on` as true
    assert found["push"] == {"branches": ["main"], "paths": ["app/supabase/**"]}


def test_app_in_another_repository(tmp_path: Path) -> None:
    """The workflow belongs to the app, whose remote holds the ledger; tasks.py is checked out beside it."""
    tasks, app = repos.alone(tmp_path / "cutover"), repos.alone(tmp_path / "shop")
    repos.git(tasks, "remote", "add", "origin", "git@github.com:acme/cutover.git")
    (app / "web").mkdir()
    done = written(tasks, {**CONFIG, "app": {"path": "../shop/web", "remote": "upstream"}})
    assert done.written == (str(app / ".github/workflows/cutover.yml"),) and done.exit_code == 0
    first, second, *_ = [step for step in steps(done.written[0]) if "checkout" in step.get("uses", "")]
    assert first["with"] == {"fetch-depth": 0, "filter": "blob:none", "path": "shop"}
    assert (second["with"]["repository"], second["with"]["path"]) == ("acme/cutover", "cutover")
    assert second["with"]["persist-credentials"] is False
    text = Path(done.written[0]).read_text()
    assert 'working-directory: "cutover"' in text and 'paths: ["web/supabase/**"]' in text
    assert 'working-directory: "shop"\n        run: git remote rename origin upstream' in text


def test_unknown_repository_is_a_question(tmp_path: Path) -> None:
    """Where tasks.py is checked out from cannot be known: written all the same, and filled in before the commit."""
    tasks, _ = repos.alone(tmp_path / "cutover"), repos.alone(tmp_path / "shop")
    done = written(tasks, {**CONFIG, "app": {"path": "../shop"}})
    assert (done.unknown, done.exit_code) == (("the repository that holds tasks.py",), 0)
    assert "repository: OWNER/REPOSITORY" in Path(done.written[0]).read_text()
    fill, config, secrets, _, add, commit, push = map(str, done.next)
    assert "in place of OWNER/REPOSITORY" in fill and "TOKEN" in secrets
    assert config.startswith(f"commit and push config.yaml in {tasks}")
    again = written(tasks, {**CONFIG, "app": {"path": "../shop"}})
    assert (again.written, again.exit_code, again.next) == ((), 0, done.next)
    for line in (add, commit):
        assert subprocess.run(shlex.split(line), env=os.environ | repos.QUIET, check=False).returncode == 0, line
    assert push.endswith(" push")
    with pytest.raises(Refused, match="absolute"):
        written(tasks, {**CONFIG, "app": {"path": str(tmp_path / "shop")}})


@pytest.mark.parametrize(
    ("config", "environment", "words"),
    [
        (CONFIG, "local", "local is not a hosted project"),
        (CONFIG, "nowhere", "has no environment nowhere"),
        ({**CONFIG, "app": {"path": "../elsewhere"}}, "prod", "is not in a git repository"),
    ],
)
def test_refused_with_reason(root: Path, config: dict[str, Any], environment: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        written(root, config, environment)
    assert not (root / ".github").exists()


@dataclass
class Runner:
    """Runs the `run:` steps of one job as GitHub's runner does: expressions become values, outputs come from a file."""

    workspace: Path
    secrets: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    installed: bool = False  # the packages are those of this test run, so that `Install` is left out
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    said: str = ""

    def run(self, text: Mapping[str, Any], job: str) -> int:
        """The exit code of the first step that fails, else 0."""
        folder = self.workspace / text["defaults"]["run"]["working-directory"]
        for step in text["jobs"][job]["steps"]:
            if (
                "run" not in step
                or not self._wanted(step.get("if", ""))
                or (self.installed and step["name"] == "Install")
            ):
                continue
            code = self._step(step, {**text.get("env", {}), **step.get("env", {})}, folder)
            if code:
                return code
        return 0

    def _step(self, step: Mapping[str, Any], env: Mapping[str, Any], folder: Path) -> int:
        file = self.workspace / "outputs"
        file.write_text("")
        own = {
            **project.environment(), **repos.QUIET, **{name: self._value(str(text)) for name, text in env.items()},
            "GITHUB_OUTPUT": str(file), "GITHUB_REPOSITORY": "acme/shop", "GITHUB_REF_NAME": "main", "CI": "true",
            "PATH": f"{self.workspace / 'bin'}:{os.environ['PATH']}", 
            "UV_PROJECT_ENVIRONMENT": sys.prefix if self.installed else ".venv",
        }  # fmt: skip
        own.pop("VIRTUAL_ENV", None)
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(words, cwd=folder, env=own, capture_output=True, text=True, timeout=110, check=False)
        self.said += done.stdout + done.stderr
        rows = [row.partition("=") for row in file.read_text().splitlines()]
        self.outputs[step.get("id", step["name"])] = {name: value for name, _, value in rows}
        return done.returncode

    def _value(self, text: str) -> str:
        known = {"secrets": self.secrets, "inputs": self.inputs, "vars": self.variables, "github": {"token": "t0"}}

        def one(match: re.Match[str]) -> str:
            return known[match[1]].get(match[2], "")

        return re.sub(r"\$\{\{ (\w+)\.(\w+) \}\}", one, text)

    def _wanted(self, condition: str) -> bool:
        match = re.fullmatch(r"steps\.(\w+)\.outputs\.(\w+) == '(\w+)'", condition)
        return not condition or (match is not None and self.outputs[match[1]].get(match[2]) == match[3])


@dataclass
class Shop:
    """A repository with tasks.py and the app, its remote, and a running project."""

    folder: Path
    running: Running
    secrets: dict[str, str]

    @property
    def remote(self) -> Path:
        return self.folder / "remote.git"

    def commit(self, version: int) -> None:
        repos.commit(self.folder / "shop", {f"app/{scene.index('alpha')}": scene.text(version)}, f"Version {version}")
        repos.git(self.folder / "shop", "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def runner(self, name: str, *options: str, **inputs: str) -> Runner:
        """A job's machine: a fresh clone, by default as shallow as it gets."""
        repos.clone(f"file://{self.remote}", self.folder / name, *(options or ("--depth=1",)))
        runner = Runner(self.folder / name, self.secrets, inputs)
        fake = runner.workspace / "bin" / "gh"
        fake.parent.mkdir()
        fake.write_text('#!/bin/sh\necho "gh $*" >> "$(dirname "$0")/calls"; test -n "$GH_TOKEN"\n')
        fake.chmod(0o755)
        (runner.workspace / ".git/info/exclude").write_text("bin/\noutputs\n.venv/\nuv.lock\n")
        return runner

    @property
    def text(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.folder / "shop/.github/workflows/cutover.yml").read_text())
        return found

    def answer(self) -> str:
        import httpx

        return httpx.get(
            f"{self.running.url}/functions/v1/alpha", headers={"Authorization": f"Bearer {self.running.anon_key}"}
        ).text


@pytest.fixture
def shop(tmp_path: Path, sandbox: Running) -> Shop:
    """Version 1 is committed with everything; the workflow was written by `inv init --ci github`."""
    repos.bare(tmp_path / "remote.git")
    repos.clone(tmp_path / "remote.git", tmp_path / "shop")
    made = project.copy(tmp_path / "shop")
    (made.folder / "pyproject.toml").write_text((project.ROOT / "pyproject.toml").read_text())
    prod = {"project_ref": sandbox.project_ref, "url": sandbox.url, "api_url": sandbox.api_url,
            "access_token": "${SUPABASE_ACCESS_TOKEN}", "confirm": True, "logs": {"per_minute": 0}}  # fmt: skip
    config = {
        "migration": {"name": "m", "functions": ["alpha"]},
        "app": {"path": "app"},
        "environments": {"prod": prod},
        "auth": {"anon_key": "${SUPABASE_ANON_KEY}"},
        "smoke": [{"name": "alpha answers", "function": "alpha", "auth": "anon"}],
        "gate": {"delay": 0, "within": 20},
    }
    made.config.write_text(yaml.safe_dump(config))
    (made.folder / "app").mkdir()
    assert made.inv("init", "--ci", "github").code == 0
    (made.folder / ".gitignore").write_text(".cutover/\n__pycache__/\n.venv/\nuv.lock\n")
    keys = {"SUPABASE_ACCESS_TOKEN": sandbox.access_token, "SUPABASE_ANON_KEY": sandbox.anon_key}
    shop = Shop(tmp_path, sandbox, keys)
    shop.commit(1)
    return shop


def test_command_deploys_from_shallow_clone(shop: Shop) -> None:
    """The script of the job, as it stands in the file, with nothing but the secrets around it."""
    job = shop.runner("job")
    job.installed = True
    assert job.run(shop.text, "deploy") == 0, job.said
    assert job.outputs["deploy"] == {"live": "true"} and shop.answer() == "1"


@pytest.mark.long
def test_commands_deploy_and_roll_back(shop: Shop) -> None:
    """In fresh shallow clones: install, deploy with the gate, then the next change, then the rollback with its revert
    on main; the ledger is on the remote, so that each job knows what the one before did."""
    first = shop.runner("first")
    assert first.run(shop.text, "deploy") == 0, first.said
    assert first.outputs["deploy"] == {"live": "true"} and shop.answer() == "1"
    shop.commit(2)
    second = shop.runner("second", "--filter=blob:none")
    assert second.run(shop.text, "deploy") == 0, second.said
    assert shop.answer() == "2"
    third = shop.runner("third", what="rollback")
    assert third.run(shop.text, "rollback") in (0, 4), third.said
    assert shop.answer() == "1"
    assert repos.git(shop.remote, "show", "main:app/supabase/functions/alpha/index.ts").strip() == scene.text(1).strip()
    refused = shop.runner("fourth")
    assert refused.run(shop.text, "deploy") == 0 and refused.outputs["deploy"] == {"live": "true"}  # the revert is live


@pytest.mark.long
def test_watch_hands_over(shop: Shop) -> None:
    """The job's time is over before the watch's: it ends well and starts its successor, which carries the same watch on
    from another clone; once a watch has ended, the next job of the chain ends quietly."""
    job = shop.runner("job")
    job.installed = True
    assert job.run(shop.text, "deploy") == 0, job.said
    brief = shop.text
    for step in brief["jobs"]["watch"]["steps"]:
        if step.get("id") == "watch":
            step["env"]["SPAN"] = "40s"
    assert job.run(brief, "watch") == 0, job.said
    assert job.outputs["watch"] == {"more": "true"}
    assert (job.workspace / "bin/calls").read_text() == (
        "gh workflow run cutover.yml --repo acme/shop --ref main --field what=resume\n"
    )
    state = repos.git(shop.remote, "log", "-1", "--format=%B", "refs/cutover/watch/prod")
    successor = shop.runner("successor", what="resume")
    successor.installed = True
    assert successor.run(brief, "watch") == 0, successor.said
    assert successor.outputs["watch"] == {"more": "true"}
    after = repos.git(shop.remote, "log", "-1", "--format=%B", "refs/cutover/watch/prod")
    ids = {re.search(r'"id": ?"(w-\w+)"', text)[1] for text in (state, after)}  # type: ignore[index]
    assert len(ids) == 1
