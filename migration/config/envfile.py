"""`.env` beside tasks.py: values for ${NAME} in config.yaml, for its owner's eyes, never in git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from migration.base import durable
from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.git import process

NAME = ".env"
_LINE = re.compile(r"^\s*(?:export\s+)?([^\s=#']+)\s*=")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def read(root: Path) -> dict[str, str]:
    """Names and values of `.env`, {} without one; values stand as they are written, nothing is expanded."""
    path = root / NAME
    if not path.exists():
        return {}
    from dotenv import dotenv_values

    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f".env cannot be read: {error}", "save it as UTF-8 text, readable by you") from None
    return {name: value for name, value in found.items() if value is not None}


def guard(root: Path) -> None:
    """ConfigError when git tracks `.env`: its secrets are in the history of everybody's clone then."""
    if tracked(root):
        text = ".env is tracked by git, and it holds secrets: take it out, and make new keys"
        raise ConfigError(text, "git rm --cached .env")


def tracked(root: Path) -> bool:
    """Whether git knows `.env`; False outside of any repository."""
    if not (root / NAME).exists():
        return False
    return process.run(["ls-files", "--error-unmatch", "--", NAME], root, env={}).ok


def ignored(root: Path) -> bool | None:
    """Whether git would leave `.env` out; None outside of any repository."""
    if not process.run(["rev-parse", "--is-inside-work-tree"], root, env={}).ok:
        return None
    plain = {"GIT_LITERAL_PATHSPECS": "0"}  # check-ignore knows no literal ones
    return process.run(["check-ignore", "--quiet", "--no-index", "--", NAME], root, env=plain).ok


def exposed(root: Path) -> str:
    """The mode of an `.env` that others than its owner can read, such as "0644"; empty when all is well."""
    path = root / NAME
    mode = path.stat().st_mode & 0o777 if path.exists() else 0
    return f"{mode:04o}" if mode & 0o077 else ""


def write(root: Path, values: Mapping[str, Secret]) -> None:
    """Set these names in `.env`, mode 0600; everything else in it stays as it is."""
    path = root / NAME
    text = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    kept = [line for line in _statements(text) if _named(line) not in values]
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


def _named(statement: str) -> str | None:
    found = _LINE.match(statement)
    return found[1] if found else None


def _statements(text: str) -> list[str]:
    """The file in pieces, one a line or one a quoted value that spans lines, as python-dotenv itself cuts it."""
    import io

    from dotenv.parser import parse_stream

    return [binding.original.string for binding in parse_stream(io.StringIO(text, newline=""))]
