"""The project's configuration: read at once, changed in sections, kept; its secrets never come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal import project_config
from tests.support.platform import Platform


def sections(platform: Platform) -> str:
    return f"/v1/projects/{platform.sandbox.identity.project_ref}"


def whole(platform: Platform) -> Any:
    found = platform.client.get(f"/v2/projects/{platform.sandbox.identity.project_ref}/config")
    return found.json()["data"]["attributes"]


@pytest.mark.parametrize(
    ("path", "change", "shown"),
    [
        ("config/auth", {"site_url": "https://a.example"}, ("auth", "site_url", "https://a.example")),
        ("postgrest", {"max_rows": 7}, ("api", "max_rows", 7)),
        ("config/realtime", {"private_only": True}, ("realtime", "private_only", True)),
        ("config/storage", {"fileSizeLimit": 5}, ("storage", "file_size_limit", 5)),
        ("ssl-enforcement", {"requestedConfig": {"database": True}}, ("database", "ssl_enforced", True)),
    ],
)
def test_a_change_is_read_back(tmp_path: Path, path: str, change: dict[str, Any], shown: tuple[str, str, Any]) -> None:
    """In its own section, in the whole, and after a restart; a reset forgets it."""
    platform = Platform(tmp_path)
    assert platform.client.patch(f"{sections(platform)}/{path}", json=change).status_code == 200
    group, name, value = shown
    assert whole(platform)[group][name] == value
    again = Platform(tmp_path)
    assert whole(again)[group][name] == value
    for reset in again.sandbox.resetting:
        reset()
    assert whole(again)[group][name] != value


def test_a_secret_is_never_given_back(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    change = {"external_github_secret": "plain", "smtp_pass": "words"}
    answer = platform.client.patch(f"{sections(platform)}/config/auth", json=change)
    texts = answer.text + json.dumps(whole(platform)) + (tmp_path / "config.json").read_text()
    assert "plain" not in texts and "words" not in texts
    assert len(whole(platform)["auth"]["smtp_pass"]) == 64


def test_what_is_no_object_and_another_project_are_refused(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    assert platform.client.patch(f"{sections(platform)}/config/auth", content=b"[").status_code == 400
    assert platform.client.get("/v2/projects/abcdefghijklmnopqrst/config").status_code == 404
    stranger = {"Authorization": "Bearer sbp_wrong"}
    ref = platform.sandbox.identity.project_ref
    assert platform.client.get(f"/v2/projects/{ref}/config", headers=stranger).status_code == 401
    lost = platform.client.get(f"{sections(platform)}/pgsodium")
    assert lost.status_code == 404 and "no stand-in" in lost.json()["message"]


def test_migrations_of_before_are_applied(tmp_path: Path) -> None:
    """Those of the base, then what is applied here."""
    platform = Platform(tmp_path)
    config = project_config.ProjectConfig(platform.sandbox)
    assert config.applied == []
    platform.sandbox.settings = {"migrations": [["20260101", "first"]]}
    config.reset(keep=True)
    assert config.applied == [{"version": "20260101", "name": "first"}]
    added = platform.client.post(
        f"{sections(platform)}/database/migrations", json={"query": "select 1", "name": "more"}
    )
    assert added.json()["name"] == "more"
    assert platform.client.post(f"{sections(platform)}/database/migrations", json={}).status_code == 400
    listed = platform.client.get(f"{sections(platform)}/database/migrations").json()
    assert [each["name"] for each in listed] == ["more"]
