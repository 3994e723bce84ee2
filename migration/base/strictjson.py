"""JSON from outside, read as strictly as JavaScript and Deno read it."""

from __future__ import annotations

from typing import Any

import msgspec

_MARK = b"\xef\xbb\xbf"  # readers of UTF-8 pass over a byte order mark


def loads(text: str | bytes) -> Any:
    """The value. ValueError for anything else: NaN, half of a surrogate pair, more depth than Python can hold."""
    body = text.encode() if isinstance(text, str) else text
    try:
        return msgspec.json.decode(body.removeprefix(_MARK))
    except RecursionError:
        raise ValueError("nested too deeply") from None
