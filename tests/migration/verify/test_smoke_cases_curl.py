"""The curl line does what the case did, run by a real shell, and shows no secret."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from migration.base.secrets_type import Secret
from migration.verify import smoke_cases

BODY = {"prompt": 'It\'s a "$HOME" `id` test\nwith lines', "n": 1}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_line_sends_the_same_request(httpserver: HTTPServer) -> None:
    """Quotes, dollars and line ends in a body arrive as they are; the shell fills the key in."""
    seen: list[Request] = []

    def keep(request: Request) -> Response:
        seen.append(request)
        request.get_data()
        return Response("ok")

    httpserver.expect_request("/functions/v1/f").respond_with_handler(keep)
    line = smoke_cases.curl(httpserver.url_for("/functions/v1/f"), "PUT", "anon", {"x-note": "it's"}, BODY)
    shell = {**os.environ, "SUPABASE_ANON_KEY": "the-key"}
    subprocess.run(["sh", "-c", f"{line} -s"], env=shell, check=True, capture_output=True, timeout=20)
    assert (seen[0].method, seen[0].json) == ("PUT", BODY)
    assert (seen[0].headers["apikey"], seen[0].headers["Authorization"]) == ("the-key", "Bearer the-key")
    assert seen[0].headers["x-note"] == "it's"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_line_of_a_signed_in_user_signs_in_first(httpserver: HTTPServer) -> None:
    """With what .env names; nothing of it stands in the line."""
    user = {"email": "a@b.c", "password": "pass word"}
    signing = httpserver.expect_request("/auth/v1/token", "POST", query_string="grant_type=password", json=user)
    signing.respond_with_json({"token_type": "bearer", "access_token": "the.user-token", "user": {"id": "1"}})
    asked = httpserver.expect_request("/functions/v1/f", headers={"Authorization": "Bearer the.user-token"})
    asked.respond_with_data("welcome")
    line = smoke_cases.curl(httpserver.url_for("/functions/v1/f"), "POST", "user", {}, BODY)
    names = {"SUPABASE_ANON_KEY": "k", "SMOKE_USER_EMAIL": user["email"], "SMOKE_USER_PASSWORD": user["password"]}
    done = subprocess.run(["sh", "-c", line], env={**os.environ, **names}, check=True, capture_output=True, timeout=20)
    assert done.stdout.endswith(b"welcome")


@pytest.mark.parametrize(
    ("auth", "shown"),
    [("none", None), ("anon", "Bearer $SUPABASE_ANON_KEY"), ("user", "Bearer $USER_TOKEN"),
     (Secret("own-token-12345"), "Bearer $TOKEN")],
)  # fmt: skip
def test_credentials_are_names(auth: Any, shown: str | None) -> None:
    """Each kind of caller by the name of its key."""
    line = smoke_cases.curl("http://localhost/f", "POST", auth, {}, None)
    assert (shown in line) if shown else ("Authorization" not in line)
    assert "own-token-12345" not in line


def test_secrets_in_headers_and_bodies_are_masked() -> None:
    """A key that the config put elsewhere does not show either."""
    secret = Secret("another-secret-42")
    line = smoke_cases.curl("http://localhost/f", "POST", "none", {"x-key": secret.reveal()}, {"key": secret.reveal()})
    assert secret.reveal() not in line and line.count("[REDACTED]") == 2
