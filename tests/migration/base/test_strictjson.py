"""JSON is read as JavaScript and Deno read it, which is stricter than Python's reader."""

from __future__ import annotations

import json

import pytest

from migration.base import strictjson


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '"\\ud800"', '{"\\udc00": 1}', "\ud800", "[" * 100_000, "01", ""]
)
def test_what_deno_refuses(text: str) -> None:
    """Each ends as a ValueError: no other error reaches whoever reads a file or an answer."""
    with pytest.raises(ValueError):
        strictjson.loads(text)
    with pytest.raises(ValueError):
        strictjson.loads(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True]}, "\N{GRINNING FACE}", 10**30, []])
def test_the_rest_is_read(value: object) -> None:
    """Pairs of surrogates, long numbers and a byte order mark among it."""
    assert strictjson.loads(json.dumps(value)) == value
    assert strictjson.loads(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value
