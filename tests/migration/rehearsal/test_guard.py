"""Who may call the Management API, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.rehearsal.guard import Windows
from tests.support.platform import Platform

READER = "sbp_" + "a" * 40


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path, tokens={READER: ["edge_functions_read"]})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer sbp_" + "0" * 40, "Basic x"])
def test_without_the_projects_token_every_route_answers_401(platform: Platform, header: str) -> None:
    for path in ("", "/functions", "/secrets", "/analytics/endpoints/logs"):
        answer = platform.ask("GET", path, headers={"authorization": header})
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


def test_another_project_is_not_found_and_a_ref_of_another_form_is_refused(platform: Platform) -> None:
    found = platform.client.get("/v1/projects/" + "z" * 20 + "/functions")
    assert (found.status_code, found.json()) == (404, {"message": "Project not found"})
    assert platform.client.get("/v1/projects/short/functions").status_code == 400


def test_a_scoped_token_may_do_what_it_was_given_and_learns_what_it_lacks(platform: Platform) -> None:
    reader = {"authorization": f"Bearer {READER}"}
    assert platform.ask("GET", "/functions", headers=reader).status_code == 200
    assert platform.ask("GET", "", headers=reader).status_code == 200
    refused = platform.ask("GET", "/secrets", headers=reader)
    assert refused.status_code == 403
    assert refused.json()["missing_permissions"] == ["edge_functions_secrets_read"]
    assert platform.ask("PUT", "/functions", headers=reader, json=[]).status_code == 403


def test_every_answer_tells_the_rate_limit(platform: Platform) -> None:
    for path in ("/functions", "/functions/nobody"):
        headers = platform.ask("GET", path).headers
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(headers)


def test_one_call_too_many_answers_429_for_that_endpoint_alone(tmp_path: Path) -> None:
    platform = Platform(tmp_path, rate_limit={"default": 2}, rate_seconds=40)
    answers = [platform.ask("GET", "/functions") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].json() == {"message": "ThrottlerException: Too Many Requests"}
    assert 1 <= int(answers[2].headers["retry-after"]) <= 40
    assert platform.ask("GET", "/secrets").status_code == 200


def test_a_new_window_begins_when_the_old_one_is_over() -> None:
    now = [0.0]
    windows = Windows({"default": 1}, 60, lambda: now[0])
    left = []
    for moment in (0.0, 59.9, 60.0):
        now[0] = moment
        left.append(windows.headers("list", "GET list")["x-ratelimit-remaining"])
    assert left == ["0", "-1", "0"]
