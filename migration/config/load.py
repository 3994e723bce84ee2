"""Reading config.yaml strictly: every mistake at once, each with file, line and path to the key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from migration.base.command import Do, inv
from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.config import builder, crosscheck, envfile, yamlfile
from migration.config.settings import Config
from migration.config.yamlfile import Document, KeyPath

# What another reader of the file finds wrong in it, from the data as it is written and the folder of the file.
Review = Callable[[Mapping[str, Any], Path], Iterable[tuple[KeyPath, str]]]
_TEMPLATE = re.compile(r"\$\$|\$\{([^}]*)\}")


def unread(_data: Mapping[str, Any], _folder: Path) -> tuple[()]:
    """No other reader: none of its mistakes."""
    return ()


def load(root: Path, path: Path | None = None, review: Review = unread) -> Config:
    """The configuration of the folder that holds tasks.py. ConfigError lists every mistake, those of `review` too."""
    file = path or where(root)
    return read(file, variables(root), review)[0]


def where(root: Path) -> Path:
    """The configuration's file: what CUTOVER_CONFIG names, else config.yaml beside tasks.py."""
    file = Path(os.environ.get("CUTOVER_CONFIG") or root / "config.yaml")
    return file if file.is_absolute() else root / file


def read(file: Path, values: Mapping[str, str], review: Review = unread) -> tuple[Config, Document]:
    """The configuration, and the document with the place of each value. ConfigError lists every mistake."""
    document = yamlfile.read(file, lambda text: fill(text, values))
    problems = list(document.problems)
    sections = builder.sections(Config, document.data, problems)
    problems += crosscheck.mistakes(sections, document.data)
    problems += review(document.data, file.parent.resolve())
    if problems:
        raise _error(file, document, problems)
    return Config(**sections | {"folder": file.parent.resolve(), "file": file}), document


def mistaken(file: Path, problems: list[tuple[KeyPath, str]]) -> ConfigError:
    """What is reported for mistakes that only a later reader of the configuration finds."""
    return _error(file, yamlfile.read(file), problems)


def _error(file: Path, document: Document, problems: list[tuple[KeyPath, str]]) -> ConfigError:
    what = "this" if len(problems) == 1 else "these"
    return ConfigError("\n".join(_lines(file, document, problems)), Do(f"fix {what} and run it again"))


def variables(root: Path) -> dict[str, str]:
    """Values for ${NAME}: the environment, else `.env` beside tasks.py."""
    return {**envfile.read(root), **os.environ}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NAME} and $$. A name without a value is marked, so that `need` can name it later."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return values[name] if values.get(name) else f"{builder.OPEN}{name}{builder.CLOSE}"

    return _TEMPLATE.sub(one, text)


def missing(value: str | Secret | None) -> list[str]:
    """The variables in a value that have no value of their own."""
    text = value.reveal() if isinstance(value, Secret) else value or ""
    return re.findall(f"{builder.OPEN}(.*?){builder.CLOSE}", text)


def optional(value: Secret | None) -> Secret | None:
    """The secret, or None when it is not set."""
    return None if value is None or missing(value) or not value else value


def need(value: Any, key: str, why: str) -> Any:
    """The value of `key`; ConfigError names the variable that is not set and what needs it."""
    names = missing(value) if isinstance(value, str | Secret) else []
    if names:
        raise ConfigError(
            f"{names[0]} is not set, and {why} needs it ({key}).", Do(f"set {names[0]} in .env:"), inv("init")
        )
    if value is None or value == "":
        raise ConfigError(f"{key} is not set, and {why} needs it.", Do("add it to config.yaml"))
    return value


def _quoted(document: Document, path: KeyPath, why: str) -> str:
    """Text that YAML takes for something else, such as the revision 45397e1 for a number."""
    if path not in document.written or not why.startswith(builder.NOT_TEXT):
        return why
    return f"should be text, and YAML reads {document.written[path]} as another kind: put it in quotes"


def _lines(file: Path, document: Document, problems: list[tuple[KeyPath, str]]) -> list[str]:
    rows = []
    for path, why in problems:
        line, column = document.mark(path)
        shown = ".".join(str(part) for part in path if part != "again") or "(top)"
        why = _quoted(document, path, why)
        rows.append((line, column, f"{file.name}:{line}:{column}: {shown}: {builder.plain(why)}"))
    return [text for _, _, text in sorted(set(rows))]
