"""Reading config.yaml: strictly, and with every mistake at once, each by file, line and path to the key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.config import envfile, signals, words, yamlfile
from migration.config.build import build
from migration.config.settings import CRITERIA, Config
from migration.config.yamlfile import Document, Path_

_TEMPLATE = re.compile(r"\$\$|\$\{([^}]*)\}")


def load(root: Path, path: Path | None = None) -> Config:
    """The configuration of the folder that holds tasks.py. ConfigError lists every mistake."""
    file = path or Path(os.environ.get("CUTOVER_CONFIG") or root / "config.yaml")
    file = file if file.is_absolute() else root / file
    values = variables(root)
    document = yamlfile.read(file, lambda text: fill(text, values))
    problems = list(document.problems)
    found: Config | None = build(Config, document.data, (), problems)
    problems += _own(found) if found else []
    if problems or found is None:
        raise ConfigError("\n".join(_lines(file, document, problems)), "mend these, then run the command again")
    return replace(found, folder=file.parent.resolve(), file=file)


def variables(root: Path) -> dict[str, str]:
    """What ${NAME} can stand for: the environment, else `.env` beside tasks.py."""
    return {**envfile.read(root), **os.environ}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NAME} and $$; what has no value is marked, so that `need` can name it later."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return values[name] if values.get(name) else f"{words.OPEN}{name}{words.CLOSE}"

    return _TEMPLATE.sub(one, text)


def missing(value: str | Secret | None) -> list[str]:
    """Names of the variables that a value still waits for."""
    text = value.reveal() if isinstance(value, Secret) else value or ""
    return re.findall(f"{words.OPEN}(.*?){words.CLOSE}", text)


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
    """What no annotation says: criteria by name, templates that are no name."""
    problems: list[tuple[Path_, str]] = []
    for name in config.criteria.named:
        if name not in CRITERIA and not config.criteria.files:
            problems.append((("criteria", name), f"no criterion of this name{words.guess(name, CRITERIA)}"))
    for name, why in signals.problems({name: found.pattern for name, found in config.signals.items()}).items():
        problems.append((("signals", name), why))
    return problems


def _lines(file: Path, document: Document, problems: list[tuple[Path_, str]]) -> list[str]:
    rows = []
    for path, why in problems:
        line, column = document.mark(path)
        shown = ".".join(str(part) for part in path if part != "again") or "(top)"
        rows.append((line, column, f"{file.name}:{line}:{column}: {shown}: {words.plain(why)}"))
    return [text for _, _, text in sorted(set(rows))]
