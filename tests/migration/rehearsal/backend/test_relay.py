"""`rehearsal.backend`: what a local stack is sent, and whose tokens are good for what."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from migration.rehearsal.backend import relay
from tests.support.edge import IDENTITY, edge, until
from tests.support.npm import needed

# The two keys that every `supabase start` prints: https://supabase.com/docs/guides/local-development/cli/getting-started
ANON = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9."
    "CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"
)
ASYMMETRIC = jwt.encode({"sub": "u"}, "x" * 32, algorithm="HS256", headers={"alg": "HS256"}).split(".", 1)[1]
ASYMMETRIC = f"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.{ASYMMETRIC}"  # the header says ES256


def test_the_keys_are_those_of_every_local_stack() -> None:
    made = relay.adopted(IDENTITY, {"backend": "http://127.0.0.1:54321"})
    assert made.anon_key == ANON and made.service_role_key != ANON
    assert made.jwt_secret == relay.SECRET and made.publishable_key == IDENTITY.publishable_key
    assert relay.adopted(IDENTITY, {}) is IDENTITY
    assert relay.adopted(IDENTITY, {"backend": {"url": "http://x:1", "jwt_secret": "s" * 32}}).jwt_secret == "s" * 32


def test_calls_reach_the_stack_as_they_came(tmp_path: Path, httpserver: HTTPServer) -> None:
    """Method, query, body and streamed answer; a newer key becomes the stack's; the smoke user is made first."""
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_data()
        asked.append(request)
        known = request.headers.get("authorization") == f"Bearer {ASYMMETRIC}"
        status = 403 if request.path == "/auth/v1/user" and not known else 200
        return Response(json.dumps({"path": request.full_path}), status, {"content-range": "0-0/1"})

    httpserver.expect_request("/", method="GET").respond_with_data("")
    for path in ("/rest/v1/notes", "/auth/v1/token", "/auth/v1/user", "/auth/v1/admin/users"):
        httpserver.expect_request(path).respond_with_handler(answer)
    with edge(tmp_path, tmp_path / "deno", backend=httpserver.url_for("").rstrip("/")) as place:
        sent = place.call("/rest/v1/notes?select=id", body='{"a": 1}', headers={"apikey": IDENTITY.publishable_key})
        assert (sent.json()["path"], sent.headers["content-range"]) == ("/rest/v1/notes?select=id", "0-0/1")
        assert asked[-1].method == "POST" and asked[-1].get_json(force=True) == {"a": 1}
        assert asked[-1].headers["apikey"] == IDENTITY.anon_key
        place.call("/auth/v1/token?grant_type=password", body="{}", headers={"apikey": IDENTITY.anon_key})
        made = asked[-2].get_json(force=True)
        assert (asked[-2].path, made["email"]) == ("/auth/v1/admin/users", IDENTITY.user_email)
        place.functions.deploy("a", "Deno.serve(() => new Response('hi'));", verify_jwt=True)
        assert place.function("a", headers={"authorization": f"Bearer {ASYMMETRIC}"}).text == "hi"
        assert place.function("a", headers={"authorization": f"Bearer {ASYMMETRIC}x"}).status == 401


def test_a_stack_that_does_not_run_is_named(tmp_path: Path) -> None:
    with edge(tmp_path, tmp_path / "deno", backend="http://127.0.0.1:9") as place:
        began = time.monotonic()
        answer = place.call("/rest/v1/notes", "GET")
        assert answer.status == 502 and "supabase start" in answer.json()["message"]
        assert time.monotonic() - began < 5


DRIVERS = """
import postgres from "npm:postgres@3.4.4";
import pg from "npm:pg@8.11.3";
const url = Deno.env.get("SUPABASE_DB_URL");
const sql = postgres(url);
Deno.serve(async () => {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query("select 2 as n");
  return Response.json([...(await sql`select 1 as n`), ...rows]);
});
"""


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a real PostgreSQL, which runs for one test."""
    initdb, postgres = _program("initdb"), _program("postgres")
    with tempfile.TemporaryDirectory(prefix="cutover-pg-") as folder:
        user: dict[str, Any] = {"user": "nobody"} if os.getuid() == 0 else {}  # it refuses to run as root
        Path(folder).chmod(0o777)
        made = [initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust"]
        subprocess.run(made, capture_output=True, check=True, **user)
        for _ in range(5):  # another process may be given its port before it takes it
            with socket.create_server(("127.0.0.1", 0)) as held:
                port = held.getsockname()[1]
            where = ["-D", f"{folder}/data", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
            server = subprocess.Popen([postgres, *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
            until(lambda: server.poll() is not None or _listens(port), 60)  # noqa: B023 - called in this turn
            if server.poll() is None:
                break
        try:
            assert server.poll() is None, "PostgreSQL ended at once"
            yield f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


def _program(name: str) -> str:
    """On PATH, or where Debian has it."""
    where = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    found = shutil.which(name, path=where)
    if not found:
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)("no PostgreSQL on this machine")
    return found


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@pytest.mark.slow
def test_drivers_reach_the_stacks_postgres(tmp_path: Path, database: str) -> None:
    """A real one, by SUPABASE_DB_URL, with the two drivers that functions use most."""
    needed("npm")
    backend = {"url": "http://127.0.0.1:1", "database": database}
    with edge(tmp_path, tmp_path / "deno", backend=backend, boot_timeout=300) as place:
        place.functions.deploy("a", DRIVERS)
        assert place.function("a", timeout=300).json() == [{"n": 1}, {"n": 2}]
