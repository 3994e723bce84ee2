"""A value that must not be seen, and the last line of defence at the places where text leaves us."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[REDACTED]"
_MIN = 8
_SHORT = 4
_BEGINS = r"(?:{}|(?<=\\[nrtbf]))"  # also after a line's end as JSON writes it
_WEAK = 20  # from so many letters on, words are a passphrase
_ORDINARY = re.compile(r"[A-Z]?[a-z]+([-_. ][A-Z]?[a-z]+)*|[A-Z]+([-_. ][A-Z]+)*|\d{1,9}")
_known: dict[str, None] = {}
_words: dict[str, re.Pattern[str]] = {}
_typed: dict[str, re.Pattern[str]] = {}
_PATTERNS = (
    re.compile(r"sbp_(?:oauth_|v0_)?[a-f0-9]{40}"),
    re.compile(r"sb_secret_[A-Za-z0-9_-]{16,}"),
    re.compile(r"sk-or-v1-[A-Za-z0-9]{16,}"),
    # A JWT. It is looked for once a word, and without going back: `eyJeyJeyJ…` would take a time that grows squared.
    re.compile(
        r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*?eyJ[A-Za-z0-9_-]{8})[A-Za-z0-9_-]++"
        r"\.eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]{8,}+)+"
    ),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


def register(value: str) -> None:
    """Remember a value and its URL, JSON and base64 forms, so that `mask` finds it.

    An ordinary word (`generate`, `generate-artifact`) is masked only where it stands as a value, in quotes or after
    `=`: anywhere else its mask would make messages unreadable, and say which word it is.
    """
    if len(value) < _MIN or value in _known:
        return
    if len(value) < _WEAK and _ORDINARY.fullmatch(value):
        _words[value] = re.compile(rf"(?<=[\"'=]){re.escape(value)}(?=[\"'&\\\s]|\Z)")
        return
    raw = value.encode()
    forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
    forms |= {json.dumps(value, ensure_ascii=False)[1:-1]}
    for skipped in range(3):  # base64 of a text that holds the value: three alignments, whole characters only
        cut = base64.b64encode(b"\0" * skipped + raw).decode()
        forms.add(cut[-(-8 * skipped // 6) : 8 * (skipped + len(raw)) // 6])
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _MIN:
            _known[form] = None


def mask(text: str) -> str:
    """The text without any registered secret and without anything that looks like a key."""
    for form in sorted(_known, key=len, reverse=True):
        if form in text:
            text = text.replace(form, MASK)
    for word, pattern in _words.items():
        if word in text:
            text = pattern.sub(MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def cropped(text: str, most: int) -> str:
    """Masked, then cut to so many characters: a secret of which only the beginning is left would not be recognised."""
    whole = mask(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def typed(value: str) -> None:
    """Remember what is typed into a page as a secret, also a short one and an ordinary word: `mask_typed` finds it."""
    for form in {value, json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value)} - {""}:
        if len(form) < _SHORT:  # nothing but a whole value, in quotes or after `=`
            around = r"(?<=[\"'=]){}(?=[\"'&\\\s]|\Z)"
        elif form.isdigit():  # no number of JSON
            around = _BEGINS.format(r"(?<![A-Za-z0-9.:,\[-])") + "{}(?![A-Za-z0-9.])"
        else:
            around = _BEGINS.format("(?<![A-Za-z0-9])") + "{}(?![A-Za-z0-9])"
        _typed[form] = re.compile(around.format(re.escape(form)))


def mask_typed(text: str) -> str:
    """As `mask`, and without what was typed as a secret: for what a browser's run keeps and says."""
    text = mask(text)
    for form, pattern in _typed.items():
        if form in text:
            text = pattern.sub(MASK, text)
    return text


def found(text: str) -> list[str]:
    """What `mask_typed` would replace in the text, the longest first."""
    known = [form for form in _known if form in text]
    patterns = [*_PATTERNS, *(pattern for form, pattern in _typed.items() if form in text)]
    looks = [match.group() for pattern in patterns for match in pattern.finditer(text)]
    return sorted({*known, *looks}, key=len, reverse=True)


def spare(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that needs none of our secrets: without every variable that holds a known one."""
    ours = {name for name, value in environment.items() if value in _words or any(form in value for form in _known)}
    return {name: value for name, value in environment.items() if name not in ours}


class Secret:
    """Shows a mask everywhere; the value leaves by `reveal` alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        register(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Secret, (MASK,))
