"""`inv config`: the configuration as every verb reads it, secrets masked, and where each value comes from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import UNSET, structs

from migration.base.errors import ConfigError
from migration.base.secrets_type import MASK, Secret
from migration.config import envfile, yamlfile
from migration.config import load as configuration
from migration.config.builder import Section
from migration.config.settings import Config
from migration.config.yamlfile import Document, KeyPath

_TEMPLATE = re.compile(r"\$\{([^}]*)\}")
_PLACE = re.compile(r"(?P<where>[^:\n]+:\d+(?::\d+)?): (?P<problem>.*)")
# Where a ${NAME} stands for an address or a name, which may be shown; anywhere else it may be a secret.
_OPEN = re.compile(r"(migration|app)\..*|environments\.[^.]+\.(project_ref|api_url|url)|providers\.[^.]+\.(url|model)")


@dataclass(frozen=True)
class ConfigResult:
    """`config` is what the verbs see, nested as in config.yaml, with defaults, a secret as a mask; `sources` says where
    each value comes from, by its path (`soak.accept`); `problems`, each with its place. Exit code 2 with problems."""

    file: str
    config: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[dict[str, str], ...] = ()

    @property
    def exit_code(self) -> int:
        return 2 if self.problems else 0


def run(
    root: Path,
    review: configuration.Review = configuration.unread,
    later: Callable[[Config], Sequence[tuple[KeyPath, str]]] = lambda _: (),
) -> ConfigResult:
    """Reads config.yaml, the files that it names and `.env`; no value is needed, none is sent anywhere.

    `review` finds mistakes that only another reader of the file sees, `later` those that need all of it to be right.
    """
    file = configuration.where(root)
    problems: list[dict[str, str]] = []
    try:
        values = configuration.variables(root)
    except ConfigError as error:
        problems += _problems(error)
        values = dict(os.environ)
    try:
        config, document = configuration.read(file, values)
    except ConfigError:
        return ConfigResult(str(file), problems=(*problems, *_all(file, values, review)))
    lines = {} if problems else envfile.lines(root)
    if wrong := [*review(document.data, config.folder), *later(config)]:
        problems += _problems(configuration.mistaken(file, wrong))
    origin = _Origin(file, document, yamlfile.read(file), values, lines)
    sources = dict(origin.of(config, ()))
    return ConfigResult(str(file), origin.shown(config, ()), sources, tuple(problems))


def _all(file: Path, values: Mapping[str, str], review: configuration.Review) -> list[dict[str, str]]:
    """Of a file with mistakes, those of `review` too."""
    try:
        configuration.read(file, values, review)
    except ConfigError as error:
        return _problems(error)
    return []


def _problems(error: ConfigError) -> list[dict[str, str]]:
    """Each line of the error, its place apart where it names one, else with what to do."""
    matches = [(_PLACE.fullmatch(line), line) for line in error.message.splitlines()]
    return [
        {
            "where": match["where"] if match else "",
            "problem": match["problem"] if match else f"{line.rstrip('.')}; {error.hint}",
        }
        for match, line in matches
    ]


@dataclass(frozen=True)
class _Origin:
    """Where values come from: `raw` is the file before ${NAME} was replaced, `lines` those of `.env`."""

    file: Path
    document: Document
    raw: Document
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def of(self, value: Any, path: KeyPath) -> Iterator[tuple[str, str]]:
        """Each value by its path, down into mappings and lists of them; what is not set is left out."""
        if isinstance(value, Section):
            for name, inner in _keys(value):
                yield from self.of(inner, (*path, name))
        elif isinstance(value, dict):
            for name, inner in value.items():
                yield from self.of(inner, (*path, str(name)))
        elif isinstance(value, list) and any(isinstance(one, Section | dict) for one in value):
            for number, inner in enumerate(value):
                yield from self.of(inner, (*path, number))
        elif value is not None and value is not UNSET:
            yield ".".join(map(str, path)), self._source(path)

    def shown(self, value: Any, path: KeyPath) -> Any:
        """The value as it may be shown: a secret as a mask, a template of unknown kind as it is written."""
        if isinstance(value, Section):
            return {name: self.shown(inner, (*path, name)) for name, inner in _keys(value) if inner is not UNSET}
        if isinstance(value, dict):
            return {str(name): self.shown(inner, (*path, str(name))) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.shown(inner, (*path, number)) for number, inner in enumerate(value)]
        written = self._written(path)
        names = _TEMPLATE.findall(written)
        if names and (not _OPEN.fullmatch(".".join(map(str, path))) or not all(map(self.values.get, names))):
            return written if not isinstance(value, Secret) or not all(map(self.values.get, names)) else MASK
        return MASK if isinstance(value, Secret) else value

    def _source(self, path: KeyPath) -> str:
        mark = self.document.marks.get(path) or self._short(path)
        if mark is None:
            return "default"
        parts = [f"{self.file.name}:{mark[0]}"]
        for name in dict.fromkeys(_TEMPLATE.findall(self._written(path))):
            parts.append(f"{name} from {self._variable(name)}" if self.values.get(name) else f"{name} is not set")
        return ", ".join(parts)

    def _variable(self, name: str) -> str:
        if name in os.environ:
            return "the environment"
        return f"{envfile.NAME}:{self.lines[name]}" if name in self.lines else envfile.NAME

    def _short(self, path: KeyPath) -> tuple[int, int] | None:
        """The place of a plain value that stands for a mapping, such as `artifact: react`."""
        parent = path[:-1]
        whole = self._at(parent) if parent in self.document.marks else None
        return self.document.marks[parent] if isinstance(whole, str | int | float) else None

    def _written(self, path: KeyPath) -> str:
        value = self._at(path)
        return value if isinstance(value, str) else ""

    def _at(self, path: KeyPath) -> Any:
        value = self.raw.data
        for key in path:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value


def _keys(section: Section) -> Iterator[tuple[str, Any]]:
    """The keys of a section as config.yaml names them, with their values."""
    for each in structs.fields(section):
        if each.name not in section.inner:
            yield each.encode_name, getattr(section, each.name)
    if section.further is not None:
        yield from getattr(section, "named", {}).items()
