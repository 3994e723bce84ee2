"""The Anthropic stand-in refuses, counts and fails as Anthropic does."""

from __future__ import annotations

import json
from typing import Any

import pytest

VERSION = {"anthropic-version": "2023-06-01"}
HI = [{"role": "user", "content": "Reply with 'pong'"}]


def post(asked: Any, path: str = "messages", **body: Any) -> Any:
    headers = {"x-api-key": asked.identity.keys("anthropic")[0], **VERSION}
    whole = {"model": "claude-x", "max_tokens": 900, "messages": HI, **body}
    return asked.client.post(
        f"/_anthropic/v1/{path}", json={key: each for key, each in whole.items() if each}, headers=headers
    )


def events(answer: Any) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
    ],
)
def test_what_anthropic_refuses_is_refused(ask: Any, body: dict[str, Any], said: str) -> None:
    answer = post(ask(), **body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert said in answer.json()["error"]["message"]


def test_keys_and_version_are_checked(ask: Any) -> None:
    asked = ask()
    key = {"x-api-key": asked.identity.keys("anthropic")[0]}
    assert "header is required" in asked.client.get("/_anthropic/v1/models", headers=VERSION).json()["error"]["message"]
    assert asked.client.get("/_anthropic/v1/models", headers={"x-api-key": "no", **VERSION}).status_code == 401
    assert asked.client.get("/_anthropic/v1/models", headers=key).status_code == 400
    assert asked.client.get("/_anthropic/v1/models/claude-y", headers=key | VERSION).json()["id"] == "claude-y"
    lost = asked.client.post("/_anthropic/v1/files", headers=key | VERSION)
    assert lost.status_code == 404 and "rehearsal.hosts" in lost.json()["error"]["message"]


def test_one_fault_program_for_all(ask: Any) -> None:
    kinds = ["529", "429", "429-own", "length", "malformed", "inside-a", "inside-b", "inside-c"]
    asked = ask({"anthropic": {"sequence": [*kinds, "inside-a", "malformed"], "retry_after": 7}})
    found = [post(asked) for _ in kinds]
    assert [answer.status_code for answer in found] == [529, 429, 400, 200, 200, 200, 200, 200]
    assert (found[0].json()["error"]["type"], found[1].headers["retry-after"]) == ("overloaded_error", "7")
    assert "credit balance" in found[2].json()["error"]["message"]
    assert (found[3].json()["stop_reason"], found[3].json()["content"]) == ("max_tokens", [])
    with pytest.raises(ValueError):
        found[4].json()
    assert (found[5].json()["stop_reason"], found[6].json()["type"], found[7].json()["content"]) == (
        "refusal",
        "error",
        [],
    )
    assert events(post(asked, stream=True))[-1]["error"]["type"] == "overloaded_error"
    assert "message_stop" not in post(asked, stream=True).text


def test_stop_sequences_and_a_given_start_are_kept(ask: Any) -> None:
    asked = ask()
    stopped = post(
        asked, messages=[{"role": "user", "content": "Reply with 'one END two'"}], stop_sequences=["END"]
    ).json()
    assert (stopped["content"][0]["text"], stopped["stop_reason"], stopped["stop_sequence"]) == (
        "one ",
        "stop_sequence",
        "END",
    )
    begun = [{"role": "user", "content": "List a color"}, {"role": "assistant", "content": "{"}]
    assert json.loads("{" + post(asked, messages=begun).json()["content"][0]["text"]) == {"answer": "List a color"}


def test_thinking_is_shown_where_it_is_asked_for(ask: Any) -> None:
    asked = ask()
    kinds = [[block["type"] for block in post(asked, thinking=each).json()["content"]]
             for each in (None, {"type": "disabled"}, {"type": "adaptive"})]  # fmt: skip
    assert kinds == [["text"], ["text"], ["thinking", "text"]]
    names = [each["type"] for each in events(post(asked, stream=True, thinking={"type": "adaptive"}))]
    assert names[:2] == ["message_start", "ping"] and names[-2:] == ["message_delta", "message_stop"]


def test_json_fits_the_schema(ask: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    answer = post(ask(), output_format={"type": "json_schema", "schema": schema}).json()
    assert json.loads(answer["content"][0]["text"]) == {"n": 1}
