"""What `supabase/config.toml` says about one function, where it is wrong, and the files that `static_files` matches."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from os.path import normpath
from pathlib import Path
from typing import Any

from migration.base.command import AGAIN, Do
from migration.base.errors import Refused

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TYPES: dict[str, tuple[type, str]] = {
    "verify_jwt": (bool, "true or false"),
    "enabled": (bool, "true or false"),
    "entrypoint": (str, "a path in quotes"),
    "import_map": (str, "a path in quotes"),
    "static_files": (list, "a list of paths in quotes"),
}
_FIX = Do("fix that line"), AGAIN
_MAGIC = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


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
        raise Refused(f"{_where(path, _position(error))}: not valid TOML: {_text(error)}", *_FIX) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Refused(f"{_where(path, f'{line}')}: not UTF-8 text.", Do("save the file as UTF-8"), AGAIN) from None


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
    return Refused(f"{_where(path, str(_line(path, slug, key)))}: {name} must be {words}.", *_FIX)


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


# Static files: glob patterns with the meaning that the CLI gives them


def patterns(app: Path, written: tuple[str, ...]) -> list[str]:
    """Patterns of `static_files` relative to the app, as the platform gets them. Refused for one outside the app."""
    return [_inside(app, pattern) for pattern in written]


def match(app: Path, pattern: str) -> list[Path]:
    """The files under the app that a pattern names, sorted; a folder among them is refused, as the CLI does."""
    if not _MAGIC.search(pattern):
        found = [app / pattern] if os.path.lexists(app / pattern) else []
    else:
        wanted = re.compile(_regex(pattern), re.DOTALL)
        found = [app / name for name in sorted(_below(app, _fixed(pattern))) if wanted.fullmatch(name)]
    folders = [path for path in found if path.is_dir()]
    if folders and "**" not in pattern:
        shown = folders[0].relative_to(app)
        text = f"{shown} is a folder, and static_files must match files only."
        raise Refused(text, Do(f'write "{shown}/**/*" instead'), AGAIN)
    return [path for path in found if path not in folders]


def _inside(app: Path, pattern: str) -> str:
    path = normpath(app / "supabase" / pattern)
    if not path.startswith(f"{app}{os.sep}"):
        text = f"supabase/config.toml: the static file {pattern} lies outside the app."
        raise Refused(text, Do("move it into the app"), AGAIN)
    return Path(path).relative_to(app).as_posix()


def _fixed(pattern: str) -> str:
    """The folder above the first wildcard: nothing outside it can match."""
    return pattern[: _MAGIC.search(pattern).start()].rpartition("/")[0]  # type: ignore[union-attr]


def _below(app: Path, folder: str) -> Iterator[str]:
    """Everything below a folder by its path from the app; a name with a backslash is no file to the CLI."""
    for root, folders, files in os.walk(app / folder):
        for name in (*files, *folders):
            path = (Path(root) / name).relative_to(app).as_posix()
            if "\\" not in path:
                yield path


def _regex(pattern: str) -> str:
    return "".join(_part(token) for token in _TOKENS.findall(pattern))


def _part(token: str) -> str:
    if token in ("**", "*", "?"):
        return {"**": ".*", "*": "[^/]*", "?": "[^/]"}[token]
    if token.startswith("[") and len(token) > 1:
        return token.replace("[!", "[^").replace("\\", "\\\\")
    return re.escape(token)
