"""What `supabase/config.toml` says about one function, and where it is wrong, by file and line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from migration.base.errors import Refused

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TYPES: dict[str, tuple[type, str]] = {
    "verify_jwt": (bool, "true or false"),
    "enabled": (bool, "true or false"),
    "entrypoint": (str, "a path in quotes"),
    "import_map": (str, "a path in quotes"),
    "static_files": (list, "a list of paths in quotes"),
}


@dataclass(frozen=True)
class Settings:
    """One `[functions.SLUG]` table. Paths are as written, relative to `supabase/`; None means nothing is written."""

    slug: str
    verify_jwt: bool | None = None
    entrypoint: str | None = None
    import_map: str | None = None
    static_files: tuple[str, ...] = field(default=())
    enabled: bool = True


def load(app: Path, slug: str) -> Settings:
    """Raises Refused for a name that no function can have, for broken TOML and for values of the wrong type."""
    return settings(parse(app), app, slug)


def parse(app: Path) -> dict[str, Any]:
    """The whole file as a mapping, empty where there is none."""
    path = _path(app)
    try:
        return _read(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{_where(path, _position(error))}: not valid TOML: {_text(error)}", "Mend that line.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Refused(f"{_where(path, f'{line}')}: not UTF-8 text.", "Save the file as UTF-8.") from None


@lru_cache(maxsize=8)
def _read(text: str) -> dict[str, Any]:
    """Every function asks for the same text. Nobody changes what is returned."""
    return tomllib.loads(text)


def settings(document: dict[str, Any], app: Path, slug: str) -> Settings:
    if not NAME.fullmatch(slug):
        raise Refused(f"{slug!r} cannot be a function's name: letters, digits, _ and -, beginning with a letter.")
    table = document.get("functions", {})
    table = table.get(slug, {}) if isinstance(table, dict) else table
    if not isinstance(table, dict):
        raise _wrong(app, slug, "", "a table")
    known = {key: value for key, value in table.items() if key in _TYPES}
    for key, value in known.items():
        _check(app, slug, key, value)
    return Settings(slug, **known | {"static_files": tuple(known.get("static_files", ()))})


def _check(app: Path, slug: str, key: str, value: Any) -> None:
    wanted, words = _TYPES[key]
    items = value if wanted is list and isinstance(value, list) else []
    if not isinstance(value, wanted) or any(not isinstance(item, str) for item in items):
        raise _wrong(app, slug, key, words)


def _wrong(app: Path, slug: str, key: str, words: str) -> Refused:
    path = _path(app)
    name = f"functions.{slug}" + (f".{key}" if key else "")
    return Refused(f"{_where(path, str(_line(path, slug, key)))}: {name} must be {words}.", "Mend that line.")


def _line(path: Path, slug: str, key: str) -> int:
    """The line a key stands on: tomllib does not say, so it is looked for below its table's head."""
    head = re.compile(rf"\s*\[\s*functions\s*\.\s*[\"']?{re.escape(slug)}[\"']?\s*\]")
    entry = re.compile(rf"\s*(?:functions\.{re.escape(slug)}\.)?{re.escape(key)}\s*=")
    found = 0
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if head.match(text):
            found = number
        elif key and entry.match(text) and (found or "functions." in text):
            return number
    return found or 1


def _path(app: Path) -> Path:
    return app / "supabase" / "config.toml"


def _where(path: Path, position: str) -> str:
    return f"{path.parent.name}/{path.name}:{position}"


def _position(error: tomllib.TOMLDecodeError) -> str:
    found = re.search(r"line (\d+), column (\d+)", str(error))
    return f"{found[1]}:{found[2]}" if found else "end of file"


def _text(error: tomllib.TOMLDecodeError) -> str:
    return re.sub(r"\s*\(at .*\)$", "", str(error))
