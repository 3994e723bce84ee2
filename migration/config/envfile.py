"""`.env` beside tasks.py: values for ${NAME} in config.yaml, readable by its owner alone, never in git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.base.command import Do, sh
from migration.base.errors import ConfigError
from migration.base.files import contents
from migration.base.secrets_type import Secret
from migration.git import process

NAME = ".env"
_LINE = re.compile(r"^\s*(?:export\s+)?([^\s=#']+)\s*=")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def read(root: Path) -> dict[str, str]:
    """Names and values of `.env`, {} without one. Values stay as written; nothing is expanded.

    ConfigError names every line that is not NAME=value: a value that was cut off must not be uploaded.
    """
    path = root / NAME
    if not path.exists():
        return {}
    try:
        text = contents(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f".env cannot be read: {why}", Do("save it as UTF-8 text that you can read")) from None
    bindings = _bindings(text)
    mistakes = [f".env:{each.original.line}: {why}" for each in bindings if (why := _mistake(each))]
    if mistakes:
        raise ConfigError("\n".join(mistakes), Do("fix .env and run it again"))
    return {each.key: each.value for each in bindings if each.key is not None and each.value is not None}


def lines(root: Path) -> dict[str, int]:
    """The line of each name in `.env`; that of the last one where a name stands twice, whose value counts."""
    path = root / NAME
    text = contents(path).decode("utf-8-sig") if path.exists() else ""
    return {each.key: each.original.line for each in _bindings(text) if each.key is not None}


def guard(root: Path) -> None:
    """ConfigError when git tracks `.env`: its secrets are in the history of every clone then."""
    if tracked(root):
        text = ".env is tracked by git, and it holds secrets: remove it from git, and replace every key in it"
        raise ConfigError(text, sh("git", "rm", "--cached", ".env"))


def tracked(root: Path) -> bool:
    """Whether git knows `.env`; False outside of any repository."""
    if not (root / NAME).exists():
        return False
    return process.run(["ls-files", "--error-unmatch", "--", NAME], root, env={}).ok


def ignored(root: Path) -> bool | None:
    """Whether git ignores `.env`; None outside of any repository."""
    if not process.run(["rev-parse", "--is-inside-work-tree"], root, env={}).ok:
        return None
    plain = {"GIT_LITERAL_PATHSPECS": "0"}  # check-ignore refuses literal pathspecs
    return process.run(["check-ignore", "--quiet", "--no-index", "--", NAME], root, env=plain).ok


def exposed(root: Path) -> str:
    """The mode of an `.env` that others can read, such as "0644"; empty when only its owner can."""
    path = root / NAME
    mode = path.stat().st_mode & 0o777 if path.exists() else 0
    return f"{mode:04o}" if mode & 0o077 else ""


def write(root: Path, values: Mapping[str, Secret]) -> None:
    """Set these names in `.env`, mode 0600; everything else in it stays as it is."""
    path = root / NAME
    text = contents(path).decode("utf-8-sig") if path.exists() else ""
    kept = [line for line in _statements(text) if _name(line) not in values]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    added = [f"{name}={quote(value.reveal())}\n" for name, value in values.items()]
    durable.write(path, "".join(kept + added).encode(), mode=0o600)


def quote(value: str) -> str:
    """A value as it must stand in `.env` to be read back unchanged."""
    if re.fullmatch(r"[\w@%+:,./-]+", value, re.A):
        return value
    if not any(character in value for character in "\r\n\t\\'"):
        return f"'{value}'"
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def _name(statement: str) -> str | None:
    match = _LINE.match(statement)
    return match[1] if match else None


def _statements(text: str) -> list[str]:
    """The file in pieces: a line each, or a quoted value that spans lines."""
    return [binding.original.string for binding in _bindings(text)]


def _bindings(text: str) -> list[Any]:
    """The file as python-dotenv splits it; it reports what it cannot parse line by line, and goes on."""
    import io

    from dotenv.parser import parse_stream

    return list(parse_stream(io.StringIO(text, newline="")))


def _mistake(binding: Any) -> str:
    """Why a piece of the file has no value or only a part of it; empty when it is right. No value is shown."""
    first = binding.original.string.lstrip().split("\n")[0]
    if binding.error:
        opened = re.match(r"(?:export\s+)?[^=#]+=\s*(['\"])", first)
        if opened:
            return f"the quote {opened[1]} is not closed, or something follows it on the line"
        return "this line is not NAME=value"
    if binding.key is None:
        return ""
    if binding.value is None:
        return 'this line has no =; a value of several lines needs quotes: NAME="…"'
    if re.match(r"[^=#]+=\s*`", first):
        return "a value cannot be quoted with `: use ' or \""
    return ""
