"""`uv run pytest checks --env NAME` runs the criteria as tests, and `uv run pytest` alone does not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from migration.config.settings import CRITERIA
from tests.support.project import ROOT, copy, environment


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "checks", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_each_criterion_is_a_test_and_what_inv_checks_refuses_ends_the_run_with_its_code() -> None:
    found = run(ROOT, "--env", "nowhere", "-vv")
    assert "checks/test_criteria.py::test_criterion[answers_work]" in found.stdout
    assert f"collected {len(CRITERIA)} items" in found.stdout
    assert "config.yaml has no environment nowhere" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
    assert found.returncode == 2


@pytest.mark.long
def test_a_mistake_in_the_config_is_told_with_its_line(tmp_path: Path) -> None:
    project = copy(tmp_path / "project")
    project.edit("  no_503: {}", "  no_504: {}")
    found = run(project.folder, "--env", "sandbox")
    assert "did you mean no_503?" in found.stdout + found.stderr
    assert found.returncode != 0


def test_the_ordinary_run_collects_no_criterion() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests"]
