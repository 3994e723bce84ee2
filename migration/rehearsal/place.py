"""The state folder of a running sandbox: who holds it, and what others must know to use it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from migration.base.errors import Refused

from .files import write_json, write_text
from .types import Sandbox

INFO, PROFILE, LOCK = "sandbox.json", "profile.yaml", "server.lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Own the folder for as long as this process lives; the kernel lets go even after kill -9."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise Refused(f"the sandbox's folder {folder} cannot be written ({error.strerror}): name another one") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(_taken(folder)) from None
        yield


def _taken(folder: Path) -> str:
    known = read(folder) or {}
    where = f" at {known['url']} (process {known['pid']})" if known else ""
    return f"a sandbox is running in {folder} already{where}: use that one, or stop it first"


def read(folder: Path) -> dict[str, Any] | None:
    """What a running sandbox wrote; None when none has."""
    try:
        found = json.loads((folder / INFO).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(sandbox: Sandbox) -> None:
    """`sandbox.json` and the CLI's profile, both for their owner alone."""
    profile = {"name": "sandbox", "api_url": sandbox.url, "dashboard_url": sandbox.url, "project_host": _host(sandbox)}
    write_text(sandbox.folder / PROFILE, yaml.safe_dump(profile, sort_keys=False))
    write_json(sandbox.folder / INFO, info(sandbox))


def info(sandbox: Sandbox) -> dict[str, Any]:
    """All keys of the identity, and pid, port, api_url, url, folder, profile, app."""
    identity = {name: list(held) if isinstance(held, tuple) else held for name, held in vars(sandbox.identity).items()}
    return {
        "pid": os.getpid(),
        "port": urlsplit(sandbox.url).port,
        "api_url": sandbox.url,
        "url": sandbox.url,
        "folder": str(sandbox.folder),
        "profile": str(sandbox.folder / PROFILE),
        "app": str(sandbox.folder / "app"),
        **identity,
    }


def forget(folder: Path) -> None:
    (folder / INFO).unlink(missing_ok=True)


def settings(config: Path | None) -> Mapping[str, Any]:
    """The section `rehearsal` of a YAML or JSON file; its import map is looked for beside that file."""
    if config is None:
        return {}
    try:
        found = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise Refused(f"{config} cannot be read: {error}") from None
    section = (found.get("rehearsal") or {}) if isinstance(found, dict) else {}
    if section.get("import_map"):
        section["import_map"] = str((config.parent / section["import_map"]).absolute())
    return dict(section)


def _host(sandbox: Sandbox) -> str:
    return urlsplit(sandbox.url).hostname or ""
