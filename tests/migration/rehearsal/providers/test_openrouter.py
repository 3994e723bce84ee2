from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.migration.rehearsal.providers.conftest import MODEL


def test_a_completion_has_the_hosted_shape(ask: Any) -> None:
    """Success carries the artifact, the token counts and the cost that those tokens have at the configured price."""
    answer = ask().complete()
    body = answer.json()
    usage = body["usage"]
    assert answer.status_code == 200
    assert body["choices"][0]["finish_reason"] == "stop"
    assert '<artifact type="application/vnd.ant.react"' in body["choices"][0]["message"]["content"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    expected = usage["prompt_tokens"] * 0.60 + usage["completion_tokens"] * 2.50
    assert usage["cost"] == pytest.approx(expected / 1e6)


def test_a_repeated_prefix_is_billed_as_cached(ask: Any) -> None:
    """The second request with the same system instruction pays the cached price for it."""
    asked = ask()
    asked.complete("one")
    usage = asked.complete("two").json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    cost = (usage["prompt_tokens"] - cached) * 0.60 + cached * 0.15 + usage["completion_tokens"] * 2.50
    assert cached > 0
    assert usage["cost"] == pytest.approx(cost / 1e6)


@pytest.mark.parametrize("status", [400, 408, 413, 422, 429, 500, 502, 503, 524, 529])
def test_a_refusal_names_its_status(ask: Any, status: int) -> None:
    answer = ask({"openrouter": {"sequence": [status]}}).complete()
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == status
    assert "retry-after" not in answer.headers


def test_retry_after_is_sent_where_it_is_asked_for(ask: Any) -> None:
    """429 and 503 carry Retry-After when the program has one; rate limit headers only with OpenRouter's own 429."""
    asked = ask({"openrouter": {"sequence": [429, 503, 500, "429-own"], "retry_after": 2}})
    upstream, busy, broken, own = (asked.complete() for _ in range(4))
    assert (upstream.headers["retry-after"], busy.headers["retry-after"]) == ("2", "2")
    assert "retry-after" not in broken.headers
    assert upstream.json()["error"]["metadata"]["provider_name"]
    assert "x-ratelimit-limit" not in upstream.headers
    assert own.headers["x-ratelimit-remaining"] == "0"


def test_errors_come_inside_200(ask: Any) -> None:
    """The three forms: in the choice, at the top without choices, and no choice at all; none of them is billed."""
    asked = ask({"openrouter": {"sequence": ["inside-a", "inside-b", "inside-c"]}})
    answers = [asked.complete() for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 200]
    a, b, c = (each.json() for each in answers)
    assert (a["choices"][0]["finish_reason"], a["choices"][0]["error"]["code"]) == ("error", 502)
    assert "choices" not in b and b["error"]["code"] == 502
    assert c["choices"] == []
    assert asked.money("key").json()["data"]["usage"] == 0


def test_thinking_can_use_up_the_budget(ask: Any) -> None:
    """`length` without content is billed, by the program and by a max_tokens that thinking alone exceeds."""
    asked = ask({"openrouter": {"sequence": ["length"]}})
    by_program = asked.complete(max_tokens=500).json()
    by_budget = asked.complete(max_tokens=10).json()
    for body, spent in ((by_program, 500), (by_budget, 10)):
        choice = body["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
        assert body["usage"]["completion_tokens"] == body["usage"]["completion_tokens_details"]["reasoning_tokens"]
        assert body["usage"]["completion_tokens"] == spent
    assert asked.money("key").json()["data"]["usage"] > 0


def test_a_long_artifact_is_cut(ask: Any) -> None:
    body = ask().complete(max_tokens=300).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 300


def test_a_body_can_be_malformed_and_a_cost_missing(ask: Any) -> None:
    asked = ask({"openrouter": {"sequence": ["malformed", "null-cost"]}})
    with pytest.raises(ValueError, match=r"."):
        asked.complete().json()
    assert asked.complete().json()["usage"]["cost"] is None


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_a_stream_carries_comments_and_usage_last(ask: Any) -> None:
    asked = ask()
    answer = asked.complete(stream=True)
    *chunks, usage, done = events(answer.text)
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert ": OPENROUTER PROCESSING" in answer.text
    assert text == asked.complete().json()["choices"][0]["message"]["content"]
    assert (usage["choices"], done) == ([], "[DONE]")
    assert usage["usage"]["cost"] > 0


def test_a_stream_can_break_in_the_middle(ask: Any) -> None:
    answer = ask({"openrouter": {"sequence": ["inside-a"]}}).complete(stream=True)
    *_, last = events(answer.text)
    assert answer.status_code == 200
    assert (last["error"]["code"], last["choices"][0]["finish_reason"]) == (502, "error")


def test_a_wrong_key_is_nobodys(ask: Any) -> None:
    """A key that does not live is 401 `User not found.`, none at all is told apart, a management key is refused."""
    asked = ask()
    wrong = asked.complete(key="sk-or-v1-" + "0" * 64)
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (401, "User not found.")
    none = asked.client.post("/_openrouter/api/v1/chat/completions", json={})
    assert (none.status_code, none.json()["error"]["message"]) == (401, "Missing Authentication header")
    assert asked.complete(key=asked.identity.openrouter_management_key).status_code == 403
    refused = asked.money("keys")
    assert (refused.status_code, "Only management keys" in refused.text) == (403, True)


@pytest.mark.parametrize("terms", [{"dead_key": True}, {"key": {"disabled": True}}])
def test_a_dead_or_disabled_key_is_401(ask: Any, terms: dict[str, Any]) -> None:
    asked = ask({"openrouter": terms})
    assert asked.complete().status_code == asked.money("key").status_code == 401


def test_an_expired_key_is_401(ask: Any) -> None:
    asked = ask({"openrouter": {"key": {"expires_at": "2026-11-21T00:00:00+00:00"}}})
    assert asked.complete().status_code == 200
    asked.pass_days(1)
    assert asked.complete().status_code == 401


def test_credit_runs_out(ask: Any) -> None:
    """402 names what can be afforded while something is left, and asks for credit when nothing is."""
    asked = ask({"openrouter": {"credit": 0.001}})
    short = asked.complete(max_tokens=16_000)
    assert (short.status_code, "can only afford 400" in short.text) == (402, True)
    assert asked.complete(max_tokens=400).status_code == 200
    asked.providers.apply({"openrouter": {"credit": 0}})
    empty = asked.complete(max_tokens=1)
    assert (empty.status_code, "Insufficient credits" in empty.text) == (402, True)


def test_a_keys_own_limit_is_403_until_it_resets(ask: Any) -> None:
    asked = ask({"openrouter": {"key": {"limit": 0.0001, "limit_reset": "daily"}}})
    assert asked.complete().status_code == 200
    refused = asked.complete()
    assert (refused.status_code, "Key limit exceeded" in refused.text) == (403, True)
    assert asked.money("key").json()["data"]["limit_remaining"] == 0
    asked.pass_days(1)
    assert asked.complete().status_code == 200


def test_every_cent_is_counted_once(ask: Any) -> None:
    """`/key`, `/credits` and `/activity` all add up to what the answers said they cost."""
    asked = ask()
    usages = [asked.complete(f"Create a {kind}").json()["usage"] for kind in ("counter", "todo list", "timer")]
    cost = sum(Decimal(str(each["cost"])) for each in usages)
    key = asked.money("key").json()["data"]
    assert key["usage"] == key["usage_daily"] == pytest.approx(float(cost))
    assert asked.managed("credits").json()["data"] == {
        "total_credits": 100.0,
        "total_usage": pytest.approx(float(cost)),
    }
    assert asked.managed("activity").json()["data"] == []
    asked.pass_days(1)
    (row,) = asked.managed("activity").json()["data"]
    assert (row["date"], row["requests"]) == ("2026-11-20 00:00:00", 3)
    assert row["usage"] == pytest.approx(float(cost))
    assert row["completion_tokens"] == sum(each["completion_tokens"] for each in usages)
    assert asked.money("key").json()["data"]["usage_daily"] == 0
    assert asked.managed("activity?date=2026-10-01").status_code == 400


def test_keys_are_made_changed_and_deleted(ask: Any) -> None:
    """A new key works at once and counts for itself; disabling, limiting and deleting take effect at once."""
    asked = ask()
    made = asked.managed("keys", method="POST", json={"name": "ci", "limit": 5})
    key, digest = made.json()["key"], made.json()["data"]["hash"]
    assert (made.status_code, len(digest)) == (201, 64)
    cost = asked.complete(key=key).json()["usage"]["cost"]
    assert asked.money("key", key=key).json()["data"]["usage"] == pytest.approx(cost)
    assert asked.money("key").json()["data"]["usage"] == 0
    assert asked.money("key", key=key).json()["data"].keys().isdisjoint({"hash", "name", "disabled"})
    listed = asked.managed("keys").json()["data"]
    assert [each["name"] for each in listed] == ["ci", "sandbox"]
    asked.managed(f"keys/{digest}", method="PATCH", json={"disabled": True})
    assert asked.complete(key=key).status_code == 401
    assert digest not in asked.managed("keys").text
    assert digest in asked.managed("keys?include_disabled=true").text
    assert asked.managed(f"keys/{digest}", method="PATCH", json={"limit_reset": "hourly"}).status_code == 400
    assert asked.managed(f"keys/{digest}", method="DELETE").status_code == 200
    assert asked.managed(f"keys/{digest}").status_code == 404


def test_a_generation_is_found_a_moment_later(ask: Any) -> None:
    asked = ask()
    body = asked.complete().json()
    assert asked.money(f"generation?id={body['id']}").status_code == 404
    told = asked.money(f"generation?id={body['id']}").json()["data"]
    assert told["total_cost"] == body["usage"]["cost"]
    assert told["native_tokens_reasoning"] == body["usage"]["completion_tokens_details"]["reasoning_tokens"]


def test_the_catalogue_lists_price_expiry_and_servers(ask: Any) -> None:
    """Prices are strings for one token; an unlisted, expired or unserved model answers no completion."""
    name, last = MODEL, f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    asked = ask({"openrouter": {"models": {name: {"expiration_date": last}}}})
    (entry,) = [each for each in asked.money("models").json()["data"] if each["id"] == name]
    wanted = {"prompt": "0.0000006", "completion": "0.0000025", "input_cache_read": "0.00000015"}
    assert wanted.items() <= entry["pricing"].items()
    assert entry["expiration_date"] == last
    assert len(asked.money(f"models/{name}/endpoints").json()["data"]["endpoints"]) == 3
    for state in ({"expiration_date": "2026-11-01"}, {"endpoints": 0}, {"listed": False}):
        asked.providers.apply({"openrouter": {"models": {name: state}}})
        assert asked.complete().status_code == 404
    assert asked.money(f"models/{name}/endpoints").status_code == 404


def test_the_account_outlives_a_restart(ask: Any) -> None:
    asked = ask()
    cost = asked.complete().json()["usage"]["cost"]
    assert ask().money("key").json()["data"]["usage"] == pytest.approx(cost)
    assert (asked.sandbox.folder / "providers.json").stat().st_mode & 0o777 == 0o600


def test_what_was_used_is_booked_once_the_delay_is_over(ask: Any) -> None:
    """On the key, in the credit and in the activity alike, and a restart forgets none of it."""
    asked = ask({"openrouter": {"booking_delay": 60, "activity_today": True}})
    asked.now = datetime.now(UTC)  # by which the next one starts
    cost = asked.complete().json()["usage"]["cost"]
    assert (_spent(asked), asked.managed("activity").json()["data"]) == (0, [])
    again = ask({"openrouter": {"booking_delay": 60, "activity_today": True}})
    again.now = asked.now + timedelta(seconds=59)
    assert _spent(again) == 0
    again.now += timedelta(seconds=1)
    assert _spent(again) == pytest.approx(cost)
    assert again.managed("credits").json()["data"]["total_usage"] == pytest.approx(cost)
    assert [row["requests"] for row in again.managed("activity").json()["data"]] == [1]


def _spent(asked: Any) -> float:
    return float(asked.money("key").json()["data"]["usage"])


def test_code_that_ends_in_the_middle_is_answered_and_billed_like_any_other(ask: Any) -> None:
    whole, torn = (
        ask({"openrouter": {"sequence": [outcome]}}).complete().json()["choices"][0] for outcome in ("ok", "torn")
    )
    assert torn["finish_reason"] == "stop"
    first, last = torn["message"]["content"].rstrip().rsplit("\n", 1)
    assert last == "</artifact>" and whole["message"]["content"].startswith(first)


def test_a_tool_is_called_and_its_result_answered(ask: Any) -> None:
    """Whole and as a stream, with a finish of its own; the second turn is text that holds the result."""
    asked = ask()
    about = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    tools = [{"type": "function", "function": about}]
    made = asked.complete("What is the weather in Paris?", tools=tools).json()["choices"][0]
    call = made["message"]["tool_calls"][0]
    assert (made["finish_reason"], made["message"]["content"]) == ("tool_calls", None)
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("get_weather", {"city": "Paris"})
    streamed = asked.complete("What is the weather in Paris?", tools=tools, stream=True).text
    assert '"tool_calls": [{"id": "call_' in streamed and '"finish_reason": "tool_calls"' in streamed
    turns = [{"role": "user", "content": "What is the weather?"}, made["message"],
             {"role": "tool", "tool_call_id": call["id"], "content": "18 degrees"}]  # fmt: skip
    after = asked.complete(tools=tools, messages=turns).json()["choices"][0]
    assert after["finish_reason"] == "stop" and "18 degrees" in after["message"]["content"]
