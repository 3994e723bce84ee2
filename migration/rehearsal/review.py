"""Every mistake in the section `rehearsal` of config.yaml, found without starting anything."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from migration.base.errors import Refused
from migration.config import builder
from migration.config.settings import Rehearsal
from migration.context import SAMPLE
from migration.rehearsal import hosts, identity, site
from migration.rehearsal.backend import rest, storage
from migration.rehearsal.backend.relay import Stack
from migration.rehearsal.backend.tables import Tables
from migration.rehearsal.backend.users import Users
from migration.rehearsal.logstore import Ingest
from migration.rehearsal.mistake import SettingError, unknown
from migration.rehearsal.options import Limits, PlatformOptions
from migration.rehearsal.providers import shared
from migration.rehearsal.providers.program import BadProgram
from migration.source import importmap

Mistake = tuple[tuple[str | int, ...], str]
Check = Callable[[], object]

_HOST = re.compile(r"(?=.{1,253}(:|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?")
_LOGS = ("queries_per_minute", "quote_counts")


def mistakes(data: Mapping[str, Any], folder: Path) -> list[Mistake]:
    """The path from the top of the file to each value, and what is wrong there; nothing where nothing is written.

    `data` is the whole file as it is written, in this folder. Of a section with mistakes in its keys the others count.
    """
    written, app = data.get("rehearsal"), data.get("app")
    if not written or not isinstance(written, dict):
        return []
    section = Rehearsal(**builder.sections(Rehearsal, written, []))
    path = app.get("path") if isinstance(app, dict) else None
    there = (folder / path).resolve() if isinstance(path, str) and "\0" not in path else None
    with tempfile.TemporaryDirectory(prefix="cutover-review-") as scratch:
        return [mistake for check in _checks(section, folder, there, Path(scratch)) if (mistake := _tried(check))]


def _tried(check: Check) -> Mistake | None:
    try:
        check()
    except SettingError as error:
        return error.path, error.why
    return None


def _checks(section: Rehearsal, folder: Path, app: Path | None, scratch: Path) -> Iterator[Check]:
    yield from _hosts(section.hosts, folder)
    for name, program in section.providers.items():
        yield partial(_program, name, program)
    for name, value in section.edge.items():
        yield partial(Limits.of, {"edge": {name: value}})
    for name, value in section.management.items():
        yield partial(PlatformOptions.of, {name: value})
    for name, value in section.logs.items():
        yield partial(_logs, name, value)
    yield from _backend(section, folder, scratch)
    yield partial(_site, section, app)
    yield partial(_import_map, section, folder)


def _hosts(section: Mapping[str, Any], folder: Path) -> Iterator[Check]:
    plain = {name: name.strip().lower().rstrip(".") for name in section}
    count = Counter(plain.values())
    for name, value in section.items():
        yield partial(_host, name, plain[name], count)
        yield partial(_answers, name, value, folder)


def _host(name: str, plain: str, count: Mapping[str, int]) -> None:
    """As it stands in an address: nothing else is ever looked up."""
    if count[plain] > 1:
        raise SettingError(("hosts", name), f"{plain} is declared {count[plain]} times: keep one")
    if not _HOST.fullmatch(plain):
        raise SettingError(("hosts", name), "should be a host alone, as api.stripe.com or localhost:8080")
    if name != plain:
        raise SettingError(("hosts", name), f"should be written as {plain}")


def _answers(name: str, value: Any, folder: Path) -> None:
    hosts.read(hosts.found({name: value}, folder))


def _program(name: str, program: Any) -> None:
    try:
        shared.read({name: program})
    except BadProgram as error:
        raise SettingError(("providers", name), str(error)) from None


def _logs(name: str, value: Any) -> None:
    known = [each.name for each in fields(Ingest)]
    if name not in (*known, *_LOGS):
        raise unknown(("logs", name), (*known, *_LOGS))
    wanted = bool if name == "quote_counts" else int | float
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(value, wanted):
        raise SettingError(("logs", name), "should be true or false" if wanted is bool else "should be a number")


def _backend(section: Rehearsal, folder: Path, scratch: Path) -> Iterator[Check]:
    """What answers for the project's services: a local stack, or what the section holds for each."""
    if section.backend:
        yield partial(Stack.of, section.backend)
    yield partial(_database, section.database or {}, scratch)
    own = identity.load(scratch)
    for name, about in section.users.items():
        yield partial(Users, own, {name: about}, scratch / "users.json")
    for name, about in section.storage.items():
        yield partial(_bucket, name, about, folder, scratch)


def _database(section: Any, scratch: Path) -> None:
    Tables(rest.checked(section), scratch / "database.json")


def _bucket(name: str, about: Any, folder: Path, scratch: Path) -> None:
    storage.Buckets(storage.found({name: about}, folder), scratch / "storage")


def _site(section: Rehearsal, app: Path | None) -> None:
    """Where the app is not there, that is the mistake, and it is named by whoever reads the app."""
    folder = site.read(section.site).get("folder")
    if folder and app is not None and app != SAMPLE.resolve() and app.is_dir() and not (app / folder).is_dir():
        raise SettingError(("site",), f"there is no folder {folder} in the app")


def _import_map(section: Rehearsal, folder: Path) -> None:
    if not section.import_map:
        return
    try:
        importmap.load((folder / section.import_map).resolve())
    except Refused as error:
        raise SettingError(("import_map",), error.message.rstrip(".")) from None
