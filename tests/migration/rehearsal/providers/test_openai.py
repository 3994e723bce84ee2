"""The OpenAI stand-in refuses, counts and fails as OpenAI does; gateways and Gemini's compatible address too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migration.config.madeup import formed
from migration.rehearsal.providers import openai

HI = [{"role": "user", "content": "Reply with 'pong'"}]


def post(
    asked: Any, path: str = "v1/chat/completions", prefix: str = "/_openai", kind: str = "openai", **body: Any
) -> Any:
    headers = {"Authorization": f"Bearer {asked.identity.keys(kind)[0]}"}
    return asked.client.post(f"{prefix}/{path}", json={"model": "m", "messages": HI, **body}, headers=headers)


def events(answer: Any) -> list[Any]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"response_format": {"type": "json_object"}}, "messages"),
        ({"model": "o3-mini", "max_tokens": 5}, "max_tokens"),
        ({"model": ""}, None),
    ],
)
def test_what_openai_refuses_is_refused(ask: Any, body: dict[str, Any], param: str | None) -> None:
    answer = post(ask(), **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_keys_are_checked_in_its_words(ask: Any) -> None:
    asked = ask()
    assert "didn't provide an API key" in asked.client.get("/_openai/v1/models").json()["error"]["message"]
    wrong = asked.client.get("/_openai/v1/models", headers={"Authorization": "Bearer sk-other"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    lost = asked.client.post("/_openai/v1/audio/speech", headers={"Authorization": "Bearer x"})
    assert lost.status_code == 404 and "rehearsal.hosts" in lost.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "path", "header"),
    [
        ("openai", "/_openai/v1/models", "Authorization"),
        ("anthropic", "/_anthropic/v1/models", "x-api-key"),
        ("gemini", "/_gemini/v1beta/models", "x-goog-api-key"),
        ("openrouter", "/_openrouter/api/v1/key", "Authorization"),
    ],
)
def test_key_of_another_form_is_taken(ask: Any, kind: str, path: str, header: str) -> None:
    """A secret whose format the stand-in's own key has not gets a key that has it, and the stand-in takes it."""
    asked = ask()
    asked.sandbox.settings["formats"] = {"GROQ_API_KEY": {"kind": kind, "format": "^gsk_[a-z]{30}$"}}
    made = formed("GROQ_API_KEY", "^gsk_[a-z]{30}$", asked.identity.keys(kind)[0], asked.identity.jwt_secret)
    assert made.startswith("gsk_")
    scheme, version = ("Bearer " if header == "Authorization" else ""), {"anthropic-version": "2023-06-01"}
    values = (made, f"{made}x", asked.identity.keys(kind)[0])
    answers = [asked.client.get(path, headers=version | {header: f"{scheme}{value}"}) for value in values]
    assert [answer.status_code for answer in answers] in ([200, 401, 200], [200, 400, 200])


def test_one_fault_program_for_all(ask: Any) -> None:
    """Statuses, its own 429, tokens that run out, broken bodies and streams: in turn, as the sequence says."""
    kinds = ["503", "429", "429-own", "length", "malformed", "inside-a", "inside-c", "ok"]
    asked = ask({"openai": {"sequence": [*kinds, "malformed", "inside-b"], "retry_after": 3}})
    found = [post(asked) for _ in kinds]
    assert [answer.status_code for answer in found] == [503, 429, 429, 200, 200, 200, 200, 200]
    assert (found[0].headers["retry-after"], found[1].json()["error"]["code"]) == ("3", "rate_limit_exceeded")
    assert found[2].json()["error"]["code"] == "insufficient_quota"
    cut = found[3].json()["choices"][0]
    assert (cut["finish_reason"], cut["message"]["content"]) == ("length", "")
    with pytest.raises(ValueError):
        found[4].json()
    assert found[5].json()["choices"][0]["finish_reason"] == "content_filter"
    assert (found[6].json()["choices"], len(found[7].json()["choices"])) == ([], 1)
    assert not post(asked, stream=True).text.endswith("[DONE]\n\n")
    assert "error" in events(post(asked, stream=True))[-1]
    assert asked.providers.report()["openai"]["requests"] == 10


def test_thinking_is_counted_only_where_the_model_thinks(ask: Any) -> None:
    asked = ask()

    def thought(**body: Any) -> int:
        return int(post(asked, **body).json()["usage"]["completion_tokens_details"]["reasoning_tokens"])

    assert thought(model="gpt-4o") == thought(model="gpt-5", reasoning_effort="none") == 0
    assert thought(model="gpt-5") > 0 and thought(model="o4-mini", reasoning_effort="high") > 0


def test_long_instructions_are_cached(ask: Any) -> None:
    """From 1,024 tokens on, in steps of 128, the second time."""
    asked = ask()
    long = [{"role": "system", "content": "Keep to the point. " * 300}, *HI]
    found = [post(asked, messages=long).json()["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
    assert found[0] == 0 and found[1] >= 1024 and found[1] % 128 == 0


def test_a_gateway_with_a_path_of_its_own_answers(ask: Any) -> None:
    asked = ask()
    assert post(asked, "openai/v1/chat/completions").json()["choices"][0]["message"]["content"] == "pong"
    compatible = post(asked, "v1beta/openai/chat/completions", "/_gemini", "gemini")
    assert compatible.json()["choices"][0]["message"]["content"] == "pong"


def test_a_choice_of_tool_is_obeyed(ask: Any) -> None:
    """none, required, and a named one; a prompt without any of a tool's words is answered in text."""
    asked = ask()
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "ab"]
    named = {"type": "function", "function": {"name": "b"}}

    def calls(choice: Any) -> list[str]:
        message = post(asked, tools=tools, tool_choice=choice).json()["choices"][0]["message"]
        return [each["function"]["name"] for each in message.get("tool_calls", [])]

    assert [calls("none"), calls("auto"), calls("required"), calls(named)] == [[], [], ["a"], ["b"]]


def test_responses_fail_and_end_early_as_theirs(ask: Any) -> None:
    asked = ask({"openai": {"sequence": ["length", "inside-a", "inside-a", "ok"]}})
    early, failed, streamed, kept = (
        post(asked, "v1/responses", input="Reply with 'x'", stream=number == 2) for number in range(4)
    )
    assert (early.json()["status"], early.json()["incomplete_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert failed.json()["status"] == "failed"
    assert events(streamed)[-1]["type"] == "response.failed"
    own = {"Authorization": f"Bearer {asked.identity.keys('openai')[0]}"}
    path = f"/_openai/v1/responses/{kept.json()['id']}"
    assert asked.client.get(path, headers=own).json()["id"] == kept.json()["id"]
    assert asked.client.delete(path, headers=own).json()["deleted"] is True
    assert post(asked, "v1/responses", input="x", previous_response_id="resp_gone").json()["error"]["code"] == (
        "previous_response_not_found"
    )
    assert post(asked, "v1/responses").json()["error"]["param"] == "input"


def test_vectors_of_like_texts_are_close() -> None:
    def near(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(openai.vector(one, 512), openai.vector(other, 512), strict=True))

    assert near("milk and bread", "milk and bread") == pytest.approx(1, abs=1e-4)
    assert near("milk and bread", "bread and butter") > near("milk and bread", "deploy a function") + 0.2
