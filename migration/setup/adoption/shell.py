"""What shell variables and loops of a plan hold: `FUNCS="a b"`, `for f in a b; do`, `foreach ($f in "a", "b")`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from migration.setup.adoption.document import Block

_FOR = re.compile(r"(?:^|[;&]\s*)for\s+(?P<name>\w+)\s+in\s+(?P<words>[^;\n]+)")
_EACH = re.compile(r"(?i)foreach\s*\(\s*\$(?P<name>\w+)\s+in\s+(?P<words>[^)]*\)?)\s*\)")
_LIST = re.compile(
    r"(?:^|\s)(?:export\s+|local\s+|declare\s+(?:-\w+\s+)*)?\$?(?P<name>[A-Za-z_]\w*)\s*=\s*"
    r"(?P<words>@?\([^)]*\)|(?:\"[^\"\n]*\"|'[^'\n]*')(?:\s*,\s*(?:\"[^\"\n]*\"|'[^'\n]*'))*|[^\s;&|]+)"
)
_HOLE = re.compile(r"^[\"']?\$\{?(?P<name>\w+)(?:\[[@*]\])?\}?[\"']?$")


def variables(blocks: Iterable[Block]) -> dict[str, list[str]]:
    """The words that each variable of the fences holds, in all; a later value adds to an earlier one."""
    found: dict[str, list[str]] = {}
    for block in blocks:
        for line in block.lines:
            for pattern in (_LIST, _FOR, _EACH):
                for match in pattern.finditer(line.text):
                    held = [word for each in _words(match["words"]) for word in filled(each, found)]
                    found[match["name"]] = list(dict.fromkeys([*found.get(match["name"], ()), *held]))
    return found


def filled(word: str, known: Mapping[str, list[str]]) -> list[str]:
    """A word, or the words of the variable that it names; none where nothing is known of it."""
    match = _HOLE.match(word)
    return list(known.get(match["name"], ())) if match else [word]


def _words(text: str) -> list[str]:
    return [word for word in (each.strip("\"'") for each in re.split(r"[\s,]+", text.strip("@() \"'"))) if word]
