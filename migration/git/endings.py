"""Line endings: a clone may have others than git holds (core.autocrlf); what is deployed must not depend on them."""

from __future__ import annotations

from collections.abc import Mapping

from migration.git.repository import QUIET, Repository

PLAIN = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")  # .gitattributes still count, as in every clone
_CRLF = b"\r\n"


def committed(repository: Repository, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files; those that differ from HEAD in line endings alone, and that git calls clean, as HEAD has them."""
    crossed = [path for path, data in files.items() if _CRLF in data]
    if not crossed or repository.revision() is None:
        return dict(files)
    unsaved = set(repository.dirty(crossed))
    return {**files, **{path: _as_committed(repository, path, files[path]) for path in crossed if path not in unsaved}}


def _as_committed(repository: Repository, path: str, data: bytes) -> bytes:
    done = repository.run(*PLAIN, *QUIET, "cat-file", "--filters", f"HEAD:{repository.prefix}{path}")
    same = done.ok and done.out.replace(_CRLF, b"\n") == data.replace(_CRLF, b"\n")
    return done.out if same else data
