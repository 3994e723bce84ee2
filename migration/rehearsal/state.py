"""What the stand-in platform remembers: function versions, staged versions and secrets, on disk before it answers."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.base.command import inv
from migration.base.errors import Refused
from migration.rehearsal.types import FaultSource, LiveFunction

KEPT_VERSIONS = 5


class Conflict(Exception):
    """The platform's answer 409; the text is its message."""


class InvalidRequest(Exception):
    """The platform's answer 400; the text is its message."""


@dataclass(frozen=True)
class Version:
    """One uploaded bundle; paths are relative to the project root, `digest` covers files and entrypoint."""

    version: int
    entrypoint: str
    import_map: str
    verify_jwt: bool
    digest: str
    name: str
    updated_at: int
    static: tuple[str, ...] = ()


@dataclass
class FunctionRecord:
    """A function: `live` answers callers, `staged` waits for its activation."""

    id: str
    slug: str
    created_at: int
    live: Version | None = None
    staged: Version | None = None
    past: list[Version] = field(default_factory=list)


@dataclass(frozen=True)
class StoredSecret:
    value: str
    updated_at: str

    @property
    def digest(self) -> str:
        return digest(self.value)


class ProjectState:
    """Functions and secrets of one project. Not thread-safe: only the server's event loop changes it.

    variables: secrets that the settings name, set again at each start where they changed.
    """

    def __init__(
        self,
        folder: Path,
        faults: FaultSource | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._path = folder / "state.json"
        self.bundles = folder / "bundles"
        self._faults = faults
        self._variables = dict(variables or {})
        self._given: dict[str, str] = {}  # the variables as they were last set from the settings
        self.functions: dict[str, FunctionRecord] = {}
        self.vault: dict[str, StoredSecret] = {}
        self._load()

    # what the other parts ask

    def live(self, slug: str, region: str | None = None) -> LiveFunction | None:
        """What answers callers of this region; a fault `stale` or `missing` on operation `route` changes it."""
        record = self.functions.get(slug)
        if record is None or record.live is None:
            return None
        served = self._routed(record, record.live, region)
        return self.served(record, served) if served else None

    def secrets(self) -> dict[str, str]:
        return {name: stored.value for name, stored in self.vault.items()}

    def _routed(self, record: FunctionRecord, live: Version, region: str | None) -> Version | None:
        fault = self._faults.take("route", record.slug, region) if self._faults else None
        if fault is None:
            return live
        if fault.get("do") == "missing":
            return None
        wanted = fault.get("version")
        older = [past for past in record.past if wanted is None or past.version == wanted]
        return older[-1] if older else live

    def served(self, record: FunctionRecord, version: Version) -> LiveFunction:
        return LiveFunction(
            id=record.id,
            slug=record.slug,
            version=version.version,
            tree=self.tree(record.slug, version.version),
            entrypoint=version.entrypoint,
            import_map=version.import_map,
            verify_jwt=version.verify_jwt,
            static=tuple(version.static),
        )

    def tree(self, slug: str, version: int) -> Path:
        return self.bundles / slug / str(version)

    # changes

    def stage(self, slug: str, uploaded: Version, files: Mapping[str, bytes]) -> tuple[FunctionRecord, Version]:
        """Keep a bundle without serving it. Conflict while another staged version is unsettled."""
        record = self.functions.get(slug) or FunctionRecord(str(uuid.uuid4()), slug, now())
        if record.staged is not None:
            raise Conflict("deployment already exists")
        staged = replace(uploaded, version=_next(record))
        self._write_tree(slug, staged.version, files)
        record.staged = staged
        self.functions[slug] = record
        self.save()
        return record, staged

    def deploy(self, slug: str, uploaded: Version, files: Mapping[str, bytes]) -> tuple[FunctionRecord, Version]:
        """Stage and activate in one step: nothing can be stranded between the two."""
        record, staged = self.stage(slug, uploaded, files)
        self._promote(record, staged)
        self.save()
        return record, staged

    def activate(self, slug: str, version: int, changes: Mapping[str, Any]) -> FunctionRecord:
        """Make the staged version live, or repeat an activation that is done; settings not named stay. Call `save`.

        Conflict when that version is neither staged nor live.
        """
        record, kept = self.functions[slug], {}
        if record.staged is not None and record.staged.version == version:
            kept = {"verify_jwt": record.live.verify_jwt} if record.live else {}
            self._promote(record, record.staged)
        if record.live is None or record.live.version != version:
            raise Conflict(f"{slug}: version {version} is neither staged nor live")
        record.live = replace(record.live, **{**kept, **changes})
        return record

    def delete(self, slug: str) -> bool:
        if self.functions.pop(slug, None) is None:
            return False
        self.save()
        shutil.rmtree(self.bundles / slug, ignore_errors=True)
        return True

    def update(self, slug: str, **changes: Any) -> FunctionRecord | None:
        """New settings for the live version; None when there is none."""
        record = self.functions.get(slug)
        if record is None or record.live is None:
            return None
        record.live = replace(record.live, updated_at=now(), **changes)
        self.save()
        return record

    def set_secrets(self, values: Mapping[str, str]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.vault.update({name: StoredSecret(value, moment) for name, value in values.items()})
        self.save()

    def unset_secrets(self, names: list[str]) -> None:
        for name in names:
            self.vault.pop(name, None)
        self.save()

    def reset(self) -> None:
        """Back to the first state: no function, the variables of the settings."""
        self.functions.clear()
        self.vault.clear()
        shutil.rmtree(self.bundles, ignore_errors=True)
        self._given = {}
        self.save()
        self._take_variables()

    # disk

    def save(self) -> None:
        """Not synced, because twenty uploads at once each wait for it: it outlives a kill, not a power cut."""
        functions = {slug: _raw(record) for slug, record in self.functions.items()}
        vault = {name: vars(stored) for name, stored in self.vault.items()}
        whole = json.dumps({"functions": functions, "secrets": vault, "variables": self._given}, ensure_ascii=False)
        durable.write(self._path, whole.encode(), sync=False)

    def _load(self) -> None:
        """Refused when the file is damaged; a project with the variables when there is none."""
        if not self._path.exists():
            return self._take_variables()
        try:
            saved = json.loads(self._path.read_text())
            self.functions = {slug: _record(raw) for slug, raw in saved["functions"].items()}
            self.vault = {name: StoredSecret(**raw) for name, raw in saved["secrets"].items()}
            self._given = dict(saved.get("variables", {}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"{self._path} is damaged: {error}", inv("sandbox", fresh=True)) from None
        return self._take_variables()

    def _take_variables(self) -> None:
        """Set the variables that changed in the settings since they were last set, and unset those that left them."""
        changed = {name: value for name, value in self._variables.items() if self._given.get(name) != value}
        for name in self._given.keys() - self._variables.keys():
            if name in self.vault and self.vault[name].value == self._given[name]:
                del self.vault[name]
        if changed or self._given != self._variables:
            self._given = dict(self._variables)
            self.set_secrets(changed)

    def _promote(self, record: FunctionRecord, staged: Version) -> None:
        if record.live is not None:
            record.past.append(record.live)
        record.live, record.staged = replace(staged, updated_at=now()), None
        for old in record.past[:-KEPT_VERSIONS]:
            shutil.rmtree(self.tree(record.slug, old.version), ignore_errors=True)
        del record.past[:-KEPT_VERSIONS]

    def _write_tree(self, slug: str, version: int, files: Mapping[str, bytes]) -> None:
        tree = self.tree(slug, version)
        shutil.rmtree(tree, ignore_errors=True)
        for path, data in files.items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def _raw(record: FunctionRecord) -> dict[str, Any]:
    versions = {
        name: vars(version) if version else None for name, version in (("live", record.live), ("staged", record.staged))
    }
    return {**vars(record), **versions, "past": [vars(old) for old in record.past]}


def _record(raw: dict[str, Any]) -> FunctionRecord:
    versions: Callable[[Any], Version | None] = lambda found: Version(**found) if found else None  # noqa: E731
    past = [Version(**old) for old in raw["past"]]
    return FunctionRecord(
        raw["id"], raw["slug"], raw["created_at"], versions(raw["live"]), versions(raw["staged"]), past
    )


def digest(value: str) -> str:
    """What the platform shows of a secret."""
    return hashlib.sha256(value.encode()).hexdigest()


def _next(record: FunctionRecord) -> int:
    return (record.live.version if record.live else 0) + 1


def now() -> int:
    return time.time_ns() // 1_000_000
