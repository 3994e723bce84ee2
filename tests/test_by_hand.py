"""The verbs against `--env sandbox` while `inv sandbox` runs, in the order in which a new user types them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import schema
from tests.support.pages import needs_browser
from tests.support.project import Project, copy, environment


@dataclass
class Terminal:
    """`inv sandbox` in one terminal, the verbs in another."""

    project: Project
    process: subprocess.Popen[str]
    said: dict[str, Any]

    def inv(self, verb: str, *flags: str) -> Any:
        return self.project.inv(verb, "--env", "sandbox", *flags)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    project = copy(tmp_path_factory.mktemp("hand") / "project")
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "sandbox", "--port", "0", "--json"],
        cwd=project.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield Terminal(project, process, schema.check(process.stdout.readline()))
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_sandbox_says_how_to_reach_it(terminal: Terminal) -> None:
    assert {"api_url", "url", "access_token", "project_ref", "profile", "app"} <= terminal.said.keys()
    assert terminal.said["access_token"].startswith("sbp_")
    assert Path(terminal.said["profile"]).exists()


def test_plan_shows_what_would_change(terminal: Terminal) -> None:
    made = terminal.inv("plan", "--json").json
    assert {row["slug"]: row["action"] for row in made["functions"]} == {
        "generate-artifact": "update",
        "generate-artifact-fix": "update",
    }
    assert len(made["hash"]) == 64 and not any(row["changed"] for row in made["unchanged"])


def test_a_run_leaves_its_log(terminal: Terminal) -> None:
    """Every request and git command, with status and milliseconds; `--debug` shows the same."""
    done = terminal.inv("plan", "--debug", "--json")
    newest = max((terminal.project.folder / ".cutover" / "log").glob("*-plan.log"))
    lines = newest.read_text().splitlines()
    assert any(re.search(r"Z GET http://127\.0\.0\.1:\d+/v1/projects/\S+ 200 \d+ ms$", line) for line in lines)
    assert any(re.search(r"Z git .* exit 0 \d+ ms$", line) for line in lines)
    assert lines[-1].endswith("exit 0") and set(lines) <= set(done.err.splitlines())


def test_deploy_goes_live_and_is_proven(terminal: Terminal) -> None:
    done = terminal.inv("deploy")
    assert done.code == 0, done.out + done.err
    assert "is live and proven" in done.out and "✓ activate" in done.out


def test_deploying_again_changes_nothing(terminal: Terminal) -> None:
    done = terminal.inv("deploy", "--json")
    assert (done.code == 0 and done.json["deployment"] is None) or done.json["deployment"]["outcome"] == "same"


def test_smoke_passes(terminal: Terminal) -> None:
    done = terminal.inv("smoke")
    assert done.code == 0, done.out + done.err
    assert "cases passed" in done.out
    assert terminal.inv("smoke", "--json").json["env"] == "sandbox"


def test_e2e_without_a_browser_is_refused(terminal: Terminal) -> None:
    """One sentence, what to install, exit 2."""
    done = terminal.project.inv("e2e", "--env", "sandbox", "--json", env={"CHROME_PATH": "/nowhere/chromium"})
    assert done.code == 2 and re.search(r"uv sync --group e2e|install chromium", done.json["error"]["hint"])


@pytest.mark.long
def test_e2e_passes_in_a_browser(terminal: Terminal, tmp_path: Path) -> None:
    """Every step, each function call found in the logs, a JUnit file, and a note in the ledger."""
    needs_browser()
    done = terminal.inv("e2e", "--json", "--junit", str(tmp_path / "junit.xml"))
    assert done.code == 0, done.out + done.err
    found = done.json
    assert all(step["ok"] for step in found["steps"]) and found["problems"] == [] and found["console_errors"] == []
    assert {call["function"] for call in found["calls"]} >= {"generate-artifact", "generate-artifact-fix"}
    assert all(Path(path).exists() for path in found["screenshots"]) and len(found["screenshots"]) == 2
    assert (tmp_path / "junit.xml").read_text() == (Path(found["folder"]) / "junit.xml").read_text()
    notes = terminal.inv("history", "--json").json["notes"]
    assert any(re.match(r"e2e pass: 18 of 18 steps at http://localhost:\d+/", str(note["text"])) for note in notes)


def test_logs_show_the_new_route(terminal: Terminal) -> None:
    lines = [schema.check(line) for line in terminal.inv("logs", "--signal", "new_route", "--json").out.splitlines()]
    assert lines and all("Kimi K2-Thinking" in line["message"] for line in lines)
    assert {"id", "timestamp", "function", "level", "message", "request_id"} <= lines[0].keys()


def test_costs_agree_with_the_bill(terminal: Terminal) -> None:
    found = terminal.inv("costs", "--json").json
    assert found["requests"] > 0 and found["cost"] == pytest.approx(found["provider_cost"], rel=0.01)
    assert terminal.inv("costs", "--by", "week").code == 2


def test_checks_judge_every_criterion(terminal: Terminal) -> None:
    done = terminal.inv("checks", "--json")
    assert done.code in (0, 4) and len(done.json["criteria"]) == 11
    assert not [row for row in done.json["criteria"] if row["verdict"] == "fail"]


def test_secret_and_doctor_find_nothing_wrong(terminal: Terminal) -> None:
    assert terminal.inv("secret", "--json").json["exit_code"] == 0
    done = terminal.inv("doctor", "--fix", "--json")
    proven = {row["problem"]: row["did"] for row in done.json["fixed"]}
    assert proven["providers.openrouter.model"].startswith("moonshotai/kimi-k2-thinking answered")
    assert proven["providers.gemini.model"].startswith("gemini-2.5-pro answered")
    assert not [row for row in done.json["findings"] if row["severity"] == "error"], done.out


def test_rollback_puts_the_old_code_back_and_git_agrees(terminal: Terminal) -> None:
    done = terminal.inv("rollback", "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["restored_seconds"] < 60 and done.json["revert"]["pushed"] is True
    assert terminal.inv("rollback").code == 0  # already rolled back: it says so


def test_status_and_history_tell_the_story(terminal: Terminal) -> None:
    found = terminal.inv("status", "--json")
    assert found.code == 0 and found.json["lock"] is None
    assert [row["kind"] for row in terminal.inv("history", "--json").json["deployments"]] == ["rollback", "deploy"]


def test_the_rolled_back_change_is_held(terminal: Terminal) -> None:
    app = Path(terminal.said["app"])
    subprocess.run(["git", "checkout", "-q", "--force", "HEAD~0"], cwd=app, check=True)
    assert terminal.inv("deploy", "--yes").code in (0, 2)


def test_ctrl_c_ends_it_without_a_process_left(terminal: Terminal) -> None:
    folder = str(terminal.project.folder)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(20) == 0
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    assert [row for row in listed.splitlines() if folder in row and str(os.getpid()) not in row.split()[:1]] == []
    assert terminal.inv("status").code == 2
