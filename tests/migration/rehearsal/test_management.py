"""The Management API's rules for functions, as the CLI and the platform's users know them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.platform import HELLO, Platform

OLD, NEW = HELLO, HELLO.replace("hi", "other")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path, bundle_check=False)


def put(platform: Platform, *answers: Any) -> Any:
    return platform.ask("PUT", "/functions", json=list(answers))


def test_a_deploy_is_live_at_once_and_each_one_counts_the_version_up(platform: Platform) -> None:
    assert platform.hello().status_code == 201
    second = platform.hello(text=NEW)
    assert (second.status_code, second.json()["version"]) == (201, 2)
    assert platform.versions() == {"hello": 2}


def test_a_staged_version_neither_serves_nor_shows_until_the_put(platform: Platform) -> None:
    platform.hello()
    staged = platform.hello(text=NEW, stage=True).json()
    assert staged["version"] == 2
    assert platform.versions() == {"hello": 1}
    live = platform.sandbox.functions.live("hello")
    assert live is not None and (live.tree / live.entrypoint).read_text() == OLD
    assert b"other" not in platform.ask("GET", "/functions/hello/body").content
    assert put(platform, staged).status_code == 200
    live = platform.sandbox.functions.live("hello")
    assert live is not None and (live.tree / live.entrypoint).read_text() == NEW


def test_a_function_that_was_only_staged_is_not_there(platform: Platform) -> None:
    platform.hello(stage=True)
    assert platform.versions() == {}
    assert platform.ask("GET", "/functions/hello").status_code == 404
    assert platform.ask("GET", "/functions/hello/body").status_code == 404
    assert platform.sandbox.functions.live("hello") is None


@pytest.mark.parametrize("stage", [True, False], ids=["stage", "deploy"])
def test_an_unsettled_staged_version_makes_every_later_upload_answer_409(platform: Platform, stage: bool) -> None:
    platform.hello(stage=True)
    refused = platform.hello(text=NEW, stage=stage)
    assert (refused.status_code, refused.json()) == (409, {"message": "deployment already exists"})


def test_settling_lets_the_next_upload_through(platform: Platform) -> None:
    put(platform, platform.hello(stage=True).json())
    assert platform.hello(text=NEW, stage=True).status_code == 201


def test_the_put_repeats_without_effect(platform: Platform) -> None:
    staged = platform.hello(stage=True).json()
    put(platform, staged)
    before = platform.ask("GET", "/functions").json()
    assert put(platform, staged).status_code == 200
    assert platform.ask("GET", "/functions").json() == before


def test_a_stranded_version_is_settled_by_live_plus_one(platform: Platform) -> None:
    first = platform.hello(verify_jwt=False).json()
    platform.hello(text=NEW, stage=True)
    known = {name: first[name] for name in ("id", "slug", "name", "status")}
    assert put(platform, {**known, "version": 2}).status_code == 200
    assert platform.ask("GET", "/functions/hello").json()["verify_jwt"] is False
    assert platform.hello().json()["version"] == 3


def test_the_harsh_platform_settles_only_what_staging_answered(tmp_path: Path) -> None:
    platform = Platform(tmp_path, bundle_check=False, harsh=True)
    first = platform.hello().json()
    staged = platform.hello(text=NEW, stage=True).json()
    known = {name: first[name] for name in ("id", "slug", "name", "status")}
    assert put(platform, {**known, "version": 2}).status_code == 409
    assert platform.versions() == {"hello": 1}
    assert put(platform, staged).status_code == 200


def test_the_put_may_name_fewer_functions_than_were_staged(platform: Platform) -> None:
    first = platform.hello("alpha", stage=True).json()
    platform.hello("beta", stage=True)
    put(platform, first)
    assert platform.versions() == {"alpha": 1}
    assert platform.hello("beta", stage=True).status_code == 409


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"version": 9}, 409), ({"id": "another"}, 400), ({"slug": "nobody"}, 400), ({"version": True}, 400),
     ({"status": "FAILED"}, 400), ({"name": None}, 400)],
)  # fmt: skip
def test_one_wrong_row_keeps_the_whole_put_from_having_any_effect(
    platform: Platform, changes: dict[str, Any], status: int
) -> None:
    good, other = platform.hello("alpha", stage=True).json(), platform.hello("beta", stage=True).json()
    assert put(platform, good, {**other, **changes}).status_code == status
    assert platform.versions() == {}


def test_a_put_that_is_no_array_is_refused(platform: Platform) -> None:
    assert platform.ask("PUT", "/functions", content=b"{").status_code == 400
    assert put(platform, "hello").status_code == 400


def test_verify_jwt_is_what_the_metadata_says_else_what_is_stored_else_true(platform: Platform) -> None:
    assert platform.hello("plain").json()["verify_jwt"] is True
    assert platform.hello(verify_jwt=False).json()["verify_jwt"] is False
    assert platform.hello(text=NEW).json()["verify_jwt"] is False


def test_the_put_undoes_verify_jwt_when_its_row_says_otherwise(platform: Platform) -> None:
    staged = platform.hello(verify_jwt=False, stage=True).json()
    put(platform, {**staged, "verify_jwt": True})
    assert platform.ask("GET", "/functions/hello").json()["verify_jwt"] is True


def test_the_digest_follows_the_code_and_nothing_else(platform: Platform) -> None:
    first, same = platform.hello().json(), platform.hello(verify_jwt=False).json()
    assert first["ezbr_sha256"] == same["ezbr_sha256"] != platform.hello(text=NEW).json()["ezbr_sha256"]


def test_no_answer_holds_a_null_import_map_path_because_it_breaks_the_cli(platform: Platform) -> None:
    assert "import_map_path" not in platform.hello().json()
    files = {"supabase/functions/hello/index.ts": HELLO, "supabase/functions/hello/deno.json": "{}"}
    mapped = platform.upload("hello", files, import_map_path="supabase/functions/hello/deno.json").json()
    assert mapped["import_map"] is True
    assert mapped["import_map_path"].endswith("/source/supabase/functions/hello/deno.json")


@pytest.mark.parametrize(
    ("slug", "files", "metadata", "said"),
    [
        ("hello", {}, {}, "Entrypoint path does not exist"),
        ("hello", {"x.ts": ""}, {}, "Entrypoint path does not exist"),
        ("9lives", {"supabase/functions/9lives/index.ts": ""}, {}, "slug: Invalid"),
        ("hello", {"supabase/functions/hello/index.ts": ""}, {"import_map_path": "no.json"}, "Import map path"),
        ("hello", {"supabase/functions/hello/index.ts": ""}, {"verify_jwt": "no"}, "verify_jwt"),
        ("hello", {"supabase/functions/hello/index.ts": ""}, {"entrypoint_path": None}, "entrypoint_path"),
        ("hello", {"../../evil.ts": ""}, {}, "Invalid file path"),
        ("hello", {"/etc/evil.ts": ""}, {}, "Invalid file path"),
    ],
)
def test_an_upload_the_platform_could_not_run_is_refused_with_400(
    platform: Platform, slug: str, files: dict[str, str], metadata: dict[str, Any], said: str
) -> None:
    refused = platform.upload(slug, files, **metadata)
    assert refused.status_code == 400
    assert said in refused.json()["message"]
    assert platform.versions() == {}


def test_a_body_that_is_no_upload_is_refused(platform: Platform) -> None:
    for more in ({"content": b"{}"}, {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}):
        assert platform.ask("POST", "/functions/deploy?slug=hello", **more).status_code == 400


def test_a_bundle_over_the_limit_is_refused_with_413(tmp_path: Path) -> None:
    platform = Platform(tmp_path, bundle_check=False, bundle_megabytes=0.001)
    assert platform.hello(text="//" + "x" * 2000).status_code == 413
    assert platform.versions() == {}


def test_one_function_more_than_the_plan_holds_is_refused(tmp_path: Path) -> None:
    platform = Platform(tmp_path, bundle_check=False, max_functions=1)
    platform.hello()
    assert platform.hello("other").status_code == 400
    assert platform.hello().status_code == 201


def test_a_deleted_function_is_gone_and_comes_back_as_another_one(platform: Platform) -> None:
    first = platform.hello().json()
    assert platform.ask("DELETE", "/functions/hello").json() == {"message": "ok"}
    assert platform.ask("DELETE", "/functions/hello").status_code == 404
    assert platform.versions() == {}
    again = platform.hello().json()
    assert again["version"] == 1 and again["id"] != first["id"]


def test_deleting_clears_a_stranded_version_too(platform: Platform) -> None:
    platform.hello(stage=True)
    assert platform.ask("DELETE", "/functions/hello").status_code == 200
    assert platform.hello(stage=True).status_code == 201


def test_settings_change_without_a_new_version(platform: Platform) -> None:
    platform.hello()
    assert platform.ask("PATCH", "/functions/hello", json={"verify_jwt": False}).json()["verify_jwt"] is False
    assert platform.versions() == {"hello": 1}
    assert platform.ask("PATCH", "/functions/nobody", json={}).status_code == 404


def test_what_was_answered_survives_a_restart(platform: Platform, tmp_path: Path) -> None:
    platform.hello()
    staged = platform.hello(text=NEW, stage=True).json()
    before = platform.ask("GET", "/functions").json()
    again = Platform(tmp_path, bundle_check=False)
    assert again.sandbox.identity == platform.sandbox.identity
    assert again.ask("GET", "/functions").json() == before
    assert again.hello(stage=True).status_code == 409
    assert put(again, staged).status_code == 200


def test_the_project_has_the_shape_the_cli_caches(platform: Platform) -> None:
    found = platform.ask("GET", "").json()
    needed = {"id", "ref", "organization_id", "organization_slug", "name", "region", "created_at", "status", "database"}
    assert needed <= set(found)
    assert found["ref"] == platform.sandbox.identity.project_ref
    assert {"host", "version", "postgres_engine", "release_channel"} == set(found["database"])


def test_a_syntax_error_or_a_missing_module_is_refused_as_the_bundler_does(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    for text, reason in (("const x = ;", "Expression expected"), ('import "./gone.ts";', "Module not found")):
        refused = platform.hello(text=text)
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("Failed to bundle the function (reason: ")
        assert reason in refused.json()["message"]
        assert str(tmp_path) not in refused.json()["message"]
    assert platform.versions() == {}


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/nothing", "it"),
        ("POST", "", "it"),
        ("GET", "/pgsodium", "the root key of a database"),
        ("POST", "/branches", "preview branches"),
        ("GET", "/types/typescript", "types of a database"),
    ],
)
def test_an_unknown_route_is_a_json_404(platform: Platform, method: str, path: str, what: str) -> None:
    """For an unknown path as for a method that a path does not take, in the hosted API's words, and ours."""
    answer = platform.ask(method, path)
    assert answer.status_code == 404
    said = f"Cannot {method} {platform.base}{path}: the sandbox has no stand-in for {what}"
    assert answer.json() == {"message": said}


def test_the_project_is_not_deleted(platform: Platform) -> None:
    """With an answer that the CLI does not read as a project that is gone."""
    answer = platform.ask("DELETE", "")
    assert (answer.status_code, platform.ask("GET", "").status_code) == (403, 200)
    assert "which stays" in answer.json()["message"]


def test_secret_keys_are_shown_only_when_asked(platform: Platform) -> None:
    """`reveal=true` gives what opens the whole project; without it the keys for clients alone are whole."""
    own = platform.sandbox.identity
    plain, revealed = (
        {row["id"]: row["api_key"] for row in platform.ask("GET", f"/api-keys{query}").json()}
        for query in ("", "?reveal=true")
    )
    assert (plain["anon"], plain["publishable"]) == (own.anon_key, own.publishable_key)
    assert (revealed["service_role"], revealed["secret"]) == (own.service_role_key, own.secret_key)
    assert own.secret_key not in plain.values() and own.service_role_key not in plain.values()
