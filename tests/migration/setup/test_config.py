"""`inv config`: what every verb reads, where it comes from, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.setup import config
from tests.support.project import Project, copy

TOKEN = "sbp_" + "0123456789" * 4
WRITTEN = """migration: {name: x, functions: [alpha], to: open}
app: {path: .}
environments:
  prod:
    url: "${ADDRESS}"
    project_ref: ${REF}
    access_token: "${TOKEN}"
providers: {open: {kind: openrouter, key: "${KEY}"}}
smoke:
  - {name: one, function: alpha, headers: {x-api: "${TOKEN}"}, expect: {artifact: react}}
soak: {accept: 0.98}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.yaml").write_text(WRITTEN)
    (tmp_path / ".env").write_text(f"# mine\nTOKEN={TOKEN}\nREF=fromtheenvfile\n")
    monkeypatch.delenv("CUTOVER_CONFIG", raising=False)
    monkeypatch.setenv("ADDRESS", "https://x.supabase.co")
    monkeypatch.setenv("REF", "abcdefghijklmnopqrst")
    return tmp_path


def test_each_value_names_its_source(root: Path) -> None:
    """The file and line, the variable and where its value is, or the default."""
    found = config.run(root)
    assert found.exit_code == 0
    sources = found.sources
    assert sources["environments.prod.url"] == "config.yaml:5, ADDRESS from the environment"
    assert sources["environments.prod.project_ref"] == "config.yaml:6, REF from the environment"
    assert sources["environments.prod.access_token"] == "config.yaml:7, TOKEN from .env:2"
    assert sources["providers.open.key"] == "config.yaml:8, KEY is not set"
    assert (sources["soak.accept"], sources["soak.reject"]) == ("config.yaml:11", "default")
    assert sources["smoke.0.expect.artifact.type"] == "config.yaml:10"
    assert sources["migration.functions"] == "config.yaml:1"


def test_no_secret_is_shown(root: Path) -> None:
    """A secret is a mask, an unset one its name, a variable in a header stays as it is written."""
    found = config.run(root)
    prod = found.config["environments"]["prod"]
    assert (prod["url"], prod["project_ref"]) == ("https://x.supabase.co", "abcdefghijklmnopqrst")
    assert prod["access_token"] == "[REDACTED]" and found.config["providers"]["open"]["key"] == "${KEY}"
    assert found.config["smoke"][0]["headers"] == {"x-api": "${TOKEN}"}
    assert TOKEN not in str(found)


def test_mistakes_have_their_place(root: Path) -> None:
    """All at once, those of `.env` too; exit code 2."""
    (root / "config.yaml").write_text(WRITTEN.replace("soak: {accept: 0.98}", "sook: {}\nsoak: {accept: 2}"))
    (root / ".env").write_text("TOKEN\n")
    found = config.run(root)
    assert found.exit_code == 2 and found.config == {}
    assert [each["where"] for each in found.problems] == [".env:1", "config.yaml:11:1", "config.yaml:12:8"]
    assert "did you mean soak?" in found.problems[1]["problem"]


def test_shipped_config_needs_no_env(tmp_path: Path) -> None:
    """As a person types it: a table with sources, JSON by its schema, nothing asked."""
    project: Project = copy(tmp_path / "project")
    assert not (project.folder / ".env").exists()
    done = project.inv("config")
    assert done.code == 0 and "soak.accept" in done.out and "config.yaml:" in done.out
    data = project.inv("config", "--json").json
    assert data["config"]["migration"]["to"] == "openrouter" and data["problems"] == []
    assert Path(data["file"]).name == "config.yaml"
