"""`uv run pytest checks --env NAME` runs the criteria as tests, and `uv run pytest` alone does not."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.support.project import ROOT, Project, copy, environment


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy(tmp_path_factory.mktemp("user") / "project")


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "checks", *arguments]
    return subprocess.run(command, cwd=project.folder, env=environment(), capture_output=True, text=True, check=False)


def test_each_criterion_is_a_test_and_what_inv_checks_refuses_ends_the_run_with_its_code(project: Project) -> None:
    found = run(project, "--env", "sandbox", "-v")
    assert "checks/test_criteria.py::test_criterion[artifacts_work]" in found.stdout
    assert "collected 12 items" in found.stdout
    assert "the sandbox is not running" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
    assert found.returncode == 2


@pytest.mark.long
def test_a_mistake_in_the_config_is_told_with_its_line(project: Project) -> None:
    project.edit("  no_503: {}", "  no_504: {}")
    try:
        found = run(project, "--env", "sandbox")
    finally:
        project.edit("  no_504: {}", "  no_503: {}")
    assert "did you mean no_503?" in found.stdout + found.stderr
    assert found.returncode != 0


def test_the_ordinary_run_collects_no_criterion() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
