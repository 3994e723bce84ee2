"""Faults as a client meets them, on a real connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from migration.rehearsal.running import Running
from tests.support.caller import METADATA, Caller
from tests.support.edge import until
from tests.support.platform import Platform


@pytest.fixture
def caller(sandbox: Running) -> Caller:
    return Caller(sandbox)


BROKEN: dict[str, type[BaseException] | tuple[type[BaseException], ...]] = {
    "reset": ConnectionResetError,
    "close": http.client.RemoteDisconnected,
    "garbage": http.client.BadStatusLine,
    "cut": http.client.IncompleteRead,
    "hang": TimeoutError,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_connection_breaks_for_the_caller_and_the_next_call_is_whole(
    sandbox: Running, caller: Caller, kind: str
) -> None:
    sandbox.fault("list", kind)
    with pytest.raises(BROKEN[kind]):
        caller.ask("GET", "/functions", timeout=0.3 if kind == "hang" else 30)
    until(lambda: sandbox.history(operation="list"))  # it has met the fault
    assert caller.ask("GET", "/functions") == (200, b"[]")


@pytest.mark.parametrize("kind", ["reset", "close", "hang", "status"])
def test_applied_but_answer_lost_leaves_the_effect_behind(sandbox: Running, caller: Caller, kind: str) -> None:
    sandbox.fault("deploy", kind, applied=True, status=502, hold=0.05)
    _quietly(caller.upload)
    entry = sandbox.history(operation="deploy")[-1]
    assert entry["effect"]["deployed"] == {"hello": 1}
    assert json.loads(caller.ask("GET", "/functions")[1])[0]["version"] == 1


@pytest.mark.parametrize("kind", ["reset", "close", "hang", "status", "html"])
def test_without_applied_nothing_has_happened(sandbox: Running, caller: Caller, kind: str) -> None:
    sandbox.fault("deploy", kind, status=502, hold=0.05)
    _quietly(caller.upload)
    assert sandbox.history(operation="deploy")[-1]["effect"] is None
    assert caller.ask("GET", "/functions") == (200, b"[]")


def _quietly(call: Callable[[], Any]) -> None:
    try:
        call()
    except (OSError, http.client.HTTPException):
        return


def test_a_reset_before_the_body_was_read_reaches_a_caller_that_is_still_sending(
    sandbox: Running, caller: Caller
) -> None:
    sandbox.fault("secrets_set", "reset")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        caller.ask("POST", "/secrets", json.dumps([{"name": "A", "value": "x" * 20_000_000}]).encode())


def test_a_status_fault_carries_its_body_and_headers(sandbox: Running, caller: Caller) -> None:
    sandbox.fault("list", "status", status=429, body={"message": "slow down"}, headers={"Retry-After": "7"})
    connection = http.client.HTTPConnection(caller.where)
    connection.request("GET", caller.base + "/functions", headers=caller.headers)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["retry-after"], json.loads(answer.read())) == (
        429,
        "7",
        {"message": "slow down"},
    )
    connection.close()


def test_a_page_of_html_or_nothing_at_all_can_come_with_200(sandbox: Running, caller: Caller) -> None:
    sandbox.fault("list", "html")
    sandbox.fault("list", "empty")
    status, page = caller.ask("GET", "/functions")
    assert status == 200 and page.startswith(b"<html>")
    assert caller.ask("GET", "/functions") == (200, b"")


def test_a_trickled_answer_is_whole_in_the_end(sandbox: Running, caller: Caller) -> None:
    sandbox.fault("project", "trickle", bytes=40, ms=1)
    status, body = caller.ask("GET", "")
    assert (status, json.loads(body)["ref"]) == (200, sandbox.project_ref)


def test_a_patched_answer_differs_in_the_named_keys_only(sandbox: Running, caller: Caller) -> None:
    caller.upload()
    before = json.loads(caller.ask("GET", "/functions")[1])[0]
    sandbox.fault("list", "patch", patch={"version": "one"}, remove=["id"])
    after = json.loads(caller.ask("GET", "/functions")[1])[0]
    assert after == {**{key: before[key] for key in before if key != "id"}, "version": "one"}


def test_a_chunked_answer_can_break_off_in_the_middle(sandbox: Running, caller: Caller) -> None:
    sandbox.fault("project", "cut", chunked=True)
    with pytest.raises(http.client.IncompleteRead):
        caller.ask("GET", "")


def test_a_server_that_is_down_refuses_connections_and_comes_back(sandbox: Running, caller: Caller) -> None:
    for seconds in (1.5, 5.0, 20.0):  # a machine that stalls may come too late to find it down
        sandbox.fault("list", "down", down_seconds=seconds)
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            caller.ask("GET", "/functions")
        refused = _refused(caller)
        until(lambda: not _refused(caller), 60)
        if refused:
            break
    assert refused
    assert caller.ask("GET", "/functions") == (200, b"[]")


def _refused(caller: Caller) -> bool:
    try:
        caller.ask("GET", "")
    except ConnectionRefusedError:
        return True
    return False


def test_the_history_tells_requests_effects_and_answers_in_order(sandbox: Running, caller: Caller) -> None:
    staged = json.loads(caller.upload(only=True)[1])
    caller.ask("PUT", "/functions", json.dumps([staged]).encode())
    kind: dict[str, Any] = {"Content-Type": "application/json"}
    caller.ask("POST", "/secrets", b'[{"name":"A","value":"hidden value"}]', **kind)
    entries = sandbox.history()
    assert [entry["operation"] for entry in entries] == ["stage", "activate", "secrets_set"]
    assert [entry["status"] for entry in entries] == [201, 200, 201]
    assert entries[0]["effect"]["staged"] == {"hello": 1}
    assert entries[1]["effect"] == {"activated": {"hello": 1}}
    assert entries[2]["effect"] == {"secrets_set": ["A"]}
    assert "hidden value" not in json.dumps(entries)


def test_a_delayed_answer_is_whole_and_never_early(sandbox: Running, caller: Caller) -> None:
    sandbox.fault("list", "delay", ms=120)
    assert caller.ask("GET", "/functions") == (200, b"[]")
    assert sandbox.history()[0]["seconds"] >= 0.12


def test_a_configured_latency_holds_every_answer_of_its_operation(tmp_path: Path) -> None:
    platform = Platform(tmp_path, bundle_check=False, latency={"stage": 60})
    assert platform.hello(stage=True).status_code == 201
    assert platform.hello("other", stage=True).status_code == 201
    assert all(entry["seconds"] >= 0.06 for entry in platform.history())


def test_a_partial_activation_answers_200_and_moves_only_some(sandbox: Running, caller: Caller) -> None:
    rows = [json.loads(caller.upload(slug, only=True)[1]) for slug in ("alpha", "beta")]
    sandbox.fault("activate", "partial", skip=["beta"])
    body = json.dumps(rows).encode()
    assert caller.ask("PUT", "/functions", body)[0] == 200
    assert [row["slug"] for row in json.loads(caller.ask("GET", "/functions")[1])] == ["alpha"]
    assert caller.ask("PUT", "/functions", body)[0] == 200
    assert [row["slug"] for row in json.loads(caller.ask("GET", "/functions")[1])] == ["alpha", "beta"]


def test_an_older_version_answers_one_region_or_none_does(sandbox: Running) -> None:
    api = Supabase(Http(sandbox.api_url, {"Authorization": f"Bearer {sandbox.access_token}"}), sandbox.project_ref)
    edge = Edge(Http(sandbox.url), Secret(sandbox.anon_key))
    for text in ("old", "new"):
        source = f'Deno.serve(() => new Response("{text}"));'.encode()
        api.deploy(Upload("hello", METADATA, [(str(METADATA["entrypoint_path"]), source)]))
    sandbox.fault("route", "stale", region="eu-west-1")
    sandbox.fault("route", "missing", region="us-east-1")
    regions = ("eu-central-1", "eu-west-1", "us-east-1", "eu-west-1", "us-east-1")
    answers = [edge.call("hello", purpose=Purpose.SMOKE, json={}, region=region) for region in regions]
    assert [(answer.status, answer.text) for answer in answers if answer.ok] == [
        (200, "new"), (200, "old"), (200, "new"), (200, "new"),
    ]  # fmt: skip
    assert (answers[2].status, answers[2].json()["code"]) == (404, "NOT_FOUND")


def test_an_edge_call_meets_the_same_faults(sandbox: Running) -> None:
    edge = Edge(Http(sandbox.url), Secret(sandbox.anon_key))
    sandbox.fault("edge", "status", slug="hello", status=546, body={"code": "WORKER_RESOURCE_LIMIT"})
    assert edge.call("other", purpose=Purpose.SMOKE, json={}).status == 404
    assert edge.call("hello", purpose=Purpose.SMOKE, json={}).status == 546


def test_a_wrong_fault_is_refused_with_the_words_that_exist(sandbox: Running) -> None:
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
    token = {"Authorization": f"Bearer {sandbox.access_token}"}
    connection.request("POST", "/_sandbox/faults", json.dumps({"operation": "stage", "do": "explode"}), token)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert answer.status == 400
    assert "explode" in said["message"] and "reset" in said["kinds"] and "stage" in said["operations"]
    assert sandbox.faults() == []


@pytest.mark.parametrize("path", ["faults", "history", "reset", "providers"])
def test_the_control_needs_the_access_token(sandbox: Running, path: str) -> None:
    """A function knows the address and its own keys, and must not arm faults with them."""
    for key in ("none", sandbox.anon_key, str(sandbox.info["service_role_key"])):
        answer = Http(sandbox.url, {"Authorization": f"Bearer {key}"}).request("POST", f"/_sandbox/{path}", json={})
        assert answer.status == 401 and "access token" in answer.json()["message"]
    assert Http(sandbox.url).request("GET", "/_sandbox/health").ok
