"""Text that was encoded twice: UTF-8 read as Windows-1252 (or Latin-1) and written as UTF-8 again, as `âœ…` for `✅`.

UTF-8 is redundant enough to tell: a run of such characters that decodes as UTF-8 was UTF-8; one that does not stays.
So no library is needed; measured on a plan that arrived so, where one character had lost a byte for good.
"""

from __future__ import annotations

import re

# Windows-1252 leaves five bytes without a character; programs that read it put the byte's own number there.
# https://encoding.spec.whatwg.org/windows-1252.html
_BYTES = {(bytes([n]).decode("cp1252", "ignore") or chr(n)): n for n in range(0x80, 0x100)}
_RUN = re.compile("[" + "".join(map(re.escape, _BYTES)) + "]{2,}")
_TIMES = 3  # how often a text may have been encoded again


def repaired(text: str) -> str:
    """The text with every run of doubly encoded characters decoded; line by line the same lines."""
    for _ in range(_TIMES):
        before, text = text, _RUN.sub(_decoded, text)
        if text == before:
            break
    return text


def _decoded(match: re.Match[str]) -> str:
    """The longest pieces that are UTF-8; what lies between them stays."""
    run = match[0]
    data = bytes(_BYTES[each] for each in run)
    parts, place = [], 0
    while place < len(run):
        length = next((n for n in (4, 3, 2) if _character(data[place : place + n], n)), 0)
        parts.append(data[place : place + length].decode() if length else run[place])
        place += length or 1
    return "".join(parts)


def _character(data: bytes, length: int) -> bool:
    """Whether these bytes are one character in UTF-8."""
    try:
        return len(data) == length and len(data.decode()) == 1
    except UnicodeDecodeError:
        return False
