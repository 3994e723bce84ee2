"""The objects of the Management API. Importing them imports nothing of HTTP, which takes long."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from migration.base.secrets_type import Secret

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Function:
    """A deployed function as the platform lists it; times in ms since 1970, `raw` the whole object."""

    id: str
    slug: str
    name: str
    status: str
    version: int
    created_at: int | None = None
    updated_at: int | None = None
    verify_jwt: bool | None = None
    import_map: bool | None = None
    entrypoint_path: str | None = None
    import_map_path: str | None = None
    ezbr_sha256: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, row: Any) -> Function:
        """ValueError when id, slug, status or version is missing or has another type."""
        from migration.clients.reading import row as read

        if not isinstance(row, dict):
            return read(cls, row)
        return read(cls, {**row, "name": row.get("name") or row.get("slug"), "raw": row})


class SecretDigest(msgspec.Struct, frozen=True, rename={"digest": "value"}):
    """A secret as the platform lists it: the hex SHA-256 of its value, never the value."""

    name: str
    digest: str
    updated_at: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether it has the form of a SHA-256."""
        return bool(_SHA256.fullmatch(self.digest))


def same(listed: SecretDigest | None, local: Secret | None, known: str | None) -> bool | None:
    """Whether the listed digest equals that of the value, or the known one; None where it cannot be compared."""
    expected = hashlib.sha256(local.reveal().encode()).hexdigest() if local else known
    if listed is None or expected is None or not listed.comparable:
        return None
    return listed.digest == expected


@dataclass(frozen=True)
class Upload:
    """One function ready to send: metadata keys and files in the order in which they go out."""

    slug: str
    metadata: Mapping[str, Any]
    files: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Body:
    """A downloaded function: the metadata part ({} without one) and the files by their path as sent."""

    metadata: Mapping[str, Any]
    files: Mapping[str, bytes]
