"""YAML with a place for every value, and without YAML 1.1's surprises.

`NO` stays a word, `24:00` stays text, a doubled key is an error, an alias is refused (it can blow a file up).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from migration.base.command import AGAIN, Do
from migration.base.errors import ConfigError
from migration.base.files import contents

KeyPath = tuple[str | int, ...]
_DEEPEST = 100  # levels; libyaml itself dies of some hundred thousand
_DIGITS = 400  # of a number; Python itself converts no more than some thousands
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_READABLE = Do("make it a file of text that you can read")
_STANDARD = "tag:yaml.org,2002:"  # of every value that has no tag of its own
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass
class Document:
    """Plain data, the line and column (from 1) of each key and value by its path, and unquoted values as written."""

    data: Any
    marks: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    written: dict[KeyPath, str] = field(default_factory=dict)

    def mark(self, path: KeyPath) -> tuple[int, int]:
        """Where the path stands, or its nearest parent that is written."""
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, (1, 1))


def read(path: Path, fill: Callable[[str], str] = str) -> Document:
    """Parse a file; `fill` replaces the templates in each text. ConfigError with file, line and column."""
    try:
        text = contents(path).decode("utf-8-sig")
        _shallow(text)
        node = yaml.compose(text, Loader=_LOADER)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist.", Do("run inv in the folder of tasks.py, or set CUTOVER_CONFIG")
        ) from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}.", _READABLE, AGAIN) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} cannot be read: {error}", Do("save it as UTF-8 text"), AGAIN) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path.name}{_at(error)}: not valid YAML: {_why(error)}", Do("fix that line")) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}", Do("fix it")) from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path.name}: expected keys and values.", Do("start from the shipped config.yaml"))
    document = Document({})
    document.data = _Builder(document, fill).build(node, ())
    return document


def plainly(text: str, aliases: bool = False) -> Any:
    """Plain data of YAML from anywhere, as PyYAML reads it. yaml.YAMLError also for aliases and deep nesting."""
    _shallow(text, aliases)
    return yaml.safe_load(text)


def _shallow(text: str, aliases: bool = True) -> None:
    """Refuse what would overflow the stack of a parser, or grow without end, before one builds it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _refused(f"nested more than {_DEEPEST} deep", event)
        if not aliases and isinstance(event, yaml.AliasEvent):
            raise _refused("aliases are not allowed", event)


def _refused(why: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=why, problem_mark=event.start_mark)


class _Builder:
    def __init__(self, document: Document, fill: Callable[[str], str]) -> None:
        self.document = document
        self.fill = fill
        self.seen: set[int] = set()

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.document.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if id(node) in self.seen:
            self.document.problems.append((path, "aliases are not allowed: write the value out"))
            return None
        self.seen.add(id(node))
        if not node.tag.startswith(_STANDARD):
            problem = (
                f"the tag {node.tag} is not read: write the value itself, or take it from a variable with ${{NAME}}"
            )
            self.document.problems.append((path, problem))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.document.marks[(*path, "?")] = (key.start_mark.line + 1, key.start_mark.column + 1)
                self.document.problems.append(((*path, "?"), "a key should be text, got a list or keys and values"))
                continue
            name = key.value
            here = (*path, name)
            if name in values:
                first = self.document.marks[here][0]
                self.document.marks[(*here, "again")] = (key.start_mark.line + 1, key.start_mark.column + 1)
                self.document.problems.append(((*here, "again"), f"is written twice (first in line {first})"))
                continue
            self.document.marks[here] = (key.start_mark.line + 1, key.start_mark.column + 1)
            values[name] = self.build(value, here)
        return values

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        text = self.fill(node.value)
        if "\0" in text:  # no path, argument or header can hold one
            self.document.problems.append((path, "holds the character NUL"))
        if node.style:
            return text
        self.document.written[path] = text
        return plain(text)


def plain(text: str) -> Any:
    """An unquoted scalar by the rules of YAML 1.2's core schema."""
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _WORDS[text.lower()]
    if len(text) <= _DIGITS and _INT.fullmatch(text):
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text


def _at(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _why(error: yaml.MarkedYAMLError) -> str:
    """The parser's words, and where the bracket or quote that it was reading begins, in an earlier line."""
    begun, seen = error.context_mark, error.problem_mark
    line = f" that begins in line {begun.line + 1}," if begun and seen and begun.line != seen.line else ""
    return " ".join(str(part) for part in (f"{error.context}{line}" if error.context else "", error.problem) if part)
