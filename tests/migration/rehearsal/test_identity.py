"""The made-up project looks like a real one, is nobody else's, and stays the same."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import jwt
import pytest

from migration.base.errors import Refused
from migration.rehearsal import identity


def test_every_key_has_the_form_of_the_real_one() -> None:
    made = identity.create()
    assert re.fullmatch(r"[a-z]{20}", made.project_ref)
    assert re.fullmatch(r"sbp_(oauth_|v0_)?[a-f0-9]{40}", made.access_token)
    assert re.fullmatch(r"sb_publishable_\w{22}_\w{8}", made.publishable_key)
    assert re.fullmatch(r"sb_secret_\w{22}_\w{8}", made.secret_key)
    assert made.openrouter_key.startswith("sk-or-v1-")
    assert len(set(made.google_keys)) == 10


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_the_legacy_keys_are_tokens_signed_with_the_projects_secret(role: str) -> None:
    made = identity.create()
    key = made.anon_key if role == "anon" else made.service_role_key
    claims = jwt.decode(key, made.jwt_secret, algorithms=["HS256"])
    assert (claims["role"], claims["ref"]) == (role, made.project_ref)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(key, made.jwt_secret + "x", algorithms=["HS256"])


def test_it_is_kept_in_a_private_file_and_differs_between_folders(tmp_path: Path) -> None:
    first = identity.load(tmp_path / "a")
    assert identity.load(tmp_path / "a") == first
    assert identity.load(tmp_path / "b").access_token != first.access_token
    assert stat.S_IMODE((tmp_path / "a" / "identity.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"project_ref": 1'])
def test_a_damaged_file_is_named_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "identity.json").write_text(text)
    with pytest.raises(Refused, match=r"identity.json is damaged"):
        identity.load(tmp_path)
    assert (tmp_path / "identity.json").read_text() == text


def test_keys_go_to_the_configured_names(tmp_path: Path) -> None:
    """A provider with a stand-in gets keys that it takes, any other a value that stays the same."""
    made = identity.load(tmp_path)
    found = identity.keys(made, {"gemini": ["G1", "G2"], "openrouter": ["O"], "stripe": ["S"]})
    assert (found["G1"], found["G2"], found["O"]) == (*made.google_keys[:2], made.openrouter_key)
    assert found["S"] == identity.keys(made, {"stripe": ["S"]})["S"] != identity.keys(made, {"stripe": ["T"]})["T"]
