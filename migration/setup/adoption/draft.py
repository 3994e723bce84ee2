"""A config.yaml in the making: each value with where it came from, and what could not be known as a question."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migration.config.yamlfile import plain

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WIDTH = 112  # characters of a line; lists that are longer are written one entry a line
Path = tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """A value that stays in the environment or in .env: written as ${NAME}."""

    name: str


@dataclass(frozen=True)
class Template:
    """Text in which ${NAME} keeps its meaning."""

    text: str


@dataclass(frozen=True)
class Value:
    """A value and its origin, a few words such as `line 12 of the plan`; empty where it needs none."""

    value: Any
    origin: str = ""


@dataclass(frozen=True)
class Question:
    """What is not known: the key that would hold the answer, and the question."""

    path: Path
    text: str

    @property
    def key(self) -> str:
        return ".".join(self.path)


@dataclass
class Draft:
    """Values by their path, in the order in which they were set; questions, and contradictions to look at."""

    values: dict[Path, Value] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    sketches: dict[Path, list[str]] = field(default_factory=dict)  # commented lines below a key, to be filled in

    def set(self, path: Path, value: Any, origin: str = "") -> None:
        """A value that is set already stays: who knows better sets first."""
        if value is not None:
            self.values.setdefault(path, Value(value, origin))

    def get(self, *path: str) -> Any:
        value = self.values.get(path)
        return value.value if value else None

    def has(self, section: str) -> bool:
        """Whether any key of a section is set."""
        return any(path[0] == section for path in self.values)

    def ask(self, path: Path, text: str) -> None:
        if all(each.path != path for each in self.questions):
            self.questions.append(Question(path, text))

    def notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)

    def sketch(self, path: Path, lines: Sequence[str]) -> None:
        self.sketches.setdefault(path, []).extend(lines)

    def tree(self) -> dict[str, Any]:
        """Nested mappings of keys, with a Value at each end."""
        top: dict[str, Any] = {}
        for path, value in self.values.items():
            place = top
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = value
        return top


@dataclass(frozen=True)
class DraftSection:
    """A key of the top, and the sentence above it."""

    name: str
    about: str


def render(draft: Draft, head: Sequence[str], sections: Sequence[DraftSection]) -> str:
    """The whole file. Sections without values or questions are left out."""
    lines = [f"# {line}".rstrip() for line in head]
    if draft.notices:
        lines += ["#", "# To look at:", *(f"# ! {text}" for text in draft.notices)]
    tree, abouts = draft.tree(), {section.name: section.about for section in sections}
    names = [*abouts, *(name for name in tree if name not in abouts)]
    for name in names:
        questions = [each for each in draft.questions if each.path[0] == name]
        if name in tree or questions:
            lines += ["", *([f"# {abouts[name]}"] if abouts.get(name) else [])]
            lines += _section(draft, name, tree.get(name), questions)
    return "\n".join(lines) + "\n"


def _section(draft: Draft, name: str, node: Any, questions: Sequence[Question]) -> Iterator[str]:
    yield from (f"# ? {each.key}: {each.text}" for each in questions)
    if node is not None:
        yield from _node(draft, (name,), node, 0)
    else:
        yield from (f"# {line}" for line in draft.sketches.get((name,), ()))


def _node(draft: Draft, path: Path, node: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(node, Value):
        yield from _value(_key(path[-1]), node, depth)
    else:
        yield f"{pad}{_key(path[-1])}:"
        for name, inner in node.items():
            yield from _node(draft, (*path, name), inner, depth + 1)
    yield from (f"{pad}  # {line}" for line in draft.sketches.get(path, ()))


def _value(key: str, given: Value, depth: int) -> Iterator[str]:
    pad, comment = "  " * depth, f" # {given.origin}" if given.origin else ""
    flat = flow(given.value)
    rows = isinstance(given.value, list) and any(isinstance(each, Mapping | Value) for each in given.value)
    short = len(pad) + len(key) + len(flat) + 2 <= _WIDTH and not rows
    if short or not given.value or isinstance(given.value, str):
        yield f"{pad}{key}: {flat}{comment}"
    else:
        yield f"{pad}{key}:{comment}"
        yield from block(given.value, depth + 1)


def block(value: Any, depth: int) -> Iterator[str]:
    """A mapping or a list, one entry a line."""
    pad = "  " * depth
    for key, inner in value.items() if isinstance(value, Mapping) else ((None, inner) for inner in value):
        start = "- " if key is None else f"{_key(str(key))}: "
        inner, comment = (inner.value, inner.origin) if isinstance(inner, Value) else (inner, "")
        note, flat = f" # {comment}" if comment else "", flow(inner)
        origins = isinstance(inner, Mapping) and any(isinstance(each, Value) and each.origin for each in inner.values())
        short = len(pad) + len(start) + len(flat) <= _WIDTH and not origins
        if short or not isinstance(inner, Mapping | list):
            yield f"{pad}{start}{flat}{note}"
        elif key is None and isinstance(inner, Mapping):
            rows = list(block(inner, depth + 1))
            yield f"{pad}- {rows[0].lstrip()}{note}"
            yield from rows[1:]
        else:
            yield f"{pad}{start.rstrip()}{note}"
            yield from block(inner, depth + 1)


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Value):
        return flow(value.value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, Variable):
        return f'"${{{value.name}}}"'
    if isinstance(value, Template):
        return json.dumps(value.text, ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("$", "$$")
    plainly = _PLAIN.fullmatch(text) and isinstance(plain(text), str)
    return text if plainly else _quoted(text)


def _quoted(text: str) -> str:
    """In double quotes; characters that YAML does not take as they stand are escaped."""
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() or each == " " else f"\\U{ord(each):08x}" for each in shown)


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and " " not in name and isinstance(plain(name), str) else _quoted(name)


def built(value: Any) -> Any:
    """A value as the file would hold it: without origins, ${NAME} as text."""
    if isinstance(value, Value):
        return built(value.value)
    if isinstance(value, Variable):
        return f"${{{value.name}}}"
    if isinstance(value, Template):
        return value.text
    if isinstance(value, Mapping):
        return {str(key): built(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [built(inner) for inner in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
