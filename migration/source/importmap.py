"""Import maps as the Supabase CLI picks them: which file applies, what it names, and its local targets."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Any

from migration.base import strictjson
from migration.base.command import AGAIN, Do, sh
from migration.base.errors import Refused
from migration.git import lfs
from migration.source.functions_config import Settings

DENO_CONFIG = ("deno.json", "deno.jsonc")
_FIX = (Do("correct it"), AGAIN)
_OPTIONS = ("compilerOptions", "unstable")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TOKENS = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)


@dataclass(frozen=True)
class ImportMap:
    """`files`: the map itself, then each file it leads to by `importMap`; the last one holds the entries.

    `imports` and `scopes` are as written there; `targets` are the local paths they name, in order, once each.
    `options` are the keys of a deno.json besides them that decide what a module imports.
    """

    files: tuple[Path, ...]
    imports: dict[str, str]
    scopes: dict[str, dict[str, str]]
    targets: tuple[Path, ...]
    fallback: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def absolute(self) -> dict[str, Any]:
        """The same map with file URLs in place of relative paths, so that it means the same from any folder."""
        base = self.files[-1].parent
        scopes = {_resolve(base, key): _absolute(base, entries) for key, entries in self.scopes.items()}
        return {"imports": _absolute(base, self.imports), "scopes": scopes}


def find(app: Path, settings: Settings, entrypoint: Path) -> ImportMap | None:
    """The map that applies to one function, None without one; Refused where the CLI would fail too."""
    functions = app / "supabase" / "functions"
    if settings.import_map:
        return load(_normal(app / "supabase" / settings.import_map))
    for name in DENO_CONFIG:
        if (entrypoint.parent / name).is_file():
            return load(entrypoint.parent / name)
    if (entrypoint.parent / "import_map.json").is_file():
        where = f"{(entrypoint.parent / 'import_map.json').relative_to(app)}"
        fix = f"rename it to deno.json, or name it as functions.{settings.slug}.import_map in supabase/config.toml"
        text = f"{where}: the platform no longer reads an import_map.json beside a function."
        raise Refused(text, Do(fix), AGAIN)
    shared = functions / "import_map.json"
    return load(shared, fallback=True) if shared.is_file() else None


def load(path: Path, fallback: bool = False) -> ImportMap:
    """Follows `importMap` from file to file; Refused for a missing file, bad JSON, a wrong shape or a circle."""
    chain = [path]
    options: dict[str, Any] = {}
    while True:
        document = _read(chain[-1])
        if chain[-1] == path and path.name in DENO_CONFIG:
            options = _options(document)
        onward = document.get("importMap")
        if not isinstance(onward, str) or "imports" in document or "scopes" in document:
            break
        following = _normal(chain[-1].parent / onward)
        if following in chain:
            raise Refused(f"{path}: its importMap leads back to itself.", Do("remove one importMap entry"), AGAIN)
        chain.append(following)
    imports = _strings(chain[-1], "imports", document.get("imports", {}))
    scopes = _scopes(chain[-1], document.get("scopes", {}))
    base = chain[-1].parent
    values = [*imports.values(), *(value for entries in scopes.values() for value in entries.values())]
    targets = dict.fromkeys(_normal(base / value) for value in values if value and not _URL.match(value))
    return ImportMap(tuple(chain), imports, scopes, tuple(targets), fallback, options)


def _options(document: dict[str, Any]) -> dict[str, Any]:
    """Without what the platform's bundler switches off, whatever is written: `import "fs"` is refused there.

    https://github.com/supabase/edge-runtime/blob/main/crates/deno_facade/emitter.rs (bare_node_builtins_enabled).
    """
    options = {name: document[name] for name in _OPTIONS if name in document}
    if isinstance(options.get("unstable"), list):
        options["unstable"] = [name for name in options["unstable"] if name != "bare-node-builtins"]
    return options


def parse(text: str) -> Any:
    """JSON with comments and trailing commas; json.JSONDecodeError has the position in the text as it stands."""
    plain = _TOKENS.sub(_blank, text)
    try:
        return strictjson.loads(plain)
    except ValueError:
        with contextlib.suppress(RecursionError):
            json.loads(plain)  # knows the place
        raise


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    return text if text.startswith('"') else re.sub(r"[^\n]", " ", text)


def _read(path: Path) -> dict[str, Any]:
    if lfs.is_pointer(path):
        raise Refused(f"{path} is a Git LFS pointer, not the file itself.", sh("git", "lfs", "pull"))
    try:
        document = parse(_text(path))
    except OSError:
        fix = Do("create it, or correct the path that names it"), AGAIN
        raise Refused(f"{path}: the import map cannot be read.", *fix) from None
    except (json.JSONDecodeError, UnicodeError) as error:
        spot = f":{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Refused(f"{path}{spot}: not valid JSON.", Do("fix that line"), AGAIN) from None
    except ValueError as error:  # what Python alone would read
        raise Refused(f"{path}: not valid JSON: {error}.", Do("correct it"), AGAIN) from None
    if not isinstance(document, dict):
        raise Refused(f"{path}: an import map must be a JSON object.", *_FIX)
    return document


def _text(path: Path) -> str:
    """Never waits: a pipe in place of a file is not read."""
    if path.exists() and not path.is_file():
        raise OSError("not a file")
    return path.read_text("utf-8-sig")


def _strings(path: Path, name: str, entries: Any) -> dict[str, str]:
    if not isinstance(entries, dict):
        raise Refused(f"{path}: {name} must be an object.", *_FIX)
    for key, value in entries.items():
        if not isinstance(value, str):
            raise Refused(f"{path}: {name}.{key} must be a string.", *_FIX)
        if not _encodable(key + value):
            raise Refused(f"{path}: {name}.{key!r} holds a character that no path can have.", *_FIX)
    return entries


def _encodable(text: str) -> bool:
    """Whether a file system takes it: neither NUL nor half of a surrogate pair."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _scopes(path: Path, scopes: Any) -> dict[str, dict[str, str]]:
    if not isinstance(scopes, dict):
        raise Refused(f"{path}: scopes must be an object.", *_FIX)
    return {key: _strings(path, f"scopes.{key}", entries) for key, entries in scopes.items()}


def _absolute(base: Path, entries: dict[str, str]) -> dict[str, str]:
    return dict(_pairs(base, entries))


def _pairs(base: Path, entries: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in entries.items():
        local = key.startswith(("./", "../", "/"))
        yield (_resolve(base, key) if local else key), (_resolve(base, value) if value else value)


def _resolve(base: Path, value: str) -> str:
    """A file URL for a path; a URL stays. The slash at the end has a meaning and is kept."""
    if _URL.match(value):
        return value
    return _normal(base / value).as_uri() + ("/" if value.endswith("/") else "")


def _normal(path: Path) -> Path:
    """Without `.` and `..`, by the letters alone: a symlink must keep its own name."""
    return Path(normpath(path))
