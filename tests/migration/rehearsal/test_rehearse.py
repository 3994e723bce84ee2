"""`inv rehearse` as a user types it: every phase shows what it must, and nothing of the user's is touched."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from migration.rehearsal.rehearse import PHASES
from tests.support.project import Done, Project, copy

pytestmark = pytest.mark.timeout(300)  # a whole migration, there and back, with a browser where there is one

NAMES = [*(name for name, _ in PHASES), "report"]
GIT = ["git", "-c", "user.name=Someone", "-c", "user.email=someone@localhost", "-c", "init.defaultBranch=main"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose app is a repository of the user's own, with a remote and work under way."""
    made = copy(tmp_path_factory.mktemp("rehearse") / "project")
    own = made.folder / "own"
    sample = made.folder / "migration" / "rehearsal" / "app"
    subprocess.run([*GIT, "init", "-q", "--bare", "origin.git"], cwd=made.folder, check=True)
    subprocess.run([*GIT, "clone", "-q", "origin.git", "own"], cwd=made.folder, check=True, stderr=subprocess.DEVNULL)
    for step in ("before", "after"):  # the tree, then the overlay
        subprocess.run(["cp", "-r", f"{sample / step}/.", str(own)], check=True)
        subprocess.run([*GIT, "add", "-A"], cwd=own, check=True)
        subprocess.run([*GIT, "commit", "-qm", step], cwd=own, check=True)
    subprocess.run([*GIT, "push", "-q", "origin", "HEAD:main"], cwd=own, check=True)
    (own / "notes.txt").write_text("work under way")
    made.edit("path: migration/rehearsal/app", "path: own")
    return made


@pytest.fixture(scope="module")
def before(project: Project) -> str:
    return _state(project)


@pytest.fixture(scope="module")
def done(project: Project, before: str) -> Done:
    assert before
    nobody = {
        "HOME": str(project.folder / "nobody"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    return project.inv("rehearse", "--json", env=nobody, seconds=280)


def _state(project: Project) -> str:
    """Every byte of the user's repository and of its remote."""
    parts = []
    for folder in ("own", "origin.git"):
        for path in sorted((project.folder / folder).rglob("*")):
            if path.is_file():
                parts.append(f"{path.relative_to(project.folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return "\n".join(parts)


def test_every_phase_shows_what_it_must_without_any_git_identity(done: Done) -> None:
    assert done.code == 0, done.err
    assert [row["name"] for row in done.json["phases"]] == NAMES
    assert all(row["ok"] and row["evidence"] for row in done.json["phases"])
    assert done.json["seconds"] > 0


def test_each_phase_has_one_line_of_evidence_on_stderr(done: Done) -> None:
    for row in done.json["phases"][:-1]:
        assert f"✓ {row['name']}  {row['evidence']}" in done.err


def test_the_readme_shows_these_words(done: Done) -> None:
    """Line by line, but for figures and ids; what a browser shows is left out where there is none."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    block = readme[readme.index("<!-- output of inv rehearse") :].split("```")[1]
    shown = dict(re.findall(r"(?m)^✓ ([a-z0-9]+)  (.*?)(?:  [\d.]+s)?$", block))
    real = {row["name"]: row["evidence"] for row in done.json["phases"] if not row["skipped"]}
    assert {name: _words(shown[name]) for name in real} == {name: _words(text) for name, text in real.items()}


def _words(text: str) -> str:
    text = re.sub(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", "#", text)
    return re.sub(r"(?<=[a-z])s\b", "", re.sub(r"\b[\da-f]{8,}(?:-[\d]+-[\da-f]+)?\b|[\d.]+", "#", text))


def test_the_samples_figures_agree(done: Done) -> None:
    """The bill of the provider is within 1% of what the tokens come to, and the baseline shows the overload."""
    evidence = {row["name"]: row["evidence"] for row in done.json["phases"]}
    by_tokens, _, billed = map(float, re.findall(r"\$([\d.]+)", evidence["costs"]))
    assert by_tokens > 0 and abs(billed - by_tokens) <= 0.01 * by_tokens + 0.0001
    assert re.search(r"503: \d+", evidence["baseline"])
    assert "listed as unchanged" not in evidence["plan"]


def test_the_report_holds_the_results_of_the_phases(done: Done) -> None:
    report = json.loads(Path(done.json["report"]).read_text())
    assert [row["name"] for row in report["phases"]] == NAMES
    assert report["results"]["checks"]["verdict"] == "pass"
    assert report["results"]["drill"]["deployment"]["outcome"] == "restored"
    assert report["results"]["rollback"]["revert"]["pushed"] is True


def test_the_users_repository_and_remote_are_as_they_were(project: Project, before: str, done: Done) -> None:
    assert done.code == 0
    assert _state(project) == before


def test_no_process_and_no_sandbox_is_left(project: Project, done: Done) -> None:
    assert done.code == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(project.folder) not in listed
    assert [path.name for path in (project.folder / ".cutover" / "rehearsal").iterdir()] == ["report.json"]
