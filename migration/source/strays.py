"""Functions that config.yaml names and nothing has: a case of one would never be sent, a signal never looked for."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

from migration.base.errors import CutoverError
from migration.config.builder import guess
from migration.config.settings import Config
from migration.config.yamlfile import KeyPath
from migration.git.repository import Repository

_FOLDER = Path("supabase/functions")


def mistakes(config: Config, app: Path, live: Collection[str] = ()) -> list[tuple[KeyPath, str]]:
    """The place of each such name, and what is wrong with it. Known is what the app holds now or held at app.base, what
    `migration` names, and what is `live`. Nothing is known of an app that is not there, or where this clone lacks
    app.base."""
    if not (app / _FOLDER).is_dir():
        return []
    known = {*config.migration.functions, *config.migration.unchanged, *live, *_here(app)}
    strange = [(path, name) for path, name in _named(config) if name not in known]
    if strange:
        past = _before(app, config.app.base)
        if past is None:
            return []
        known |= set(past)
    why = "no function of this name is in the app or in migration"
    return [(path, f"{why}{guess(name, known)}") for path, name in strange if name not in known]


def _named(config: Config) -> Iterator[tuple[KeyPath, str]]:
    for number, case in enumerate(config.smoke):
        yield ("smoke", number, "function"), case.function
    for name, signal in config.signals.items():
        for number, slug in enumerate(signal.functions or ()):
            yield ("signals", name, "functions", number), slug
    unchanged = config.criteria.named.get("unchanged")
    if unchanged and unchanged.function:
        yield ("criteria", "unchanged", "function"), unchanged.function


def _here(app: Path) -> Iterator[str]:
    """Folders of functions, and those whose entrypoint config.toml puts elsewhere."""
    folders = (path for path in (app / _FOLDER).iterdir() if path.is_dir() and path.name[0] not in "_.")
    yield from (path.name for path in folders if any(path.iterdir()))
    with contextlib.suppress(OSError, ValueError):
        tables = tomllib.loads((app / "supabase" / "config.toml").read_text("utf-8-sig")).get("functions")
        yield from tables if isinstance(tables, dict) else ()


def _before(app: Path, base: str | None) -> list[str] | None:
    """The folders at app.base: a case may describe a function that the migration takes away. None where a shallow clone
    does not have that commit."""
    with contextlib.suppress(CutoverError):
        repository = Repository(app)
        if base and repository.revision(base) is None:
            return None
        return repository.git("ls-tree", "-d", "-z", "--name-only", f"{base or 'HEAD'}:./{_FOLDER}").names
    return []
