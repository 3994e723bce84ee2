"""PostgREST's answers beyond what supabase-js shows: headers, statuses, errors that name the key of config.yaml."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from migration.base.errors import Refused
from migration.rehearsal import backend, identity
from migration.rehearsal.backend.grammar import RestError, parse
from migration.rehearsal.backend.tables import Tables
from migration.rehearsal.types import Sandbox
from tests.migration.rehearsal.backend import seed
from tests.support.edge import IDENTITY

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for httpx's successor
    from starlette.testclient import TestClient

KEY = {"apikey": IDENTITY.service_role_key, "authorization": f"Bearer {IDENTITY.service_role_key}"}


def started(folder: Path, **settings: Any) -> tuple[TestClient, Sandbox]:
    nothing: Any = None
    sandbox = Sandbox(folder, IDENTITY, nothing, nothing, nothing, settings)
    return TestClient(Starlette(routes=backend.routes(sandbox)), headers=KEY), sandbox


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    yield started(tmp_path, **seed.settings(tmp_path / "files"))[0]


def test_a_page_says_how_many_there_are(client: TestClient) -> None:
    """206 and the whole count for a part; 416 beyond the end."""
    part = client.get("/rest/v1/notes?select=id&limit=2&offset=1", headers={"prefer": "count=exact"})
    assert (part.status_code, part.headers["content-range"], part.json()) == (206, "1-2/4", [{"id": 2}, {"id": 3}])
    ranged = client.get("/rest/v1/notes?select=id", headers={"range": "0-1"})
    assert (ranged.headers["content-range"], len(ranged.json())) == ("0-1/*", 2)
    beyond = client.get("/rest/v1/notes?offset=9", headers={"prefer": "count=exact"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "PGRST103")
    empty = client.head("/rest/v1/notes?id=eq.99", headers={"prefer": "count=exact"})
    assert (empty.status_code, empty.headers["content-range"]) == (200, "*/0")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/rest/v1/gone", "rehearsal.database.tables.gone"),
        ("/rest/v1/rpc/gone", "rehearsal.database.rpc.gone"),
        ("/rest/v1/notes?select=colour", "rehearsal.database.tables.notes"),
        ("/rest/v1/notes?select=gone(id)", "rehearsal.database.relations"),
        ("/rest/v1/notes?rank=sl.1", "rehearsal.backend"),
        ("/storage/v1/object/none/a.png", "rehearsal.storage.none"),
        ("/storage/v1/vector/list", "rehearsal.backend"),
        ("/auth/v1/factors", "rehearsal.backend"),
        ("/graphql/v1/x", "rehearsal.backend"),
        ("/realtime/v1/api/broadcast", "rehearsal.backend"),
    ],
)
def test_what_is_missing_names_the_key(client: TestClient, path: str, key: str) -> None:
    answer = client.get(path)
    assert answer.status_code >= 400 and key in str(answer.json())


@pytest.mark.parametrize("more", ["", "/room/events/moved"])
def test_a_broadcast_is_accepted(client: TestClient, more: str) -> None:
    """By both of the client's ways to send one; with a key."""
    path = f"/realtime/v1/api/broadcast{more}"
    assert client.post(path, json={}).status_code == 202
    assert TestClient(client.app).post(path, json={}).status_code == 401


def test_no_key_opens_nothing(client: TestClient) -> None:
    """The hosted gateway's words for a missing and for a wrong key."""
    bare = TestClient(client.app)
    assert bare.get("/rest/v1/notes").json()["message"] == "No API key found in request"
    assert bare.get("/rest/v1/notes", headers={"apikey": "x"}).status_code == 401
    assert "authorization" in bare.get("/storage/v1/bucket").json()["message"]
    assert bare.get("/storage/v1/bucket", headers={"apikey": "x"}).json()["statusCode"] == "403"


def test_a_failed_write_leaves_all_as_it_was(client: TestClient) -> None:
    """One request is one transaction: a second row that cannot be written takes the first one back."""
    rows = [{"id": 50, "title": "new"}, {"id": 50, "title": "again"}]
    assert client.post("/rest/v1/notes", json=rows).status_code == 409
    assert client.get("/rest/v1/notes?id=eq.50").json() == []
    one = {"accept": "application/vnd.pgrst.object+json", "prefer": "return=representation"}
    assert client.patch("/rest/v1/notes?done=is.true", json={"rank": 0}, headers=one).status_code == 406
    assert client.get("/rest/v1/notes?rank=eq.0").json() == []
    assert client.post("/rest/v1/notes", content=b"{").json()["code"] == "PGRST102"


def test_rows_outlive_a_restart(tmp_path: Path) -> None:
    """What was written stays while the settings of its table stay; a reset goes back to them."""
    settings = seed.settings(tmp_path / "files")
    first, _ = started(tmp_path, **settings)
    first.post("/rest/v1/notes", json={"title": "kept"})
    first.post("/auth/v1/admin/users", json={"email": "kept@example.com"})
    first.post("/storage/v1/object/docs/kept.txt", content=b"kept")
    again, sandbox = started(tmp_path, **settings)
    assert again.get("/rest/v1/notes?title=eq.kept&select=id").json() == [{"id": 5}]
    assert "kept@example.com" in again.get("/auth/v1/admin/users").text
    assert again.get("/storage/v1/object/docs/kept.txt").content == b"kept"
    other = {**seed.DATABASE, "tables": {**seed.DATABASE["tables"], "notes": [{"id": 1, "title": "new"}]}}
    assert len(started(tmp_path, **{**settings, "database": other})[0].get("/rest/v1/notes").json()) == 1
    for reset in sandbox.resetting:
        reset()
    assert again.get("/rest/v1/notes?title=eq.kept").json() == []
    assert "kept@example.com" not in again.get("/auth/v1/admin/users").text
    assert again.get("/storage/v1/object/docs/kept.txt").json()["statusCode"] == "404"


def test_users_carry_their_claims(client: TestClient) -> None:
    """`claims` stand in the token, as a hook would add them; metadata in the user."""
    given = {"email": "ada@example.com", "password": "correct-horse"}
    session = client.post("/auth/v1/token?grant_type=password", json=given).json()
    claims = identity.payload(IDENTITY, session["access_token"])
    assert (claims["org"], claims["app_metadata"]["plan"], session["user"]["app_metadata"]["plan"]) == (7, "pro", "pro")
    mine = {"authorization": f"Bearer {session['access_token']}"}
    assert client.put("/auth/v1/user", json={"data": {"a": 1}}, headers=mine).json()["user_metadata"] == {"a": 1}
    assert client.put("/auth/v1/user", json={"password": "short"}, headers=mine).json()["error_code"] == "weak_password"
    client.post("/auth/v1/admin/users", json={"email": "new@example.com", "password": "a-password"})
    early = client.post("/auth/v1/token?grant_type=password", json={**given, "email": "new@example.com",
                                                                   "password": "a-password"})  # fmt: skip
    assert early.json()["error_code"] == "email_not_confirmed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"database": {"tables": {"a": {"row": []}}}}, r"rehearsal\.database\.tables\.a\.row: unknown key"),
        ({"database": {"tables": {"a": ["x"]}}}, r"rehearsal\.database\.tables\.a: should be a list of rows"),
        ({"database": {"relations": {"a": "b.id"}}}, r"rehearsal\.database\.relations\.a: should be TABLE.COLUMN"),
        ({"users": {"ada": {}}}, r"rehearsal\.users\.ada: should be smoke or an email address"),
        ({"users": {"a@b.c": {"pass": "x"}}}, r"rehearsal\.users\.a@b\.c\.pass: unknown key"),
        ({"users": {"a@b.c": {"claims": 3}}}, r"rehearsal\.users\.a@b\.c\.claims: should be keys and values, got 3"),
        ({"storage": {"docs": {"open": True}}}, r"rehearsal\.storage\.docs: should be a mapping of"),
        ({"storage": {"docs": {"files": {"a": "/gone/a"}}}}, r"rehearsal\.storage\.docs: cannot read /gone/a"),
        ({"backend": "ftp://x"}, r"rehearsal\.backend: should be the address"),
        ({"backend": {"url": "http://x", "key": 1}}, r"rehearsal\.backend: should be the address"),
    ],
)
def test_a_mistake_is_refused_by_name(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        started(tmp_path, **settings)


@pytest.mark.parametrize("query", [("id", "1"), ("id", "like"), ("limit", "x"), ("or", "a.eq.1"), ("or", "(a.is)")])
def test_what_does_not_parse_is_an_error_in_its_form(query: tuple[str, str]) -> None:
    with pytest.raises(RestError) as caught:
        parse([query])
    assert (caught.value.status, caught.value.body["code"]) == (400, "PGRST100")


def test_unknown_is_neither_true_nor_false(tmp_path: Path) -> None:
    """Three-valued logic: a null fits no comparison and no denial of one."""
    tables = Tables({"tables": {"t": [{"id": 1, "a": None, "b": True}, {"id": 2, "a": 5, "b": None}]}}, tmp_path / "x")

    def asked(*pairs: tuple[str, str]) -> list[int]:
        return [row["id"] for row in tables.matching("t", parse(pairs))]

    assert asked(("a", "neq.3")) == asked(("a", "not.eq.3")) == [2]
    assert asked(("or", "(a.eq.3,b.is.true)")) == [1]
    assert asked(("not.and", "(a.eq.5,b.is.null)")) == [1]
    assert asked(("a", "isdistinct.5")) == [1]


def test_table_without_named_columns_stays_open(tmp_path: Path) -> None:
    """What was inserted says nothing of the other columns; defaults name none but themselves. Named ones close it."""
    tables = {"runs": [], "marks": {"defaults": {"created_at": "now()"}}, "closed": {"columns": ["id", "score"]}}
    client, _ = started(tmp_path, database={"tables": tables})
    for name in ("runs", "marks"):
        assert client.post(f"/rest/v1/{name}", json={"job_id": 1}).status_code == 201
        missing = client.get(f"/rest/v1/{name}?select=id,score&score=not.is.null&order=rank")
        assert (missing.status_code, missing.json()) == (200, [])
        absent = client.get(f"/rest/v1/{name}?select=job_id,score")
        assert absent.json() == [{"job_id": 1, "score": None}]
    refused = client.get("/rest/v1/closed?rank=eq.1")
    assert refused.json()["hint"] == "Add it to rehearsal.database.tables.closed.columns in config.yaml"
