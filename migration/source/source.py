"""A function's source: exactly the files that are sent for it, and their metadata."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os.path import normpath
from pathlib import Path
from typing import Any

from migration.base.command import AGAIN, Do
from migration.base.errors import Refused
from migration.clients.supabase_types import Upload


@dataclass(frozen=True)
class Source:
    """The files of one function by path (relative to the app, `/` between parts) and what config.toml says.

    `verify_jwt` is None where nothing is written: the platform then keeps what it has. `local`: every import is a
    file of the app. `loose`: files that are sent only because an import map names their folder, as the CLI sends
    them; nothing that runs can reach them, so they count for nothing else. `links`: the symlinks on the way to the
    files, with their targets; `real`: where a file behind such a link is. `absent`: files that only types or a dynamic
    import name, and that are not there.
    """

    slug: str
    entrypoint: str
    files: Mapping[str, bytes] = field(repr=False)
    import_map: str = ""
    static_patterns: tuple[str, ...] = ()
    verify_jwt: bool | None = None
    warnings: tuple[str, ...] = ()
    local: bool = field(default=False, compare=False)
    loose: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    real: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file that is not loose, by path."""
        return {path: _sha256(data) for path, data in sorted(self.files.items()) if path not in self.loose}

    @cached_property
    def tracked(self) -> dict[str, str]:
        """The same by path in git: the file behind a symlink, and the symlink."""
        files = {self.real.get(path, path): value for path, value in self.hashes.items()}
        return {**files, **{path: _sha256(target.encode()) for path, target in self.links.items()}}

    @cached_property
    def from_entrypoint(self) -> dict[str, str]:
        """The same by path as seen from the entrypoint: the platform may cut the folders above off."""
        return {self._seen(path): value for path, value in self.hashes.items()}

    @property
    def loose_from_entrypoint(self) -> set[str]:
        """The loose files, seen so."""
        return {self._seen(path) for path in self.loose}

    def _seen(self, path: str) -> str:
        return posixpath.relpath(path, posixpath.dirname(self.entrypoint) or ".")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files that are not loose, and metadata: equal digests mean that nothing would change."""
        return hashlib.sha256(canonical({**self.metadata(), "files": self.hashes})).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files that are sent."""
        return sum(map(len, self.files.values()))

    def metadata(self) -> dict[str, Any]:
        """The metadata part in sent order."""
        known = self.verify_jwt
        head = {"entrypoint_path": self.entrypoint, "import_map_path": self.import_map}
        body = {"static_patterns": list(self.static_patterns)} | ({} if known is None else {"verify_jwt": known})
        return {**head, **body, "name": self.slug}

    def upload(self, verify_jwt: bool | None = None) -> Upload:
        """Ready to send, with exactly this `verify_jwt`; None sends what is written, if anything is."""
        sent = self if verify_jwt is None else replace(self, verify_jwt=verify_jwt)
        return Upload(self.slug, sent.metadata(), list(self.files.items()))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON that is the same for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write(source: Source, folder: Path) -> Path:
    """Put the files under a folder, which stands for the app; returns the entrypoint's path.

    Refused for a path that leads out of the folder.
    """
    for name, data in source.files.items():
        path = folder / name
        if not Path(normpath(path)).is_relative_to(folder):
            raise Refused(f"{source.slug}: the path {name} leads outside the app.", Do("correct that path"), AGAIN)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / source.entrypoint
