"""What a sparse checkout leaves out: git has it, and so does the commit, but it is not in this folder.

A function read without it would be another one: without its `verify_jwt`, its import map or a static file.
https://git-scm.com/docs/git-sparse-checkout
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from os.path import normpath
from pathlib import PurePosixPath

from migration.base.command import AGAIN, Shell
from migration.base.errors import Refused
from migration.git.repository import Repository
from migration.source import functions_config
from migration.source.functions_config import CONFIG, Settings
from migration.source.importmap import DENO_CONFIG

_SHARED = "supabase/functions/import_map.json"


def left_out(repository: Repository) -> frozenset[str]:
    """The app's files that git leaves out of this folder, by their path from the app; none in an ordinary clone."""
    if repository.settings.get("core.sparsecheckout") != "true":
        return frozenset()
    marked = repository.git("ls-files", "-t", "-z", "--", ".").names
    return frozenset(name[2:] for name in marked if name.startswith("S ") and not (repository.path / name[2:]).exists())


def needed(repository: Repository, settings: Settings, absent: Collection[str], out: Iterable[str]) -> list[str]:
    """Those of the files left out that this function needs; `absent`: what it asks for and does not find here."""
    entry = normpath(f"supabase/{settings.entrypoint or f'functions/{settings.slug}/index.ts'}")
    beside = [str(PurePosixPath(entry).parent / name) for name in DENO_CONFIG]
    named = normpath(f"supabase/{settings.import_map}") if settings.import_map else _SHARED
    patterns = functions_config.patterns(repository.path, settings.static_files)
    wanted = {CONFIG, entry, named, *beside, *absent}
    return sorted(name for name in out if name in wanted or any(functions_config.covers(one, name) for one in patterns))


def refused(repository: Repository, slug: str, paths: Sequence[str]) -> Refused:
    """Names the files, and the command that brings them into the folder."""
    more, verb = (f" and {len(paths) - 1} more", "are") if len(paths) > 1 else ("", "is")
    text = f"{slug}: {paths[0]}{more} {verb} left out of this clone by its sparse checkout."
    return Refused(text, _bring(repository, paths), AGAIN)


def _bring(repository: Repository, paths: Sequence[str]) -> Shell:
    """Patterns of the old kind are matched from the top of the repository: there everything is brought."""
    if repository.settings.get("core.sparsecheckoutcone") != "true":
        return repository.typed("sparse-checkout", "disable")
    folders = sorted({str(PurePosixPath(path).parent) for path in paths})
    return repository.typed("sparse-checkout", "add", *folders)
