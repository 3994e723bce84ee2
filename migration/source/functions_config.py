"""What `supabase/config.toml` says about one function, where it is wrong, and the files that `static_files` matches.

The meaning of each key was compared with what the Supabase CLI 3.1.0 uploads and prints.
"""

from __future__ import annotations

import os
import re
import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from os.path import normpath
from pathlib import Path
from typing import Any

from migration.base.command import AGAIN, Do
from migration.base.errors import Refused

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
CONFIG = "supabase/config.toml"
_TYPES: dict[str, tuple[type, str]] = {
    "verify_jwt": (bool, "true or false"),
    "enabled": (bool, "true or false"),
    "entrypoint": (str, "a path in quotes"),
    "import_map": (str, "a path in quotes"),
    "static_files": (list, "a list of paths in quotes"),
}
_KNOWN = {*_TYPES, "env"}  # `env` is read by `supabase functions serve` alone
_ENV = re.compile(r"env\((\w+)\)")
_REF = re.compile(r"[a-z]{20}")
_BOOLEANS = {**dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
             **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)}  # fmt: skip
_FIX = Do("fix that line"), AGAIN
_SETS, _ESCAPED = re.compile(r"([\[&|~^])"), r"\\\1"  # what Python's sets mean and a glob's do not
_MAGIC = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*\*|\*|\?|\[[!^]?[^\]]+\]|.", re.DOTALL)


@dataclass(frozen=True)
class Settings:
    """One function's table. Paths are as written, relative to `supabase/`; None means nothing is written."""

    slug: str
    verify_jwt: bool | None = None
    entrypoint: str | None = None
    import_map: str | None = None
    static_files: tuple[str, ...] = ()
    enabled: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """What decides which settings apply: the ref that selects `[remotes.NAME]`, and the values of `env(NAME)`.

    `folder` is the app's working copy: git ignores its `.env` files, so no revision holds them.
    """

    ref: str = ""
    folder: Path | None = None

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """The environment, then the files that the CLI reads; the first that has a name wins."""
        return {**self._from_files(), **{name: value for name, value in os.environ.items() if value}}

    def _from_files(self) -> Mapping[str, str]:
        from dotenv import dotenv_values

        stage = os.environ.get("SUPABASE_ENV") or "development"
        names = (f".env.{stage}.local", ".env.local", f".env.{stage}", ".env")
        variables: dict[str, str] = {}
        for path in [folder / name for folder in self._folders() for name in names]:
            try:
                values = dotenv_values(path, encoding="utf-8-sig") if path.is_file() else {}
            except (OSError, UnicodeDecodeError):
                raise Refused(f"{path} cannot be read.", Do("save it as UTF-8 text that you can read"), AGAIN) from None
            variables = {**{name: value for name, value in values.items() if value}, **variables}
        return variables

    def _folders(self) -> tuple[Path, ...]:
        return (self.folder, self.folder / "supabase") if self.folder else ()


NO_PROJECT = Project()


def load(app: Path, slug: str, project: Project = NO_PROJECT) -> Settings:
    """Raises Refused for a name that no function can have, for broken TOML and for values of the wrong type."""
    return settings(parse(app), slug, project, app)


def parse(app: Path) -> dict[str, Any]:
    """The whole file as a mapping, empty where there is none."""
    path = _path(app)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise Refused(f"{CONFIG} is not a file.", Do("make it one"), AGAIN)
    try:
        return _read(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Refused(f"{CONFIG}:{line}: not UTF-8 text.", Do("save the file as UTF-8"), AGAIN) from None
    except OSError as error:
        raise Refused(f"{CONFIG} cannot be read: {error.strerror}.", Do("make it a readable file"), AGAIN) from None
    except RecursionError:
        raise Refused(f"{CONFIG}: nested too deeply.", Do("remove that nesting"), AGAIN) from None
    except ValueError as error:  # TOMLDecodeError, and numbers and dates that Python has no value for
        raise Refused(f"{CONFIG}:{_position(error)}: not valid TOML: {_text(error)}", *_FIX) from None


@lru_cache(maxsize=8)
def _read(text: str) -> dict[str, Any]:
    """Every function needs the same text. Do not change what is returned."""
    return tomllib.loads(text)


def settings(document: Mapping[str, Any], slug: str, project: Project, app: Path) -> Settings:
    """One function's settings; `[remotes.NAME]` of this project lies over `[functions]`, key by key."""
    if not NAME.fullmatch(slug):
        raise Refused(
            f"{slug!r} cannot be a function's name: letters, digits, _ and -, beginning with a letter.",
            Do("rename its folder, and correct config.yaml"),
            AGAIN,
        )
    remote = _remote(document, project)
    values: dict[str, Any] = {}
    warnings = [f"{CONFIG}: {key} is not a setting, so it is ignored." for key in document if _mistyped(key)]
    for prefix in ("", f"remotes.{remote}.") if remote else ("",):
        place = ConfigTable(app, f"{prefix}functions.{slug}")
        table = _table(document["remotes"][remote] if prefix else document, slug, place)
        unknown = [key for key in table if key not in _KNOWN]
        warnings += [f"{CONFIG}:{place.line(key)}: {place.table}.{key} is not a setting, so it is ignored."
                     for key in unknown]  # fmt: skip
        values |= {key: _value(place, key, value, project) for key, value in table.items() if key in _TYPES}
    return Settings(slug, **values, warnings=tuple(warnings))


@dataclass(frozen=True)
class ConfigTable:
    """A table of config.toml, for messages that name the line."""

    app: Path
    table: str

    def line(self, key: str = "") -> int:
        """The line a key is on: tomllib does not keep it, so it is searched below its table's head."""
        parts = [rf"[\"']?{re.escape(part)}[\"']?" for part in self.table.split(".")]
        dot = r"\s*\.\s*"
        head = re.compile(rf"\s*\[\s*{dot.join(parts)}\s*\]")
        entry = re.compile(rf"\s*(?:{re.escape(self.table)}\.)?[\"']?{re.escape(key)}[\"']?\s*=")
        latest = 0
        for number, text in enumerate(_path(self.app).read_text("utf-8-sig").splitlines(), 1):
            if head.match(text):
                latest = number
            elif key and entry.match(text) and (latest or "functions." in text):
                return number
        return latest or 1

    def wrong(self, key: str, text: str) -> Refused:
        """An error about a key, or about the table itself."""
        name = self.table + (f".{key}" if key else "")
        return Refused(f"{CONFIG}:{self.line(key)}: {name} {text}.", *_FIX)


def _remote(document: Mapping[str, Any], project: Project) -> str:
    """The name of the remote whose project_id is ours, or nothing. Refused where the CLI refuses the file."""
    remotes = document.get("remotes", {})
    if not isinstance(remotes, dict) or not all(isinstance(table, dict) for table in remotes.values()):
        raise Refused(f"{CONFIG}: every remote must be a table.", *_FIX)
    names: dict[str, str] = {}
    for name, table in remotes.items():
        ref = str(table.get("project_id", ""))
        variable = _ENV.fullmatch(ref)
        if not _REF.fullmatch(project.variables.get(variable[1], "") if variable else ref):
            raise Refused(f"{CONFIG}: remotes.{name}.project_id must be a project ref, 20 lower-case letters.", *_FIX)
        if ref in names:
            raise Refused(f"{CONFIG}: remotes {names[ref]} and {name} have the same project_id.", *_FIX)
        names[ref] = name
    return names.get(project.ref, "")


def _table(document: Mapping[str, Any], slug: str, place: ConfigTable) -> Mapping[str, Any]:
    functions = document.get("functions", {})
    if not isinstance(functions, dict):
        raise Refused(f"{CONFIG}: {place.table.removesuffix(f'.{slug}')} must be a table.", *_FIX)
    for name, table in functions.items():
        if not isinstance(table, dict):
            raise ConfigTable(place.app, place.table.removesuffix(slug) + name).wrong("", "must be a table")
    merged: Mapping[str, Any] = functions.get(slug, {})
    return merged


def _value(place: ConfigTable, key: str, value: Any, project: Project) -> Any:
    """The value with `env(NAME)` replaced, and in the type it must have."""
    kind, words = _TYPES[key]
    value = _replaced(place, key, value, project)
    if key == "static_files":
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
        value = [_replaced(place, key, part, project) for part in parts] if isinstance(parts, list) else parts
    texts = value if isinstance(value, list) else [value] if kind is str else []
    if not isinstance(value, kind) or any(not isinstance(text, str) or "\0" in text for text in texts):
        raise place.wrong(key, f"must be {words}")
    return tuple(value) if isinstance(value, list) else value


def _replaced(place: ConfigTable, key: str, value: Any, project: Project) -> Any:
    variable = _ENV.fullmatch(value) if isinstance(value, str) else None
    if variable is None:
        return value
    text = project.variables.get(variable[1])
    if not text:
        raise place.wrong(key, f"is env({variable[1]}), and {variable[1]} is not set")
    return _BOOLEANS.get(text, text) if _TYPES[key][0] is bool else text


def _mistyped(key: str) -> bool:
    """A key at the top that was meant to be a function's table, such as `["functions.x"]`."""
    return key.lower().startswith("function") and key != "functions"


def _path(app: Path) -> Path:
    return app / CONFIG


def _position(error: ValueError) -> str:
    place = re.search(r"line (\d+), column (\d+)", str(error))
    return f"{place[1]}:{place[2]}" if place else "end of file"


def _text(error: ValueError) -> str:
    return re.sub(r"\s*\(at .*\)$", "", str(error))


# Static files: glob patterns with the meaning that the CLI gives them


def patterns(app: Path, written: tuple[str, ...]) -> list[str]:
    """Patterns of `static_files` relative to the app, as the platform gets them. Refused for one outside the app."""
    return [_inside(app, pattern) for pattern in written]


def match(app: Path, pattern: str) -> list[Path]:
    """The files under the app that a pattern names, sorted; a folder among them is refused, as the CLI does."""
    if not _MAGIC.search(pattern):
        matching = [app / pattern] if (app / pattern).exists() else []
    else:
        wanted = _regex(pattern)
        matching = [app / name for name in sorted(_below(app, _fixed(pattern))) if wanted.fullmatch(name)]
    folders = [path for path in matching if path.is_dir()]
    strange = [path for path in matching if not path.is_dir() and not path.is_file()]
    if strange:
        shown = strange[0].relative_to(app)
        text = f"{CONFIG}: static_files matches {shown}, which is neither a file nor a folder."
        raise Refused(text, Do("remove it"), AGAIN)
    if folders and "**" not in pattern:
        shown = folders[0].relative_to(app)
        text = f"{shown} is a folder, and static_files must match files only."
        raise Refused(text, Do(f'write "{shown}/**/*" instead'), AGAIN)
    return [path for path in matching if path not in folders]


def covered(pattern: str, names: Sequence[str]) -> Sequence[str]:
    """Those of the names, which are sorted, that a pattern of `patterns` names, whether or not they are there."""
    if not _MAGIC.search(pattern):
        return names[bisect_left(names, pattern) : bisect_right(names, pattern)]
    folder, wanted = _fixed(pattern), _regex(pattern)
    start, end = (bisect_left(names, f"{folder}/"), bisect_left(names, f"{folder}0")) if folder else (0, len(names))
    return [name for name in names[start:end] if wanted.fullmatch(name)]


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
    """Everything below a folder by its path from the app; the CLI does not count a name with a backslash as a file."""
    for root, folders, files in os.walk(app / folder):
        for name in (*files, *folders):
            path = (Path(root) / name).relative_to(app).as_posix()
            if "\\" not in path:
                yield path


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile("".join(_part(token) for token in _TOKENS.findall(pattern)), re.DOTALL)
    except re.error:
        raise Refused(f"{CONFIG}: the static pattern {pattern} is not valid.", Do("fix it"), AGAIN) from None


def _part(token: str) -> str:
    if token in ("**", "*", "?"):
        return {"**": ".*", "*": "[^/]*", "?": "[^/]"}[token]
    if token.startswith("[") and len(token) > 1:
        negated = token[1] in "!^"  # both: what the CLI uploads for [!a].html and [^a].html
        inner = token[2 if negated else 1 : -1].replace("\\", "\\\\").replace("--", r"\--")
        return f"[{'^' if negated else ''}{_SETS.sub(_ESCAPED, inner)}]" if inner else "."
    return re.escape(token)
