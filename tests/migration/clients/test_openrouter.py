from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from migration.base.errors import Refused, Unknown
from migration.base.secrets_type import MASK, Secret
from migration.clients.http import Http
from migration.clients.openrouter import ListedKey, OpenRouter
from migration.clients.openrouter_errors import MEANING, ProviderError, classify, trouble
from tests.support.clinic import MODEL, Clinic, clinic

KEY, MANAGER = "sk-or-v1-" + "a" * 64, "sk-or-v1-" + "b" * 64


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture
def sick(shared: Clinic) -> Iterator[Clinic]:
    yield shared
    shared.reset()


def complete(found: Clinic, prompt: str) -> Any:
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": 16_000}
    return found.ask("POST", "/_openrouter/api/v1/chat/completions", body, {"Authorization": f"Bearer {found.key}"})


def test_a_key_tells_limit_usage_and_expiry(sick: Clinic) -> None:
    sick.programs(
        {"key": {"limit": 5, "limit_reset": "daily", "expires_at": "2030-01-01T00:00:00Z", "free_tier": True}}
    )
    cost = complete(sick, "counter artifact")["usage"]["cost"]
    info = sick.context().provider.key()
    assert (info.limit, info.reset, info.free_tier, info.management) == (5.0, "daily", True, False)
    assert info.usage_daily is not None
    assert info.remaining == pytest.approx(5 - info.usage_daily) and info.usage_daily >= cost
    assert info.expires_at == datetime(2030, 1, 1, tzinfo=UTC)


def test_keys_are_found_by_their_label_and_never_by_a_computed_hash(sick: Clinic) -> None:
    listed = sick.context().provider.keys()
    mine = [each for each in listed if each.shows(sick.key)]
    assert [each.name for each in mine] == ["sandbox"]
    assert not ListedKey(hash="1").shows(sick.key)


def test_models_carry_prices_by_the_million_and_their_last_day(sick: Clinic) -> None:
    sick.programs({"models": {MODEL: {"expiration_date": "2027-01-31"}}})
    client = sick.context().provider
    model = client.model(MODEL)
    assert model is not None
    assert model.price is not None
    assert (model.price.input, model.price.cached_input, model.price.output) == (0.60, 0.15, 2.50)
    assert model.expires == date(2027, 1, 31)
    assert client.model("nobody/nothing") is None
    assert [each.provider_name for each in client.endpoints(MODEL)] == ["Novita", "Google", "Parasail"]


def test_credit_and_activity_need_the_management_key(sick: Clinic) -> None:
    sick.programs({"activity_today": True})
    complete(sick, "form artifact")
    client = sick.context().provider
    credit = client.credits()
    assert credit.left == pytest.approx(100 - credit.used)
    (row,) = client.activity()
    assert row.usage == pytest.approx(credit.used)
    assert row.reasoning_tokens > 0 and row.day == datetime.now(UTC).date()
    without = sick.context(management_key=None).provider
    with pytest.raises(Refused, match="management key"):
        without.credits()
    wrong = sick.context(management_key=Secret(sick.key)).provider
    with pytest.raises(ProviderError) as caught:
        wrong.keys()
    assert caught.value.kind == "wrong_kind"


def reply(
    server: HTTPServer, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> OpenRouter:
    text = body if isinstance(body, str) else json.dumps(body)
    server.expect_request(path).respond_with_data(text, status, headers, content_type="application/json")
    return OpenRouter(Http(server.url_for("/").rstrip("/")), Secret(KEY), Secret(MANAGER))


def test_activity_days_are_read_in_both_forms(httpserver: HTTPServer) -> None:
    rows = [
        {"date": day, "model": "m", "usage": "0.5", "requests": "3"} for day in ("2026-11-01 00:00:00", "2026-11-02")
    ]
    found = reply(httpserver, "/activity", {"data": rows}).activity()
    assert [(each.day.day, each.usage, each.requests) for each in found] == [(1, 0.5, 3), (2, 0.5, 3)]


def test_all_pages_of_keys_are_read(httpserver: HTTPServer) -> None:
    """The list holds a hundred at most; the next ones are asked for by offset, disabled ones too."""
    rows = [{"hash": f"{number:064d}", "name": f"k{number}"} for number in range(130)]
    for offset in (0, 100):
        query = {"include_disabled": "true", "offset": str(offset)}
        page = {"data": rows[offset : offset + 100]}
        httpserver.expect_request("/keys", query_string=query).respond_with_json(page)
    client = OpenRouter(Http(httpserver.url_for("/").rstrip("/")), Secret(KEY), Secret(MANAGER))
    assert len(client.keys()) == 130


def test_an_answer_of_another_form_is_unknown_not_a_crash(httpserver: HTTPServer) -> None:
    for path, body in (("/key", "<html>"), ("/models", {"data": {}}), ("/credits", {"data": {"total_credits": "x"}})):
        client = reply(httpserver, path, body)
        call = {"/key": client.key, "/models": client.models, "/credits": client.credits}[path]
        with pytest.raises(Unknown, match="unexpected response from OpenRouter"):
            call()


def test_an_error_names_cause_next_step_and_no_key(httpserver: HTTPServer) -> None:
    client = reply(httpserver, "/key", {"error": {"code": 401, "message": "User not found."}}, 401)
    with pytest.raises(ProviderError) as caught:
        client.key()
    error = caught.value
    assert (error.status, error.kind, error.exit_code) == (401, "unknown_key", 3)
    assert "User not found." in error.message and "inv secret --set" in error.hint
    assert KEY not in repr(error) + str(error.data) + repr(client._key)
    assert repr(client._key) == MASK


def body(status: int, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, **more}}


CHOICE = {"finish_reason": "stop", "message": {"content": "Hi"}}


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, body(400, "Invalid request parameters"), "bad_request"),
        (401, body(401, "Missing Authentication header"), "no_key"),
        (401, body(401, "No auth credentials found"), "no_key"),
        (401, body(401, "User not found."), "unknown_key"),
        (401, body(401, "This API key has expired"), "expired_key"),
        (401, body(401, "This API key is disabled"), "disabled_key"),
        (402, body(402, "Insufficient credits. Add more using https://openrouter.ai/credits"), "no_credit"),
        (402, body(402, "This request requires more credits, or fewer max_tokens. You requested up to 9 tokens, "
                        "but can only afford 4") | {"user_id": "u"}, "short_credit"),
        (402, body(402, "Key limit exceeded (total limit)"), "key_limit"),
        (403, body(403, "Key limit exceeded (daily limit). Manage it using https://openrouter.ai/…"), "key_limit"),
        (403, body(403, "Only management keys can perform this operation"), "wrong_kind"),
        (403, body(403, "Blocked by guardrail", metadata={"patterns": ["x"]}), "budget"),
        (404, body(404, "Resource not found"), "not_found"),
        (404, body(404, "No endpoints found for m.", availability={"code": "no_endpoints"}), "no_endpoints"),
        (404, body(404, "gone", availability={"code": "model_deprecated"}), "no_model"),
        (408, body(408, "Operation timed out. Please try again later."), "timeout"),
        (413, body(413, "Request payload too large"), "too_large"),
        (422, body(422, "Invalid argument"), "bad_request"),
        (429, body(429, "Rate limit exceeded"), "rate_limit"),
        (429, body(429, "Provider returned error", metadata={"provider_name": "Google", "raw": "…"}), "busy"),
        (500, body(500, "Internal Server Error"), "server"),
        (502, body(502, "Provider returned error"), "upstream"),
        (503, body(503, "Service temporarily unavailable"), "busy"),
        (524, body(524, "Request timed out. Please try again later."), "timeout"),
        (529, body(529, "Provider returned error"), "busy"),
        (520, "<html>Web server is returning an unknown error</html>", "server"),
        (200, {"choices": [{"finish_reason": "error", "message": {"content": "Par"},
                            "error": {"code": 502, "message": "Provider returned error"}}]}, "upstream"),
        (200, body(429, "Provider returned error"), "busy"),
        (200, {"error": "overloaded"}, "upstream"),
        (200, {"choices": []}, "empty"),
        (200, {"choices": [{"finish_reason": "length", "message": {"content": "", "reasoning": "…"}}]}, "all_thought"),
        (200, {"choices": [{"finish_reason": "length", "message": {"content": None}}]}, "all_thought"),
        (200, {"choices": [{"finish_reason": None, "message": {"content": ""}}]}, "empty"),
        (200, {"choices": [CHOICE]}, None),
        (200, {"choices": [CHOICE | {"finish_reason": "length"}]}, None),
        (200, {"data": []}, None),
    ],
)  # fmt: skip
def test_every_refusal_is_told_apart(status: int, answer: Any, kind: str | None) -> None:
    """By status, by words, and inside HTTP 200; what is no refusal is none."""
    found = trouble(status, answer)
    assert (found.kind if found else None) == kind
    if found:
        assert found.inside == (status == 200)
        assert found.meaning and found.remedy and found.kind in MEANING


def test_a_log_line_is_classified_like_an_answer() -> None:
    assert classify(401, "[id] ❌ Failed: OpenRouter 401: User not found.") == "unknown_key"
    assert classify(403, "Key limit exceeded (daily limit)") == "key_limit"


def test_a_busy_provider_is_asked_again(httpserver: HTTPServer) -> None:
    """A read that meets 503 is repeated and its Retry-After obeyed; the third answer counts."""
    httpserver.expect_ordered_request("/models").respond_with_json(body(503, "busy"), 503, {"Retry-After": "0"})
    httpserver.expect_ordered_request("/models").respond_with_json(body(529, "busy"), 529)
    httpserver.expect_ordered_request("/models").respond_with_json({"data": []})
    assert OpenRouter(Http(httpserver.url_for("/").rstrip("/")), Secret(KEY)).models() == []
