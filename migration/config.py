"""Reading config.yaml: strictly, and with every mistake at once, each by file, line and path to the key."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from migration import envfile
from migration.common.secrets_type import Secret
from migration.errors import ConfigError
from migration.logbook import signals
from migration.schema import yamlfile
from migration.schema.settings import CRITERIA, Config
from migration.schema.yamlfile import Document, Path_

# A ${NAME} without a value stays in the text between these two signs (private use) until a verb needs it.
_OPEN, _CLOSE = "\ue000", "\ue001"
_TEMPLATE = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECTIONS_OURS = {"folder", "file"}


def load(root: Path, path: Path | None = None) -> Config:
    """The configuration of the folder that holds tasks.py. ConfigError lists every mistake."""
    file = path or Path(os.environ.get("CUTOVER_CONFIG") or root / "config.yaml")
    file = file if file.is_absolute() else root / file
    values = variables(root)
    document = yamlfile.read(file, lambda text: fill(text, values))
    problems = [(where, why) for where, why in document.problems]
    found: Config | None = None
    try:
        for name in _SECTIONS_OURS & set(document.data):
            problems.append(((name,), _unknown((name,))))
        found = Config.model_validate({**document.data, "folder": file.parent.resolve(), "file": file})
        problems += _own(found)
    except ValidationError as error:
        problems += [_problem(entry) for entry in error.errors()]
    if problems or found is None:
        raise ConfigError("\n".join(_lines(file, document, problems)), "mend these, then run the command again")
    return found


def variables(root: Path) -> dict[str, str]:
    """What ${NAME} can stand for: the environment, else `.env` beside tasks.py."""
    return {**envfile.read(root), **os.environ}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NAME} and $$; what has no value is marked, so that `need` can name it later."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return values[name] if values.get(name) else f"{_OPEN}{name}{_CLOSE}"

    return _TEMPLATE.sub(one, text)


def missing(value: str | Secret | None) -> list[str]:
    """Names of the variables that a value still waits for."""
    text = value.reveal() if isinstance(value, Secret) else value or ""
    return re.findall(f"{_OPEN}(.*?){_CLOSE}", text)


def optional(value: Secret | None) -> Secret | None:
    """The secret, or None when it is not given."""
    return None if value is None or missing(value) or not value else value


def need(value: Any, key: str, why: str) -> Any:
    """The value of `key`, or a ConfigError that names the variable that has none and what needs it."""
    names = missing(value) if isinstance(value, str | Secret) else []
    if names:
        raise ConfigError(f"{names[0]} is not set, and {why} needs it ({key})", f"set {names[0]} in .env (inv init)")
    if value is None or value == "":
        raise ConfigError(f"{key} is not set, and {why} needs it", "add it to config.yaml")
    return value


def _own(config: Config) -> list[tuple[Path_, str]]:
    """What a model cannot see: criteria by name, templates that are no name."""
    problems: list[tuple[Path_, str]] = []
    for name in config.criteria.named:
        if name not in CRITERIA and not config.criteria.files:
            problems.append((("criteria", name), f"no criterion of this name{_guess(name, CRITERIA)}"))
    for name, why in signals.problems({name: found.pattern for name, found in config.signals.items()}).items():
        problems.append((("signals", name), why))
    return problems


def _problem(entry: Any) -> tuple[Path_, str]:
    where = tuple(part for part in entry["loc"] if not _internal(part))
    kind, message = entry["type"], str(entry["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return where, _unknown(where)
    if kind == "missing":
        return where, "is missing"
    shown = entry.get("input")
    got = f", got {shown!r}" if isinstance(shown, str | int | float | bool) or shown is None else ""
    return where, f"{message[0].lower()}{message[1:]}{got if kind != 'value_error' else ''}"


def _internal(part: Any) -> bool:
    """Parts that pydantic adds to a path: names of union members and of validators."""
    return isinstance(part, str) and bool(re.search(r"[\[(]|^(int|str|float|bool|literal|list|is-instance)$", part))


def _unknown(where: Path_) -> str:
    return f"unknown key{_guess(str(where[-1]), _keys(where[:-1]))}"


def _keys(where: Path_) -> list[str]:
    """The keys that are allowed at a path."""
    model: Any = Config
    for part in where:
        field = model.model_fields.get(str(part)) if _is_model(model) else None
        model = _inner(field.annotation) if field else model if not _is_model(model) else None
        if model is None:
            return []
    if not _is_model(model):
        return []
    return [field.alias or name for name, field in model.model_fields.items() if name not in _SECTIONS_OURS]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _inner(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _inner(inner)
        if found is not None:
            return found
    return None


def _guess(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def _lines(file: Path, document: Document, problems: list[tuple[Path_, str]]) -> list[str]:
    rows = []
    for path, why in problems:
        line, column = document.mark(path)
        shown = ".".join(str(part) for part in path if part != "again") or "(top)"
        rows.append((line, column, f"{file.name}:{line}:{column}: {shown}: {_plain(why)}"))
    return [text for _, _, text in sorted(set(rows))]


def _plain(text: str) -> str:
    return text.replace(_OPEN, "${").replace(_CLOSE, "}")
