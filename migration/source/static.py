"""Static files: the glob patterns of `static_files`, with the meaning that the Supabase CLI gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from os.path import normpath
from pathlib import Path

from migration.base.errors import Refused

_MAGIC = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


def patterns(app: Path, written: tuple[str, ...]) -> list[str]:
    """The patterns relative to the app, as the platform is told them. Refused when one points outside the app."""
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
        raise Refused(f"{shown} is a folder, and static_files must match files only.", f'Write "{shown}/**/*" instead.')
    return [path for path in found if path not in folders]


def _inside(app: Path, pattern: str) -> str:
    path = normpath(app / "supabase" / pattern)
    if not path.startswith(f"{app}{os.sep}"):
        raise Refused(f"supabase/config.toml: the static file {pattern} lies outside the app.", "Move it into the app.")
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
