"""Repairs JSX as the model would: closes the elements, strings and brackets that were left open."""

from __future__ import annotations

import re

OPEN = {"{": "}", "(": ")", "[": "]"}
VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta"})
TAG = re.compile(r"<(/?)([A-Za-z][\w.]*)?((?:\"[^\"]*\"|'[^']*'|\{(?:[^{}]|\{[^{}]*\})*\}|[^<>{}\"'])*?)(/?)>")
FOR = re.compile(r"\bfor\s*(?:await\s*)?$")
BEFORE_TAG = re.compile(r"(?:^|[(,=?:&|>{}\[;!]|\breturn|\bdefault)\s*$")
TAIL = re.compile(r"[\s;)}\]]*$")
SKIP = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`", re.S)


class _Walk:
    """One pass over the source with a stack of what is open: a bracket, or an element as `<name`."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[str] = []
        self.out: list[str] = []

    def run(self) -> str:
        at = 0
        while at < len(self.source):
            at = self._text(at) if self._inside_element() else self._code(at)
        return "".join(self.out)

    def _inside_element(self) -> bool:
        return bool(self.stack) and self.stack[-1].startswith("<")

    def _code(self, at: int) -> int:
        quiet = SKIP.match(self.source, at)
        if quiet:
            return self._keep(at, quiet.end())
        letter = self.source[at]
        if letter == "<" and (self._ends_element(at) or BEFORE_TAG.search("".join(self.out))):
            return self._tag(at)
        if letter == ";":
            self._end_statement()
        if letter in OPEN:
            self.stack.append("for(" if letter == "(" and FOR.search("".join(self.out)) else letter)
        elif letter in OPEN.values():
            return self._close(at, letter)
        return self._keep(at, at + 1)

    def _ends_element(self, at: int) -> bool:
        tag = TAG.match(self.source, at)
        return tag is not None and tag[1] == "/" and f"<{tag[2] or ''}" in self.stack

    def _end_statement(self) -> None:
        while self.stack and self.stack[-1] in ("(", "["):
            self.out.append(_closer(self.stack.pop()))

    def _text(self, at: int) -> int:
        """Text of an element; at its end the rest of the source is either a tail of code or more markup."""
        letter = self.source[at]
        if letter == "<":
            return self._tag(at)
        if letter == "{":
            self.stack.append(letter)
            return self._keep(at, at + 1)
        if TAIL.match(self.source, at):
            return self._end_element(at)
        return self._keep(at, at + 1)

    def _tag(self, at: int) -> int:
        tag = TAG.match(self.source, at)
        if tag is None:
            return self._keep(at, at + 1)
        closing, name, _, alone = tag.groups()
        if closing:
            return self._end_tag(tag.end(), name or "")
        if not alone and (name or "") not in VOID:
            self.stack.append(f"<{name or ''}")
        text = tag.group()
        self.out.append(text[:-1] + " />" if name in VOID and not alone else text)
        return tag.end()

    def _end_tag(self, end: int, name: str) -> int:
        """A closing tag also closes what was forgotten inside its element; one that closes nothing is dropped."""
        if f"<{name}" not in self.stack:
            return end
        while self.stack[-1] != f"<{name}":
            self.out.append(_closer(self.stack.pop()))
        self.out.append(_closer(self.stack.pop()))
        return end

    def _end_element(self, at: int) -> int:
        while self._inside_element():
            self.out.append(_closer(self.stack.pop()))
        return at

    def _close(self, at: int, letter: str) -> int:
        """A closing bracket; those opened later and never closed are closed first, one too many is dropped."""
        opener = next(each for each, closer in OPEN.items() if closer == letter)
        matching = (opener, f"for{opener}")
        if not any(each in matching for each in self.stack):
            return at + 1
        while self.stack[-1] not in matching:
            self.out.append(_closer(self.stack.pop()))
        self.stack.pop()
        return self._keep(at, at + 1)

    def _keep(self, start: int, end: int) -> int:
        self.out.append(self.source[start:end])
        return end

    def rest(self) -> str:
        return "".join(_closer(each) for each in reversed(self.stack))


def _closer(opened: str) -> str:
    return f"</{opened[1:]}>" if opened.startswith("<") else OPEN[opened[-1]]


def repair(source: str) -> str:
    """The source with every element, string and bracket closed; right source comes back as it was."""
    walk = _Walk(source.rstrip())
    return walk.run() + walk.rest() + "\n"
