"""What a written plan shows as a request or an answer is text from anywhere."""

from __future__ import annotations

import pytest

from migration.setup.adoption import requests


@pytest.mark.parametrize("text", ["[" * 300_000, '{"a":' * 5000, "{a: &x [1], b: *x}", "{a: *none}", "{{{"])
def test_hostile_answer_is_none(text: str) -> None:
    assert requests.answer(text) is None


def test_near_json_is_read() -> None:
    assert requests.answer("answers {ok: true}") == {"ok": True}
