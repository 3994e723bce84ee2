from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import pytest

TEMPLATE = '<artifact type="application/vnd.ant.react" title="…">…</artifact>'
ARTIFACT = {"systemInstruction": {"parts": [{"text": TEMPLATE}]}}


def test_text_comes_with_its_usage(ask: Any) -> None:
    body = ask().gemini("gemini-2.5-pro", "Create a counter", body=ARTIFACT).json()
    usage = body["usageMetadata"]
    assert body["candidates"][0]["finishReason"] == "STOP"
    assert "<artifact" in body["candidates"][0]["content"]["parts"][0]["text"]
    parts = usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    assert usage["totalTokenCount"] == parts


def test_an_overload_outlasts_a_retry(ask: Any) -> None:
    """An even program with a burst of two: half of the calls to Pro fail although each is tried twice; others never."""
    asked = ask({"gemini": {"pro": {"error_rate": {"503": 0.5}, "even": True, "burst": 2, "seed": 7}}})
    failed = 0
    for number in range(20):
        statuses = [asked.gemini("gemini-2.5-pro", f"app {number}").status_code]
        if statuses == [503]:
            statuses.append(asked.gemini("gemini-2.5-pro", f"app {number}").status_code)
        failed += statuses == [503, 503]
    assert failed == 10
    assert {asked.gemini(f"gemini-3.1-flash{kind}", "Hi").status_code for kind in ("", "-image") for _ in range(5)} == {
        200
    }


def test_a_picture_is_a_real_png(ask: Any) -> None:
    """The bytes hold the header and the pixels that a decoder expects; text comes first unless it is switched off."""
    asked = ask()
    text, picture = asked.gemini("gemini-3.1-flash-image", "a fox").json()["candidates"][0]["content"]["parts"]
    data = base64.b64decode(picture["inlineData"]["data"])
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(zlib.decompress(data[start : start + length])) == height * (1 + 3 * width)
    assert text == {"text": "Here is your image: "}
    only = {"generationConfig": {"responseModalities": ["IMAGE"]}}
    parts = asked.gemini("gemini-3.1-flash-image", "a fox", body=only).json()["candidates"][0]["content"]["parts"]
    assert [list(part) for part in parts] == [["inlineData"]]


def test_an_image_can_be_refused_inside_200(ask: Any) -> None:
    body = ask().gemini("gemini-3.1-flash-image", " ").json()
    assert (body["candidates"][0]["finishReason"], body["candidates"][0]["content"]) == ("NO_IMAGE", {"role": "model"})


def test_exactly_one_right_credential(ask: Any) -> None:
    asked = ask()
    right = asked.identity.google_keys[1]
    no_key = asked.gemini("gemini-2.5-pro", "Hi", headers={})
    wrong = asked.gemini("gemini-2.5-pro", "Hi", headers={"x-goog-api-key": "AIzaNobody"})
    both = asked.gemini("gemini-2.5-pro", "Hi", params={"key": right})
    bearer = asked.gemini("gemini-2.5-pro", "Hi", headers={"Authorization": f"Bearer {right}"})
    by_query = asked.gemini("gemini-2.5-pro", "Hi", headers={}, params={"key": right})
    statuses = [each.status_code for each in (no_key, wrong, both, bearer, by_query)]
    assert statuses == [403, 400, 400, 401, 200]
    assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(("status", "name"), [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (500, "INTERNAL")])
def test_an_error_has_googles_form(ask: Any, status: int, name: str) -> None:
    """The numeric code and its name; a 429 says how long to wait in the body, never in a header."""
    answer = ask({"gemini": {"flash": {"sequence": [status]}}}).gemini("gemini-3.6-flash", "Hi")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
    assert "retry-after" not in answer.headers
    assert ("details" in error) == (status == 429)


def test_thoughts_can_use_up_the_budget(ask: Any) -> None:
    body = ask({"gemini": {"pro": {"sequence": ["length"]}}}).gemini("gemini-2.5-pro", "Hi").json()
    candidate = body["candidates"][0]
    assert (candidate["finishReason"], candidate["content"]) == ("MAX_TOKENS", {"role": "model"})


def test_an_unknown_method_is_not_found(ask: Any) -> None:
    """Any model answers; what the platform does with one is limited."""
    asked = ask()
    assert asked.gemini("gemma-9", "Hi").status_code == 200
    assert asked.gemini("gemini-9", "Hi", "predictLongRunning").status_code == 404


def test_a_stream_is_events_or_one_array(ask: Any) -> None:
    """With alt=sse events without an end mark, without it one JSON array; both hold the same text."""
    asked = ask()
    whole = asked.gemini("gemini-3.6-flash", "Hello there").json()["candidates"][0]["content"]["parts"][0]["text"]
    events = asked.gemini("gemini-3.6-flash", "Hello there", "streamGenerateContent", params={"alt": "sse"})
    chunks = [json.loads(line.removeprefix("data: ")) for line in events.text.splitlines() if line]
    array = asked.gemini("gemini-3.6-flash", "Hello there", "streamGenerateContent").json()
    for pieces in (chunks, array):
        texts = [piece["candidates"][0]["content"]["parts"][0]["text"] for piece in pieces]
        assert "".join(texts) == whole
        assert "finishReason" in pieces[-1]["candidates"][0]
