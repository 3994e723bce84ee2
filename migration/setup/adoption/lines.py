"""From a log line to a pattern: routes, and lines that hold tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from migration.setup.adoption import kinds
from migration.setup.adoption.code import LogCall

_SPECIAL = re.compile(r"([.^$*+?{}\[\]\\|()])")
_ROUTE = re.compile(
    r"(?i)\b(rout\w+|using|calling|via|through|switch\w+|provider|model|powered|sending to|request to)\b"
)
_DECORATION = re.compile(r"^[^\w\s\"'(<\[$/-]+\s*")  # emoji and bullets at the start
_ID = re.compile(r"^\s*\[(?:[^\]]*)\]\s*")
_HOLE = re.compile(r"\$\{(\w*)\}")
_WORDS: Mapping[str, re.Pattern[str]] = {
    "cost": re.compile(r"(?i)cost|price|usd"),
    "cached": re.compile(r"(?i)cache"),
    "reasoning": re.compile(r"(?i)reasoning|thought"),
    "total": re.compile(r"(?i)total"),
    "input": re.compile(r"(?i)input|prompt"),
    "output": re.compile(r"(?i)output|completion|candidates"),
    "model": re.compile(r"(?i)^model(?:_?name|_?id)?$"),
}
_GROUPS = ("input", "output", "total", "cost")
_COUNT, _MONEY, _MODEL = r"[\d,_]+", r"[\d.,]+", r"[\w./:@-]+?"


def escaped(text: str) -> str:
    """The text as a pattern that matches it and reads like it."""
    return _SPECIAL.sub(r"\\\1", text)


def stripped(text: str) -> str:
    """A log line without its request id and the emoji in front: patterns match words."""
    return _DECORATION.sub("", _ID.sub("", text.strip()), count=1)


def pattern(text: str) -> str:
    """A pattern for a route: its longest piece of constant text, without a number at its end."""
    pieces = [piece.strip(" :=,-–—([") for piece in _HOLE.split(_ID.sub("", text))[::2]]
    longest = max((stripped(piece) for piece in pieces), key=len)
    return escaped(re.sub(r"(?<=[_\W])\d+$", "", longest))


def distinct(text: str, others: Iterable[str]) -> str:
    """A pattern for a route that matches none of the other texts: its longest piece, else all of its pieces in their
    order; empty where both match."""
    pieces = [escaped(piece) for piece in _HOLE.split(stripped(text))[::2] if piece.strip()]
    for regex in (pattern(text), ".*".join(pieces)):
        if regex and not any(re.search(regex, other) for other in others):
            return regex
    return ""


def routes(calls: Sequence[LogCall]) -> list[LogCall]:
    """Calls whose text looks like the choice of a route or names a provider, the likeliest first; one that holds tokens
    comes last."""

    def words(call: LogCall) -> int:
        return len(_ROUTE.findall(call.text)) + len(kinds.in_text(call.text))

    candidates = [
        call for call in calls if call.level in ("log", "info") and words(call) and len(pattern(call.text)) > 7
    ]
    return sorted(candidates, key=lambda call: (usage(call) is not None, -words(call)))


def route_words(text: str) -> list[str]:
    """The words that make a text look like the choice of a route."""
    return [str(each) for each in _ROUTE.findall(text)]


def group(name: str) -> str:
    """The group of `usage` that a field of this name fills; empty for none."""
    return next((each for each, words in _WORDS.items() if words.search(name)), "")


def usage(call: LogCall) -> tuple[str, LogCall] | None:
    """A pattern for a line that holds tokens, with the call."""
    label = call.text
    keys = [(name, value) for part in call.arguments for name, value in part.keys]
    fields = [(name, group(name), value) for name, value in keys]
    if len({each for _, each, _ in fields} & {"input", "output", "total"}) >= 2:
        return of_object(label, fields), call
    holes = [group(name) for name in _HOLE.findall(label)]
    return (of_text(label), call) if len(set(holes) & {"input", "output", "total"}) >= 2 else None


def _head(label: str) -> str:
    """The beginning of the line: its request id, if it has one, and the label."""
    match = _ID.match(label)
    start, rest = (r"\[[^\]]+\] ", label[match.end() :]) if match else ("", label.lstrip())
    return f"^{start}" + ".*".join(escaped(piece) for piece in _HOLE.split(rest)[::2])


def of_object(label: str, fields: Sequence[tuple[str, str, str]]) -> str:
    """For a line such as `Token usage: { input: 1, output: 2 }`, as Deno prints an object. Each count may be absent.

    `fields`: name, group and value as written; text that holds dollars has its sign and its quotes outside the group.
    """
    fields = [each for each in fields if each[1] != "model"]
    names = {each: name for name, each, _ in fields if each}
    texts = {each: value for _, each, value in fields}
    spare = {"cached": "cached", "reasoning": "reasoning"}
    order = [
        *(each for each in ("input", "output", "total") if each in names),
        *spare,
        *(["cost"] if "cost" in names else []),
    ]
    parts = [_field(names.get(each, spare.get(each, "")), each, texts.get(each, "")) for each in order]
    absent = [f"(?:{each}: (?P<{each}>{_COUNT})\\s*)?" for each in _GROUPS if each not in names]
    return f"{_head(label).rstrip()} \\{{\\s*{''.join(parts)}{''.join(absent)}\\}}"


def _field(name: str, kind: str, value: str) -> str:
    if kind != "cost":
        return f"(?:{name}: (?P<{kind}>{_COUNT})\\s*)?"
    if re.match(r"""["'`]""", value):
        dollar = r"\$" if "$" in re.sub(r"\$\{", "", value) else ""
        return f"(?:{name}: [\"']{dollar}(?P<cost>{_MONEY})[\"'],?\\s*)?"
    return f"(?:{name}: (?P<cost>{_MONEY})\\s*)?"


def _numbers(text: str) -> str:
    """The text as a pattern in which any other number may stand for each."""
    return re.sub(r"\d+(?:\\?[.,]\d+)*", lambda _: r"[\d.,]+", escaped(text))


def of_text(label: str) -> str:
    """For a line of text with numbers in it; `${name}` says what stands where."""
    seen: set[str] = set()
    parts = _HOLE.split(_ID.sub("", label))
    start = r"^\[[^\]]+\] " if _ID.match(label) else "^"
    regex = start + _numbers(parts[0])
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        kind = group(name)
        fresh = kind in _GROUPS or kind in ("cached", "reasoning") or (kind == "model" and text)
        body = {"cost": _MONEY, "model": _MODEL}.get(kind, _COUNT)
        regex += f"(?P<{kind}>{body})" if fresh and kind not in seen else ".*?"
        regex += _numbers(text)
        seen.add(kind)
    return regex + "".join(f"(?:\\b{each}: (?P<{each}>{_COUNT}))?" for each in _GROUPS if each not in seen)
