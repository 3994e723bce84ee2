"""`inv sandbox`: the stand-in runs until Ctrl-C, with a project that is as production was before the migration."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import structs

from migration import context as contexts
from migration.base.command import inv
from migration.base.errors import Interrupted, ServiceFailed
from migration.base.interrupts import between
from migration.base.progress import Observer
from migration.config import load as configuration
from migration.config import madeup
from migration.config.environment import STARTING
from migration.config.settings import Config
from migration.context import Context
from migration.rehearsal import clone as clones
from migration.rehearsal import hosts, requests, review, runtime
from migration.rehearsal.backend import storage
from migration.rehearsal.clone import Clone
from migration.rehearsal.mistake import located
from migration.rehearsal.running import LOCK, Running, held, start, write_json
from migration.source import reader


def run(
    root: Path, observer: Observer, port: int, fresh: bool, ready: Callable[[Mapping[str, Any]], None],
    seen: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:  # fmt: skip
    """Start it, say how to reach it, wait, and pass each request on to `seen`. Refused when port or folder is taken."""
    config = configuration.load(root, review=review.mistakes)
    folder = root / ".cutover" / "sandbox"
    with boot(root, config, folder, observer, port=port, fresh=fresh) as running:
        ready(described(running))
        _wait(running, seen)
        observer.note(_STOPPED)


def boot(
    root: Path, config: Config, folder: Path, observer: Observer, *, port: int = 0, fresh: bool = False
) -> Running:
    """A running sandbox with its clone of the app; an empty project is given what was live before the migration."""
    observer.step("clone", detail="the app, with a remote of its own")
    app = (config.folder / config.app.path).resolve()
    with held(folder):  # a sandbox that runs here keeps its clone as it is
        if fresh:
            _forget(folder)
        clone = clones.make(folder, app, fresh=fresh, branch=config.app.branch, base=config.app.base)
        clone, news = clones.update(clone, app, branch=config.app.branch, base=config.app.base)
        note(folder, clone, app)
    observer.done("clone", detail="; ".join([f"{clone.app}, {clones.taken(clone, app)}", *news]))
    for text in clones.left_out(app, clone.branch):
        observer.warn(text)
    observer.step("start", detail="Management API, gateway, log store, providers")
    with located(config):
        wanted = {**settings(config, root, observer), "migrations": migrations(clone)}
        news = changes(folder, wanted)
    with _starting(folder) as half_filled:
        with located(config):
            running = start(folder, port, wanted)
        try:
            if half_filled:
                running.reset()
            context = contexts.attach(root, config, folder, observer)
            if not context.supabase.functions():
                _mark(folder, _FILLING)
                secrets(context)
                functions(context, clone, slugs(config))
        except BaseException:
            running.stop()
            raise
    observer.done("start", detail="; ".join([running.url, *news]))
    return running


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[bool]:
    """Other processes find the sandbox only once its project is as production was before the migration. Yields whether
    an earlier start ended while it filled the project."""
    mark = folder / STARTING
    half_filled = mark.is_file() and _FILLING in mark.read_text()
    _mark(folder, _FILLING if half_filled else "")
    yield half_filled
    mark.unlink()


def _mark(folder: Path, doing: str) -> None:
    (folder / STARTING).write_text(f"{os.getpid()} {doing}")


def settings(config: Config, root: Path, observer: Observer) -> dict[str, Any]:
    """The section `rehearsal` with paths made whole; workers share one cache of Deno's between sandboxes."""
    whole: dict[str, Any] = msgspec.to_builtins(config.rehearsal)
    kept = {key: value for key, value in whole.items() if value is not None and key != "baseline"}
    if config.rehearsal.import_map:
        kept["import_map"] = str((config.folder / config.rehearsal.import_map).resolve())
    if (executable := runtime.choose(kept.pop("deno", None), root, observer)) is not None:
        kept["deno_path"] = str(executable)
    kept["hosts"] = hosts.found(config.rehearsal.hosts, config.folder)
    kept["storage"] = storage.found(config.rehearsal.storage, config.folder)
    return {"deno_dir": str(root / ".cutover" / "deno"), **_offered(config), **kept}


def migrations(clone: Clone) -> list[tuple[str, str]]:
    """Version and name of the SQL files that production's database had before the migration."""
    listed = clone.repository.git("ls-tree", "-r", "--name-only", clone.base or clone.head, "supabase/migrations").text
    matches = (_SQL.fullmatch(line) for line in listed.splitlines())
    return sorted((match[1], match[2]) for match in matches if match)


def _offered(config: Config) -> dict[str, Any]:
    """What OpenRouter's stand-in lists, and the hosts of providers with an address of their own."""
    models = [provider.listed for provider in config.providers.values() if provider.kind == "openrouter"]
    target = config.target
    price = structs.asdict(target.price) if target and target.price else {}
    addresses = {
        urlsplit(provider.url).netloc: provider.kind
        for provider in config.providers.values()
        if provider.url and provider.kind != "none"
    }
    prices = {name: float(value) for name, value in price.items()}
    offered = {"models": list(filter(None, models)), "price": prices, "addresses": addresses}
    return offered | {"formats": madeup.formats(config)}


def changes(folder: Path, wanted: Mapping[str, Any]) -> list[str]:
    """The keys of config.yaml that differ from the last start in this folder; empty at the first one."""
    try:
        before: dict[str, Any] = json.loads((folder / "settings.json").read_text())["rehearsal"]
    except (OSError, ValueError, KeyError):
        return []
    after = json.loads(json.dumps(wanted))
    differ = sorted(
        {
            key
            for name in (before.keys() | after.keys()) - {"deno_dir", "migrations"}
            for key in _differ(name, before, after)
        }
    )
    return [f"changed since the last start: {', '.join(differ)}"] if differ else []


def _differ(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    one, other = before.get(name), after.get(name)
    if name in _FROM_SECTIONS:
        return [_FROM_SECTIONS[name]] if one != other else []
    if isinstance(one or {}, dict) and isinstance(other or {}, dict):
        keys = (one or {}).keys() | (other or {}).keys()
        return [f"rehearsal.{name}.{key}" for key in keys if (one or {}).get(key) != (other or {}).get(key)]
    shown = {"deno_path": "deno"}.get(name, name)
    return [f"rehearsal.{shown}"] if one != other else []


def described(running: Running) -> dict[str, Any]:
    """What `inv sandbox` says, with the line that points a shell, and the real CLI in it, at the sandbox."""
    keys = ("api_url", "url", "site", "access_token", "project_ref", "profile", "anon_key", "user_email",
            "user_password")  # fmt: skip
    about = {key: running.info[key] for key in keys}
    return {**about, "app": noted(running.folder)["app"], "exports": [running.exports]}


def _wait(running: Running, seen: Callable[[Mapping[str, Any]], None] | None) -> None:
    between(_STOPPED, exit_code=0)
    try:
        if seen:
            for request in requests.follow(running.folder / requests.NAME, lambda: running.process.poll() is None):
                seen(request)
        running.process.wait()
    except Interrupted:
        return
    raise ServiceFailed(f"The sandbox stopped unexpectedly: see {running.folder / 'server.log'}", inv("sandbox"))


def _forget(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != LOCK:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


NOTE = "clone.json"
_FILLING = "filling"  # what `starting` says while the empty project is being filled
_STOPPED = "Sandbox stopped. Its state is kept."
# What the stand-ins take over from other sections.
_FROM_SECTIONS = {"models": "providers", "price": "providers", "addresses": "providers", "formats": "secrets"}
# As the CLI reads them: the digits before the first underscore are the version.
_SQL = re.compile(r".*supabase/migrations/(\d+)_([^/]*)\.sql")


def note(folder: Path, clone: Clone, source: Path) -> None:
    """Tell the other verbs where the sandbox's clone is, of which app, and what is before and after the migration."""
    known = {"app": str(clone.app), "base": clone.base, "head": clone.head, "branch": clone.branch}
    write_json(folder / NOTE, {**known, "source": str(source)})


def noted(folder: Path) -> dict[str, str]:
    return dict(json.loads((folder / NOTE).read_text()))


def slugs(config: Config) -> list[str]:
    return [*config.migration.functions, *config.migration.unchanged]


def functions(context: Context, clone: Clone, wanted: Iterable[str]) -> list[str]:
    """Deploy these functions as they are before the migration; one that it creates is not there yet."""
    sources = reader.reader(context).at(clone.base, wanted)
    for each in sources.values():
        context.supabase.deploy(each.upload())
    return list(sources)


def secrets(context: Context, names: Collection[str] | None = None) -> None:
    """The secrets that the migration needs, or those of these names."""
    whole = context.environment.secrets
    if wanted := whole if names is None else {name: whole[name] for name in names if name in whole}:
        context.supabase.set_secrets(wanted)


def read_before(context: Context, clone: Clone, config: Config) -> set[str]:
    """The secrets that the functions read before the migration: production has them already."""
    sources = reader.reader(context).at(clone.base, slugs(config)) if config.secrets else {}
    texts = [data.decode("utf-8", "replace") for source in sources.values() for data in source.files.values()]
    return {name for name in config.secrets if any(re.search(rf"\b{name}\b", text) for text in texts)}
