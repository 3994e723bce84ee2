"""The sample app, uploaded to the real sandbox server and served by it: every part together."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from migration.rehearsal.running import Running, start
from tests.support.edge import alive, until

APP = Path(__file__).parents[3] / "migration" / "rehearsal" / "app"
PROMPT = {"prompt": "Create a todo list app", "artifactType": "react"}
BROKEN = {
    "content": "export default function App() { return <div>Missing closing tag; }",
    "type": "react",
    "errorMessage": "Unexpected token",
}
SLUGS = ("generate-artifact", "generate-artifact-fix")


class Project:
    """The management API and the edge of one running sandbox, as a release engineer holds them."""

    def __init__(self, running: Running) -> None:
        self.info = running.info
        headers = {"Authorization": f"Bearer {running.access_token}"}
        self.api = Supabase(Http(running.api_url, headers=headers), running.project_ref)
        password = Secret(self.info["user_password"])
        self.edge = Edge(Http(running.url), Secret(self.info["anon_key"]), self.info["user_email"], password)

    def deploy(self, tree: str, slugs: Sequence[str] = SLUGS) -> None:
        for slug in slugs:
            self.api.deploy(_upload(tree, slug))

    def said(self, text: str) -> list[dict[str, Any]]:
        sql = (
            "select event_message, log_attributes['execution_id'] as execution, log_attributes['version'] as version "
            f"from logs where source = 'function_logs' and position(event_message, '{text}') > 0 limit 100"
        )
        now = datetime.now(UTC)
        return self.api.logs(sql, now - timedelta(minutes=5), now + timedelta(minutes=5))


def _upload(tree: str, slug: str) -> Upload:
    """A function of the sample's tree, or of the tree with the overlay on it."""
    files: dict[str, bytes] = {}
    for layer in ("before", tree):
        for folder in ("_shared", slug):
            paths = (APP / layer / "supabase/functions" / folder).glob("*.ts")
            files |= {str(path.relative_to(APP / layer)): path.read_bytes() for path in paths}
    about = {"name": slug, "entrypoint_path": f"supabase/functions/{slug}/index.ts", "verify_jwt": False}
    return Upload(slug, about, list(files.items()))


@pytest.fixture
def project(sandbox: Running) -> Project:
    return Project(sandbox)


def test_the_migrated_app_answers_artifacts_and_its_lines_reach_the_logs(project: Project) -> None:
    project.deploy("after")
    project.api.set_secrets({"OPENROUTER_K2T_KEY": Secret(project.info["openrouter_key"])})
    answer = project.edge.call("generate-artifact", purpose=Purpose.SMOKE, json=PROMPT)
    assert answer.status == 200, answer.text
    assert answer.json()["success"] is True
    assert answer.json()["artifactCode"].startswith('<artifact type="application/vnd.ant.react"')
    fixed = project.edge.call("generate-artifact-fix", purpose=Purpose.SMOKE, json=BROKEN, auth="user")
    assert fixed.status == 200 and fixed.json()["fixedCode"]
    rows = until(lambda: project.said("Routing to Kimi"))
    assert answer.headers["x-deno-execution-id"] in {row["execution"] for row in rows}


def test_the_fix_is_for_signed_in_users_only(project: Project) -> None:
    project.deploy("after", ["generate-artifact-fix"])
    project.api.set_secrets({"OPENROUTER_K2T_KEY": Secret(project.info["openrouter_key"])})
    assert project.edge.call("generate-artifact-fix", purpose=Purpose.SMOKE, json=BROKEN, auth="anon").status == 401


def test_a_missing_secret_is_noticed_and_setting_it_mends_it_without_a_deploy(project: Project) -> None:
    project.deploy("after", ["generate-artifact"])
    assert project.edge.call("generate-artifact", purpose=Purpose.SMOKE, json=PROMPT).status == 500
    assert until(lambda: project.said("OPENROUTER_K2T_KEY not configured"))
    project.api.set_secrets({"OPENROUTER_K2T_KEY": Secret(project.info["openrouter_key"])})
    assert project.edge.call("generate-artifact", purpose=Purpose.SMOKE, json=PROMPT).status == 200


def test_the_next_version_answers_once_it_is_activated_and_not_while_it_is_staged(project: Project) -> None:
    project.deploy("before", ["generate-artifact"])
    project.api.set_secrets({"OPENROUTER_K2T_KEY": Secret(project.info["openrouter_key"])})
    staged = project.api.stage(_upload("after", "generate-artifact"))
    answers = [project.edge.call("generate-artifact", purpose=Purpose.SMOKE, json=PROMPT)]
    project.api.activate([staged.raw])
    answers.append(project.edge.call("generate-artifact", purpose=Purpose.SMOKE, json=PROMPT))
    ids = [answer.headers["x-deno-execution-id"] for answer in answers]
    routes = until(lambda: {row["execution"]: row["version"] for row in project.said("Kimi")} or None)
    assert ids[0] not in routes and routes[ids[1]] == "2"


def test_a_region_left_behind_answers_with_the_version_before(project: Project, sandbox: Running) -> None:
    for name in ("old", "new"):
        source = f"Deno.serve(() => new Response('{name}'));".encode()
        entry = "supabase/functions/hello/index.ts"
        project.api.deploy(Upload("hello", {"entrypoint_path": entry, "verify_jwt": False}, [(entry, source)]))
    sandbox.fault("route", "stale", slug="hello", region="us-east-1", times=0)
    probe: Any = {"purpose": Purpose.PROBE, "method": "OPTIONS", "auth": "none"}
    assert project.edge.call("hello", **probe, region="us-east-1").text == "old"
    assert project.edge.call("hello", **probe).text == "new"


def test_a_deleted_function_is_gone_at_once(project: Project) -> None:
    project.deploy("before", ["chat"])
    assert project.edge.call("chat", purpose=Purpose.PROBE, method="OPTIONS", auth="none").status == 200
    project.api.delete("chat")
    assert project.edge.call("chat", purpose=Purpose.PROBE, method="OPTIONS", auth="none").status == 404


def test_kill_9_of_the_server_leaves_none_of_its_workers(tmp_path: Path) -> None:
    with start(tmp_path) as running:
        project = Project(running)
        project.deploy("after", ["chat"])
        assert project.edge.call("chat", purpose=Purpose.PROBE, method="OPTIONS", auth="none").status == 200
        children = _children(running.process.pid)
        assert any("boot.js" in command for command in children.values())
        running.process.kill()
        until(lambda: not any(alive(pid) for pid in children))


def _children(parent: int) -> dict[int, str]:
    """Process ids and command lines of what a process started."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in shown.stdout.splitlines()]
    return {int(pid): command for pid, of, command in rows if int(of) == parent}
