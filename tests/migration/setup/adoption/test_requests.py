"""What a written plan shows as a request or an answer is text from anywhere."""

from __future__ import annotations

import pytest

from migration.setup.adoption import requests


@pytest.mark.parametrize("text", ["[" * 300_000, '{"a":' * 5000, "{a: &x [1], b: *x}", "{a: *none}", "{{{"])
def test_hostile_answer_is_none(text: str) -> None:
    assert requests.answer(text) is None


def test_near_json_is_read() -> None:
    assert requests.answer("answers {ok: true}") == {"ok": True}


SCRIPT = """
const { data } = await supabase.functions.invoke<Answer>('tell/short', {
  body: { text: "Hi", options: { lang: 'en', n: 3 }, }, // as the page does
});
const answer = await fetch(`${BASE}/functions/v1/list?limit=2`, {
  headers: { Authorization: `Bearer ${ANON_KEY}` },
});
await fetch(url + "/functions/v1/tell", { method: "POST", body: JSON.stringify({ texts: ["a", name] }) });
await fetch("https://elsewhere.dev/v1");
supabase.functions.invoke("bare");
"""


def test_requests_of_scripts() -> None:
    """`invoke` and `fetch`, with what of their options is data, in their order and with their lines."""
    found = [(each.slug, each.method, each.path, each.body, each.auth, line)
             for each, line in requests.in_code(SCRIPT)]  # fmt: skip
    assert found == [
        ("tell", "POST", "/short", {"text": "Hi", "options": {"lang": "en", "n": 3}}, "user", 1),
        ("list", "GET", "", None, "anon", 4),
        ("bare", "POST", "", None, "user", 9),
    ]
    assert requests.in_code(SCRIPT)[1][0].query == {"limit": "2"}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("http POST https://x.dev/functions/v1/tell text=hi n:=3", ("POST", {"text": "hi", "n": 3}, {})),
        ("https x.dev/functions/v1/tell page==2 Authorization:'Bearer x'", ("GET", None, {"page": "2"})),
        ("http --json PUT :8000/functions/v1/tell a=1 | jq .", ("PUT", {"a": "1"}, {})),
    ],
)
def test_requests_of_httpie(command: str, found: object) -> None:
    made = requests.parse(command)
    assert made is not None and (made.method, made.body, made.query) == found


def test_other_commands_send_nothing() -> None:
    assert [requests.parse(text) for text in ("http", "http --version", "https elsewhere.dev", "git push")] == [
        None
    ] * 4
