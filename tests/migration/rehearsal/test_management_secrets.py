"""Secrets go in by value and come out by digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.platform import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


def held(platform: Platform) -> dict[str, str]:
    return {row["name"]: row["value"] for row in platform.ask("GET", "/secrets").json()}


def test_a_set_secret_reaches_functions_and_shows_its_sha256_alone(platform: Platform) -> None:
    assert platform.ask("POST", "/secrets", json=[{"name": "A", "value": "ä\nb"}]).status_code == 201
    answer = platform.ask("GET", "/secrets")
    assert held(platform)["A"] == hashlib.sha256("ä\nb".encode()).hexdigest()
    assert "ä" not in answer.text
    assert platform.sandbox.functions.secrets()["A"] == "ä\nb"


def test_setting_replaces_and_unsetting_what_is_not_there_is_fine(platform: Platform) -> None:
    for value in ("1", "2"):
        platform.ask("POST", "/secrets", json=[{"name": "A", "value": value}])
    assert platform.sandbox.functions.secrets()["A"] == "2"
    assert platform.ask("DELETE", "/secrets", json=["A", "NOBODY"]).status_code == 200
    assert "A" not in held(platform)


def test_a_new_project_holds_the_platforms_names(platform: Platform) -> None:
    """And no provider's key: those come with the config of an app."""
    assert set(held(platform)) == {"SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"name": "SUPABASE_X", "value": "1"}], "must not start with the SUPABASE_ prefix"),
        ([{"name": "A" * 257, "value": "1"}], "256"),
        ([{"name": "A", "value": "1" * 24_577}], "24576"),
        ([{"name": "", "value": "1"}], "1 to 256"),
        ([{"name": "A"}], "name and value"),
        ([], "array of secrets"),
        ({"name": "A", "value": "1"}, "array of secrets"),
        ([{"name": f"S{number}", "value": ""} for number in range(100)], "at most 100"),
    ],
)
def test_a_wrong_pair_refuses_all_of_them(platform: Platform, rows: Any, said: str) -> None:
    before = held(platform)
    good = [{"name": "GOOD", "value": "1"}] if isinstance(rows, list) and rows else []
    refused = platform.ask("POST", "/secrets", json=[*good, *rows] if good else rows)
    assert refused.status_code == 400
    assert said in refused.json()["message"]
    assert held(platform) == before
