"""Line ends: a clone may keep its files with others than git holds (core.autocrlf), and must not deploy others."""

from __future__ import annotations

from collections.abc import Mapping

from migration.git.repository import QUIET, Repository

PLAIN = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")  # .gitattributes still count, as they do for everybody
_CRLF = b"\r\n"


def committed(repository: Repository, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as they are, but those that differ from HEAD in line ends alone, and not for git, as HEAD has them."""
    crossed = [path for path, data in files.items() if _CRLF in data]
    if not crossed or repository.revision() is None:
        return dict(files)
    unsaved = set(repository.dirty(crossed))
    return {**files, **{path: _theirs(repository, path, files[path]) for path in crossed if path not in unsaved}}


def _theirs(repository: Repository, path: str, data: bytes) -> bytes:
    done = repository.run(*PLAIN, *QUIET, "cat-file", "--filters", f"HEAD:{repository.prefix}{path}")
    same = done.ok and done.out.replace(_CRLF, b"\n") == data.replace(_CRLF, b"\n")
    return done.out if same else data
