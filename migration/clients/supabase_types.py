"""What the Management API's answers and requests are made of. No part of HTTP is imported for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    def of(cls, raw: Mapping[str, Any]) -> Function:
        """ValueError when a key that must be there is not, or has another type."""
        try:
            known: dict[str, Any] = {name: raw.get(name) for name in cls.__dataclass_fields__ if name != "raw"}
            known["name"] = raw.get("name") or raw["slug"]
            if not isinstance(raw["version"], int) or not isinstance(raw["id"], str):
                raise TypeError("version must be an integer and id a string")
            known["slug"], known["status"] = str(raw["slug"]), str(raw["status"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a function: {error}") from None
        return cls(**known, raw=dict(raw))


@dataclass(frozen=True)
class SecretDigest:
    """What the platform shows of a secret: the hex SHA-256 of its value, never the value."""

    name: str
    digest: str
    updated_at: str | None = None

    @property
    def comparable(self) -> bool:
        """Whether it is the SHA-256 that we take it for."""
        return bool(_SHA256.fullmatch(self.digest))


def same(listed: SecretDigest | None, local: Secret | None, known: str | None) -> bool | None:
    """Whether the listed digest is that of the value, or the known one; None where there is nothing to compare."""
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
