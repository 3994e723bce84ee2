"""What a sparse checkout leaves out: git has it, and so does the commit, but it is not in this folder.

A function read without it would be another one: without its `verify_jwt`, its import map or a static file.
https://git-scm.com/docs/git-sparse-checkout
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from os.path import normpath
from pathlib import PurePosixPath

from migration.base.command import AGAIN, Shell
from migration.base.errors import Refused
from migration.git.repository import Repository
from migration.source import functions_config
from migration.source.functions_config import CONFIG, Settings
from migration.source.importmap import DENO_CONFIG

_SHARED = "supabase/functions/import_map.json"


def left_out(repository: Repository) -> Sequence[str]:
    """The app's files that git leaves out of this folder, sorted, by their path from the app; none in an ordinary
    clone."""
    if repository.settings.get("core.sparsecheckout") != "true":
        return ()
    marked = repository.git("ls-files", "-t", "-z", "--", ".").names
    return sorted(name[2:] for name in marked if name.startswith("S ") and not (repository.path / name[2:]).exists())


def needed(repository: Repository, settings: Settings, absent: Collection[str], out: Sequence[str]) -> list[str]:
    """Those of the files left out, which are sorted, that this function needs; `absent`: what it asks for and does not
    find here."""
    entry = normpath(f"supabase/{settings.entrypoint or f'functions/{settings.slug}/index.ts'}")
    beside = [str(PurePosixPath(entry).parent / name) for name in DENO_CONFIG]
    named = normpath(f"supabase/{settings.import_map}") if settings.import_map else _SHARED
    patterns = functions_config.patterns(repository.path, settings.static_files)
    wanted = {name for name in (CONFIG, entry, named, *beside, *absent) if _among(name, out)}
    return sorted(wanted.union(*(functions_config.covered(one, out) for one in patterns)))


def _among(name: str, names: Sequence[str]) -> bool:
    """Whether sorted names hold one; a monorepo leaves out tens of thousands of files."""
    place = bisect_left(names, name)
    return place < len(names) and names[place] == name


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
