"""`inv sandbox`: the stand-in runs until Ctrl-C, with a project that is as production was before the migration."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from migration.base.errors import Interrupted, ServiceFailed
from migration.base.interrupts import between
from migration.base.progress import Observer
from migration.config import load as configuration
from migration.config.settings import Config

from .. import context as contexts
from . import clone as clones
from . import seed
from .running import Running, start


def run(root: Path, observer: Observer, port: int, fresh: bool, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Start it, say how to reach it, wait. Refused when the port or the folder is taken."""
    config = configuration.load(root)
    folder = root / ".cutover" / "sandbox"
    with boot(root, config, folder, observer, port=port, fresh=fresh) as running:
        ready(described(running))
        _wait(running)


def boot(
    root: Path, config: Config, folder: Path, observer: Observer, *, port: int = 0, fresh: bool = False
) -> Running:
    """A running sandbox with its clone of the app; an empty project is given what was live before the migration."""
    observer.step("clone", detail="the app, with a remote of its own")
    app = (config.folder / config.app.path).resolve()
    if fresh:
        _forget(folder)
    clone = clones.make(folder, app, fresh=fresh, branch=config.app.branch, base=config.app.base)
    seed.note(folder, clone)
    observer.done("clone", detail=str(clone.app))
    observer.step("start", detail="Management API, gateway, log store, providers")
    running = start(folder, port, settings(config, root))
    try:
        context = contexts.attach(root, config, folder, observer)
        if not context.supabase.functions():
            seed.secrets(context)
            seed.functions(context, clone, seed.slugs(config))
    except BaseException:
        running.stop()
        raise
    observer.done("start", detail=running.url)
    return running


def settings(config: Config, root: Path) -> dict[str, Any]:
    """The section `rehearsal` with paths made whole; workers share one cache of Deno's between sandboxes."""
    found = {key: value for key, value in structs.asdict(config.rehearsal).items() if value is not None}
    if config.rehearsal.import_map:
        found["import_map"] = str((config.folder / config.rehearsal.import_map).resolve())
    return {"deno_dir": str(root / ".cutover" / "deno"), **found}


def described(running: Running) -> dict[str, Any]:
    """What `inv sandbox` says, with the lines that point the real CLI at it."""
    keys = ("api_url", "url", "access_token", "project_ref", "profile", "anon_key", "user_email", "user_password")
    found = {key: running.info[key] for key in keys}
    exports = {
        "SUPABASE_PROFILE": found["profile"],
        "SUPABASE_ACCESS_TOKEN": found["access_token"],
        "SUPABASE_PROJECT_ID": found["project_ref"],
    }
    app = seed.noted(running.folder)["app"]
    return {**found, "app": app, "exports": [f"export {name}={value}" for name, value in exports.items()]}


def _wait(running: Running) -> None:
    between("The sandbox has stopped; its state is kept.", exit_code=0)
    try:
        running.process.wait()
    except Interrupted:
        return
    raise ServiceFailed(
        f"the sandbox ended by itself: see {running.folder / 'server.log'}", "start it again: inv sandbox"
    )


def _forget(folder: Path) -> None:
    from . import place

    with place.held(folder):
        for entry in folder.iterdir():
            if entry.name != place.LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
