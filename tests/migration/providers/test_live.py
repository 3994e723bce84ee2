"""The one capped request that proves a model: sent once, to the provider's own address, and read for who answered."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from migration.base.errors import ServiceFailed
from migration.base.secrets_type import Secret
from migration.config.environment import Environment, ProviderAccess
from migration.config.settings import ProviderSettings
from migration.providers import live
from tests.support.built import built
from tests.support.logs import config

KEY = "key-of-the-live-test"
# kind: model, path, header, where the cap stands, an answer
KINDS: dict[str, tuple[str, str, tuple[str, str], tuple[str, ...], dict[str, Any]]] = {
    "openrouter": ("moonshotai/kimi-k2-thinking", "/v1/chat/completions", ("Authorization", f"Bearer {KEY}"),
                   ("max_tokens",), {"model": "moonshotai/kimi-k2-thinking-20251106", "usage": {"total_tokens": 40}}),
    "openai": ("gpt-4o-mini", "/v1/chat/completions", ("Authorization", f"Bearer {KEY}"),
               ("max_tokens",), {"model": "gpt-4o-mini-2024-07-18", "usage": {"total_tokens": 40}}),
    "anthropic": ("claude-sonnet-4-5", "/v1/messages", ("x-api-key", KEY),
                  ("max_tokens",), {"model": "claude-sonnet-4-5-20250929",
                                    "usage": {"input_tokens": 30, "output_tokens": 10}}),
    "gemini": ("gemini-2.5-pro", "/v1/models/gemini-2.5-pro:generateContent", ("x-goog-api-key", KEY),
               ("generationConfig", "maxOutputTokens"), {"modelVersion": "gemini-2.5-pro",
                                                         "usageMetadata": {"totalTokenCount": 40}}),
}  # fmt: skip
each = pytest.mark.parametrize("kind", KINDS)


def access(kind: str, url: str, **more: Any) -> ProviderAccess:
    settings = built(ProviderSettings, {"kind": kind, "model": KINDS[kind][0], **more})
    return ProviderAccess("p", settings, f"{url.rstrip('/')}/v1", Secret(KEY))


@each
def test_one_capped_request(kind: str, httpserver: HTTPServer) -> None:
    """Its answer is bounded, its key goes into a header, and what answered is named, a dated build too."""
    _, path, header, cap, answer = KINDS[kind]
    httpserver.expect_request(path, method="POST", headers=dict([header])).respond_with_json(answer)
    named = answer.get("model") or answer.get("modelVersion")
    assert live.prove(access(kind, httpserver.url_for(""))) == f"{named} answered, 40 tokens"
    (request,) = [one for one, _ in httpserver.log]
    body: Any = request.json
    for name in cap:
        body = body[name]
    assert body == live.MOST and KEY not in request.url


@each
@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (200, {"model": "another-model", "modelVersion": "another-model"}, "another-model answered, where"),
        (404, {"error": {"message": "The model does not exist"}}, "answered 404 for .*: The model does not exist"),
        (503, {"error": {"message": "overloaded"}}, "answered 503"),
        (200, {"error": {"message": "inside 200"}}, "inside 200"),
        (200, {}, "did not say with which model"),
    ],
)
def test_model_not_proven(kind: str, status: int, answer: Any, words: str, httpserver: HTTPServer) -> None:
    """Another model, a refusal, an error inside 200: one sentence, and nothing is sent again."""
    httpserver.expect_request(KINDS[kind][1]).respond_with_json(answer, status)
    with pytest.raises(ServiceFailed, match=words):
        live.prove(access(kind, httpserver.url_for("")))
    assert len(httpserver.log) == 1


def test_offered_for_both_ends() -> None:
    """What can be asked, with the most that it costs; a provider without key, model or kind is left out."""
    found = config(
        providers={
            "a": {"kind": "openai", "model": "gpt-4o", "price": {"input": 2.5, "cached_input": 1.25, "output": 10}},
            "b": {"kind": "none"},
        },
        migration={"name": "m", "functions": ["f"], "from": "b", "to": "a"}, signals={},
    )  # fmt: skip
    ends = {
        name: ProviderAccess(name, one, "https://x.example/v1", Secret(KEY)) for name, one in found.providers.items()
    }
    offered = list(live.offers(found, Environment("prod", "https://x.example", providers=ends)))
    assert [str(one.fix) for one in offered] == [
        "send one request for an answer of at most 32 tokens ($0.0004) to gpt-4o"
    ]
    assert list(live.offers(found, Environment("prod", "https://x.example"))) == []


def test_openai_itself_takes_another_limit() -> None:
    """Models that reason refuse max_tokens there; others who speak its API know no other name."""
    own = ProviderAccess("p", access("openai", "").settings, "https://api.openai.com/v1", Secret(KEY))
    assert live.question(own).body["max_completion_tokens"] == live.MOST
