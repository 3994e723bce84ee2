"""The sandbox's sign-in answers as the hosted one, and database calls get a quick stand-in answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest

from migration.base.errors import Refused
from tests.support.edge import IDENTITY, SECRET, USER, Answer, Edge, edge, token

KEY = {"apikey": IDENTITY.publishable_key}
GOOD = {"email": IDENTITY.user_email, "password": IDENTITY.user_password}
NEWER = {"x-supabase-api-version": "2024-01-01"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    database = {"tables": {"profiles": [{"id": 1}], "many": [{"id": 1}, {"id": 2}]}, "rpc": {"now": "2026"}}
    folder = tmp_path_factory.mktemp("edge")
    with edge(folder, folder / "deno", database=database) as started:
        yield started


def sign_in(place: Edge, given: Any = GOOD, grant: str = "password", **headers: str) -> Answer:
    path = f"/auth/v1/token?grant_type={grant}"
    return place.call(path, body=json.dumps(given), headers={**KEY, **headers})


def user(place: Edge, bearer: str | None, headers: dict[str, str] = KEY) -> Answer:
    given = {"authorization": f"Bearer {bearer}"} if bearer else {}
    return place.call("/auth/v1/user", "GET", headers={**headers, **given})


def test_the_seeded_user_signs_in_with_a_token_that_verifies(place: Edge) -> None:
    answer = sign_in(place)
    session = answer.json()
    claims = jwt.decode(session["access_token"], SECRET, algorithms=["HS256"], audience="authenticated")
    assert answer.status == 200
    assert (session["token_type"], session["expires_in"]) == ("bearer", 3600)
    assert session["expires_at"] == claims["exp"]
    assert (claims["sub"], claims["role"], claims["email"]) == (USER, "authenticated", IDENTITY.user_email)
    assert session["user"]["id"] == USER


def test_a_link_leads_back_with_a_session(place: Edge) -> None:
    """The link of a mail, opened in a browser: once, and what is wrong with it stands in the address."""
    given = {"type": "magiclink", "email": IDENTITY.user_email, "redirect_to": "https://app.example/in"}
    admin = {"apikey": IDENTITY.secret_key, "authorization": f"Bearer {IDENTITY.service_role_key}"}
    link = place.call("/auth/v1/admin/generate_link", body=json.dumps(given), headers=admin).json()["action_link"]
    path = link[link.index("/auth/") :]
    followed, again = place.call(path, "GET"), place.call(path, "GET")
    where, _, session = followed.headers["location"].partition("#")
    assert (followed.status, where) == (303, "https://app.example/in")
    assert user(place, dict(parse_qsl(session))["access_token"]).json()["id"] == USER
    assert "error_code=otp_expired" in again.headers["location"]


@pytest.mark.parametrize("by", ["link", "code"])
def test_a_link_of_a_deleted_user_is_used_up(place: Edge, by: str) -> None:
    """As hosted, where the mail's token goes with its user."""
    admin = {"apikey": IDENTITY.secret_key, "authorization": f"Bearer {IDENTITY.service_role_key}"}
    given = {"type": "signup", "email": f"gone-{by}@example.com", "password": "secret-enough"}
    made = place.call("/auth/v1/admin/generate_link", body=json.dumps(given), headers=admin).json()
    assert place.call(f"/auth/v1/admin/users/{made['id']}", "DELETE", headers=admin).status == 200
    link = {"token_hash": made["hashed_token"], "type": "signup"}
    code = {"email": given["email"], "token": made["email_otp"], "type": "signup"}
    answer = place.call("/auth/v1/verify", body=json.dumps(link if by == "link" else code), headers=KEY)
    assert (answer.status, answer.json().get("error_code")) == (403, "otp_expired")


@pytest.mark.parametrize("given", [{**GOOD, "password": "wrong"}, {**GOOD, "email": "nobody@example.com"}, {}])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(place: Edge, given: dict[str, str]) -> None:
    answer = sign_in(place, given)
    assert answer.status == 400
    assert answer.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}


def test_clients_that_name_the_newer_version_get_its_error_shape(place: Edge) -> None:
    answer = sign_in(place, {}, **NEWER)
    assert answer.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert answer.headers["x-supabase-api-version"] == "2024-01-01"


def test_what_is_no_json_or_no_known_grant_is_refused(place: Edge) -> None:
    assert place.call("/auth/v1/token?grant_type=password", body="{", headers=KEY).json()["error_code"] == "bad_json"
    assert sign_in(place, [1]).status == 400
    assert sign_in(place, grant="magic").status == 400


def test_a_refresh_token_is_good_for_one_new_session(place: Edge) -> None:
    refresh = {"refresh_token": sign_in(place).json()["refresh_token"]}
    again = sign_in(place, refresh, "refresh_token")
    assert user(place, again.json()["access_token"]).status == 200
    assert sign_in(place, refresh, "refresh_token").json()["error_code"] == "refresh_token_not_found"


def test_a_signed_in_user_is_told_who_they_are(place: Edge) -> None:
    answer = user(place, sign_in(place).json()["access_token"])
    found = answer.json()
    assert (answer.status, found["id"], found["email"]) == (200, USER, IDENTITY.user_email)
    assert found["aud"] == found["role"] == "authenticated"


@pytest.mark.parametrize(
    ("bearer", "status", "code", "message"),
    [
        ("garbage", 403, "bad_jwt", "token is malformed"),
        (token("authenticated", sub=USER, exp=1), 403, "bad_jwt", "token is expired"),
        (token("authenticated", sub=USER, key="y" * 32), 403, "bad_jwt", "signature is invalid"),
        (IDENTITY.anon_key, 403, "bad_jwt", "invalid claim: missing sub claim"),
        (token("authenticated", sub="someone else"), 403, "user_not_found", "does not exist"),
        (None, 401, "no_authorization", "valid Bearer token"),
    ],
)
def test_a_token_that_is_no_users_is_refused_with_the_reason(
    place: Edge, bearer: str | None, status: int, code: str, message: str
) -> None:
    answer = user(place, bearer)
    assert (answer.status, answer.json()["error_code"]) == (status, code)
    assert message in answer.json()["msg"]


def test_a_session_that_was_signed_out_is_over(place: Edge) -> None:
    bearer = sign_in(place).json()["access_token"]
    out = place.call("/auth/v1/logout", headers={**KEY, "authorization": f"Bearer {bearer}"})
    assert out.status == 204
    assert user(place, bearer).json()["error_code"] == "session_not_found"


def test_nothing_is_answered_without_an_api_key_of_this_project(place: Edge) -> None:
    assert user(place, None, {}).json()["message"] == "No API key found in request"
    wrong = user(place, None, {"apikey": "wrong"})
    assert (wrong.status, wrong.json()["message"]) == (401, "Invalid API key")
    assert place.call(f"/auth/v1/user?apikey={IDENTITY.anon_key}", "GET").json()["error_code"] == "no_authorization"


def test_health_needs_no_key(place: Edge) -> None:
    assert place.call("/auth/v1/health", "GET").json()["name"] == "GoTrue"


# database calls


def test_a_table_answers_the_configured_rows(place: Edge) -> None:
    assert rest(place, "profiles?select=*").json() == [{"id": 1}]
    assert rest(place, "unknown?select=*").status == 404


def test_a_single_row_is_an_object_and_anything_else_the_known_error(place: Edge) -> None:
    single = {"accept": "application/vnd.pgrst.object+json"}
    assert rest(place, "profiles", headers=single).json() == {"id": 1}
    for table in ("many", "many?id=eq.9"):
        answer = rest(place, table, headers=single)
        assert (answer.status, answer.json()["code"]) == (406, "PGRST116")


def test_counts_stand_in_the_content_range(place: Edge) -> None:
    answer = rest(place, "many", headers={"prefer": "count=exact"})
    assert answer.headers["content-range"] == "0-1/2"


def test_writes_succeed_and_give_back_what_was_written_when_asked(place: Edge) -> None:
    row = json.dumps({"id": 3})
    assert rest(place, "profiles", "POST", body=row).status == 201
    assert rest(place, "profiles?id=eq.3", "PATCH", body=row).status == 204
    assert rest(place, "profiles", "POST", body="{", headers={"prefer": "return=representation"}).status == 400
    shown = rest(place, "profiles", "POST", body='{"id": 4}', headers={"prefer": "return=representation"})
    assert (shown.status, shown.json()) == (201, [{"id": 4}])
    assert rest(place, "profiles?id=in.(3,4)", "DELETE").status == 204


def test_a_procedure_answers_what_is_configured(place: Edge) -> None:
    assert rest(place, "rpc/now", "POST", body="{}").json() == "2026"
    assert rest(place, "rpc/other", "POST", body="{}").status == 404


def test_the_database_can_be_made_to_fail(tmp_path: Path) -> None:
    with edge(tmp_path, tmp_path / "deno", database={"status": 503, "body": {"message": "down"}}) as place:
        answer = rest(place, "profiles")
        assert (answer.status, answer.json()) == (503, {"message": "down"})


@pytest.mark.parametrize(
    ("database", "said"),
    [
        (["profiles"], "database: should be a mapping"),
        ({"table": {}}, "rehearsal.database.table: unknown key"),
        ({"tables": []}, "rehearsal.database.tables: should be a mapping"),
        ({"status": "503"}, "rehearsal.database.status: should be a whole number"),
    ],
)
def test_a_mistake_in_the_stand_in_answers_is_refused_by_name(tmp_path: Path, database: Any, said: str) -> None:
    with pytest.raises(Refused, match=said), edge(tmp_path, tmp_path / "deno", database=database):
        pass


def rest(
    place: Edge, name: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    return place.call(f"/rest/v1/{name}", method, body=body, headers={**KEY, **(headers or {})})


ADMIN = {"apikey": IDENTITY.secret_key, "authorization": f"Bearer {IDENTITY.service_role_key}"}


def test_admins_see_the_users(place: Edge) -> None:
    """Users are listed and found by id for the service role alone; what cannot be done is an error in JSON."""
    assert [row["id"] for row in place.call("/auth/v1/admin/users", "GET", headers=ADMIN).json()["users"]] == [USER]
    assert place.call(f"/auth/v1/admin/users/{USER}", "GET", headers=ADMIN).json()["id"] == USER
    assert place.call("/auth/v1/admin/users/else", "GET", headers=ADMIN).json()["error_code"] == "user_not_found"
    assert place.call("/auth/v1/admin/users", body="{}", headers=ADMIN).json()["error_code"] == "validation_failed"
    assert place.call("/auth/v1/admin/users", "GET", headers=KEY).json()["error_code"] == "not_admin"


@pytest.mark.parametrize("path", ["/auth/v1/magiclink", "/storage/v1/object/list/avatars", "/storage/v1/iceberg"])
def test_what_is_missing_answers_json(place: Edge, path: str) -> None:
    answer = place.call(path, "POST", body="{}", headers=KEY)
    assert answer.status in (400, 404)
    assert any("sandbox" in str(text).lower() for text in answer.json().values())
