"""A usage pattern rewritten so that the log engine compiles it to machine code, where that provably changes no match.

`replaceRegexpOne` with a pattern that ClickHouse compiles reads a line in a fifth of the time of `extractGroups`, which
always runs RE2. It compiles since 2026 (`compile_regular_expressions`, on by default) what
https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/RegexpJIT/RegexpProgram.cpp reads: literals, sets,
greedy repetitions of those, unnamed groups, at most four optional ones. Without the compiler the result is the same.

Nothing changes because only an unambiguous pattern is taken: at every repetition and optional group, the next character
decides alone whether it goes on. Then a line can match in one way only, and a pattern that demands some of the optional
groups matches a part of the lines, each in that same way, unless it can end before a group that failed (`fixed`). The
other lines are left for the pattern itself.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from migration.config import signals

SEPARATOR = "\t"
THOUSANDS = ",_"
END = -1  # stands for the end of the pattern among the characters that can follow
MOST_OPTIONAL = 4  # groups that the engine's compiler takes; of more, those of LIKELY are demanded first
LIKELY = ("input", "output", "cost", "total")
NOT_ASCII = 0xE9  # stands for every character beyond ASCII: a set has all of them or none
_CHARACTERS = (*range(128), NOT_ASCII)
_REPEATED = r"(?P<repeated>[*+?]|\{(?P<least>\d+)(?:,\d*)?\})?"
_OPEN = re.compile(r"\((?:\?:|\?P?<(?P<name>\w+)>|(?!\?))")
_CLOSE = re.compile(r"\)(?P<optional>\??)(?![*+?]|\{\d)")
_SET = re.compile(r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDwWsS]|\.)" + _REPEATED, re.DOTALL)
_LITERAL = re.compile(r"(?:\\(?P<control>[nrtf])|\\(?P<mark>[!-/:-@\[-`{-~])|(?P<plain>[^\\]))" + _REPEATED, re.DOTALL)
_BEYOND_ASCII = re.compile(r"\[:|\\(?![dDwWsSnrtf]|\W)")  # [:alpha:], \p{L}, \xe9
_SPECIAL = frozenset(".\\/()[]{}?*+|^$-")
_BARE = frozenset(".\\()[?*+|^$")  # these stand for themselves only behind a backslash


@dataclass(frozen=True, eq=False)
class Piece:
    """A character or a set, as often as `text` says; `characters` are those that it takes."""

    text: str
    characters: frozenset[int]
    least: int
    repeated: bool


@dataclass(frozen=True, eq=False)
class Group:
    """`fixed`: inside an optional group after which the pattern may end. What is demanded there may also be skipped."""

    name: str
    items: Sequence[Item]
    optional: bool
    fixed: bool = False


Item = Piece | Group


@dataclass(frozen=True)
class Shortcut:
    """Arguments of `replaceRegexpOne`: what it leaves of a matching line begins with the captured texts, each followed
    by SEPARATOR."""

    pattern: str
    replacement: str
    bare: bool  # whether no text has anything that separates thousands
    always: frozenset[str]  # groups that every line has


def shortcut(pattern: str, names: Sequence[str]) -> Shortcut | None:
    """For a pattern that begins with ^ and has these named groups; None where only the pattern itself will do."""
    reader = PatternReader(signals.portable(pattern).removeprefix("(?-s)"))
    try:
        items, end = reader.whole()
        items, _ = _unambiguous(items, names, frozenset({END}))
    except ValueError:
        return None
    captured = [group for group in _groups(items) if group.name in names]
    if any(_can_hold(group, SEPARATOR) for group in captured):
        return None
    order = [group.name for group in captured]
    optional = [group for group in _groups(items) if group.optional]
    demanded = _demanded(optional)
    if len(optional) - len(demanded) > MOST_OPTIONAL:
        return None
    text = "".join(_text(item, order, demanded) for item in items)
    replacement = "".join(f"\\{order.index(name) + 1}{SEPARATOR}" for name in names)
    bare = not any(_can_hold(group, THOUSANDS) for group in captured)
    return Shortcut(f"^{text}{end}", replacement, bare, frozenset(_always(items, demanded)))


class PatternReader:
    """Reads a pattern as RE2 does. ValueError for what the engine's compiler does not know."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def whole(self) -> tuple[list[Item], str]:
        """What stands between ^ and the end, and the $ there if it has one."""
        if not self._take(re.compile(r"\^|\\A")):
            raise ValueError("not anchored")
        items = list(self._items())
        end = self._take(re.compile(r"\$"))
        if self.at < len(self.text):
            raise ValueError(f"not taken: {self.text[self.at :]}")
        return items, end[0] if end else ""

    def _items(self) -> Iterator[Item]:
        while item := self._group() or self._set() or self._literal():
            yield item

    def _take(self, token: re.Pattern[str]) -> re.Match[str] | None:
        match = token.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match

    def _group(self) -> Group | None:
        opened = self._take(_OPEN)
        if not opened:
            return None
        items = list(self._items())
        closed = self._take(_CLOSE)
        if not closed:
            raise ValueError("a group that is repeated, or has alternatives")
        return Group(opened["name"] or "", items, bool(closed["optional"]))

    def _set(self) -> Piece | None:
        match = self._take(_SET)
        if not match:
            return None
        text = r"[^\n]" if match["set"] == "." else match["set"]
        return _piece(text, _members(text), match)

    def _literal(self) -> Piece | None:
        if self.text[self.at : self.at + 1] in _BARE and not self.text.startswith("\\", self.at):
            return None
        match = self._take(_LITERAL)
        if not match:
            return None
        if match["control"]:
            return _piece(f"\\{match['control']}", _members(f"\\{match['control']}"), match)
        mark = match["mark"] or match["plain"]
        code = ord(mark) if mark.isascii() else NOT_ASCII
        return _piece(_literal(mark), frozenset({code}), match)


def _piece(text: str, characters: frozenset[int], match: re.Match[str]) -> Piece:
    repeated = match["repeated"] or ""
    least = {"": 1, "+": 1, "*": 0, "?": 0}.get(repeated) if not match["least"] else int(match["least"])
    return Piece(text + repeated, characters, least or 0, bool(repeated))


@lru_cache(maxsize=256)
def _members(text: str) -> frozenset[int]:
    """The characters of a set, by RE2 itself."""
    if not text.isascii() or _BEYOND_ASCII.search(text):
        raise ValueError(f"beyond ASCII: {text}")
    regex = signals.compiled(text)
    return frozenset(code for code in _CHARACTERS if regex.fullmatch(chr(code)))


def _unambiguous(
    items: Sequence[Item], names: Container[str], after: frozenset[int], fixed: bool = False
) -> tuple[list[Item], frozenset[int]]:
    """The items, and the characters with which they and what follows can begin.

    The texts of the groups in `names` are left without separators of thousands at their end. ValueError where
    the next character leaves a choice.
    """
    flat: list[Item] = []
    for item in reversed(items):
        follows = after
        if isinstance(item, Group):
            inner, begins = _unambiguous(item.items, names, after, fixed or (item.optional and END in after))
            item, choice, skipped = replace(item, items=inner, fixed=fixed), item.optional, item.optional
        else:
            begins, choice, skipped = item.characters, item.repeated, not item.least
        if choice and begins & after:
            raise ValueError("ambiguous")
        after = begins | after if skipped else begins
        flat[:0] = _bare(item, follows) if isinstance(item, Group) and item.name in names else [item]
    return flat, after


def _bare(group: Group, after: frozenset[int]) -> list[Item]:
    """`([\\d,_]+)` as `(\\d+)[,_]*`: of the lines that both match, the same number.

    Not at the end of a pattern, where the second would stop in the middle of 1,234.
    """
    piece = group.items[0] if len(group.items) == 1 and not group.optional else None
    separators = frozenset(map(ord, THOUSANDS))
    if not isinstance(piece, Piece) or NOT_ASCII in piece.characters or END in after or group.fixed:
        return [group]
    digits, rest = piece.characters - separators, piece.characters & separators
    if not (piece.text.endswith("]+") and digits and rest):
        return [group]
    return [replace(group, items=[_one_of(digits, "+")]), _one_of(rest, "*")]


def _one_of(characters: frozenset[int], repeated: str) -> Piece:
    marks = (chr(code) for code in sorted(characters))
    text = "".join(f"\\{mark}" if mark in "\\]^-[" else mark for mark in marks).replace("0123456789", r"\d")
    one = text if text in (r"\d", *THOUSANDS) else f"[{text}]"  # the query is part of a URL
    return Piece(one + repeated, characters, int(repeated == "+"), True)


def _literal(mark: str) -> str:
    return f"\\{mark}" if mark in _SPECIAL else mark


def _groups(items: Iterable[Item]) -> Iterator[Group]:
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from _groups(item.items)


def _always(items: Iterable[Item], demanded: Container[Group]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Group) and (not item.optional or item in demanded):
            yield item.name
            yield from _always(item.items, demanded)


def _can_hold(group: Group, characters: str) -> bool:
    """Whether the text of the group can have one of the characters."""
    return any(
        _can_hold(item, characters) if isinstance(item, Group) else not item.characters.isdisjoint(map(ord, characters))
        for item in group.items
    )


def _demanded(optional: Sequence[Group]) -> Sequence[Group]:
    """The optional groups that a line must have, so that no more are left than the engine's compiler takes."""
    surplus = max(0, len(optional) - MOST_OPTIONAL)
    return sorted((group for group in optional if not group.fixed), key=_unlikely)[:surplus]


def _unlikely(group: Group) -> int:
    names = [group.name, *(inner.name for inner in _groups(group.items))]
    return min((LIKELY.index(name) for name in names if name in LIKELY), default=len(LIKELY))


def _text(item: Item, captured: Container[str], demanded: Container[Group]) -> str:
    if isinstance(item, Piece):
        return item.text
    inner = "".join(_text(each, captured, demanded) for each in item.items)
    if item.name in captured:
        inner = f"({inner})"
    if not item.optional or item in demanded:
        return inner
    return f"{inner}?" if item.name in captured else f"(?:{inner})?"
