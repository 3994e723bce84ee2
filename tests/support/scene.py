"""An app of small functions with a remote of its own, and a context that acts on a running sandbox."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from migration.base.clock import Clock
from migration.base.secrets_type import Secret
from migration.clients.supabase_types import Upload
from migration.config import load as configuration
from migration.config.environment import Environment
from migration.context import Context
from migration.deploy import deploy
from migration.git.repository import Repository
from migration.rehearsal.server import Running
from tests.support import repos
from tests.support.collector import Collector

FUNCTIONS = ("alpha", "beta")


def text(version: int | str, extra: str = "") -> str:
    """A function that answers with its version."""
    return f'{extra}Deno.serve(() => new Response("{version}"));\n'


def index(slug: str) -> str:
    return f"supabase/functions/{slug}/index.ts"


@dataclass
class Scene:
    """`folder/root` stands for the folder of tasks.py, `folder/app` for the app's clone."""

    folder: Path
    running: Running
    settings: Mapping[str, Any]
    functions: tuple[str, ...] = FUNCTIONS

    @property
    def app(self) -> Path:
        return self.folder / "app"

    def commit(self, files: Mapping[str, str | None], subject: str = "Change", push: bool = True) -> str:
        revision = repos.commit(self.app, files, subject)
        if push:
            repos.git(self.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        return revision

    def change(self, version: int | str, *slugs: str) -> str:
        """Commit and push a new version of these functions (of all)."""
        return self.commit({index(slug): text(version) for slug in slugs or self.functions}, f"Version {version}")

    def context(self, app: Path | None = None, root: str = "root", clock: Clock | None = None) -> Context:
        """A fresh context, as a new process would have it."""
        own = self.folder / root
        own.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # a folder that is read-only has one already
            (own / "config.yaml").write_text(yaml.safe_dump(self.written()))
        environment = Environment(
            "prod",
            url=self.running.url,
            project_ref=self.running.project_ref,
            api_url=self.running.api_url,
            access_token=Secret(self.running.access_token),
            confirm=True,
            anon_key=Secret(self.running.anon_key),
        )
        found = Context(configuration.load(own), environment, own, app or self.app, Collector(), clock or Clock())
        found.__dict__["repository"] = Repository(found.app, repos.QUIET)
        return found

    def written(self) -> dict[str, Any]:
        """What config.yaml holds; the migration moves to the first provider there is."""
        moves = {"to": next(iter(self.settings["providers"]))} if self.settings.get("providers") else {}
        return {
            "migration": {"name": "test", "functions": list(self.functions), "unchanged": ["other"], **moves},
            "app": {"path": str(self.app)},
            "environments": {"prod": {"url": self.running.url, "project_ref": self.running.project_ref}},
            **self.settings,
            "gate": {"probe": "options", **self.settings.get("gate", {})},  # most scenes have no smoke cases
        }


def make(folder: Path, running: Running, functions: tuple[str, ...] = FUNCTIONS, **settings: Any) -> Scene:
    """The app has one commit, version 1 of every function, and nothing is deployed."""
    repos.bare(folder / "remote.git")
    repos.clone(folder / "remote.git", folder / "app")
    scene = Scene(folder, running, settings, functions)
    files = {index(slug): text(1) for slug in (*functions, "other")}
    scene.commit({**files, "supabase/config.toml": 'project_id = "test"\n'}, "Version 1")
    return scene


_TEMPLATES: dict[tuple[str, ...], Path] = {}


def deployed(folder: Path, running: Running, functions: tuple[str, ...] = FUNCTIONS, **settings: Any) -> Scene:
    """As `make`, with version 1 live and on record. What git holds of that is made once and copied."""
    first = _TEMPLATES.get(functions)
    if first is None:
        first = Path(tempfile.mkdtemp(prefix="scene-"))
        atexit.register(shutil.rmtree, first, ignore_errors=True)
        original = make(first, running, functions)
        deploy.run(original.context(), deploy.DeployOptions(yes=True, gate=False))
        for function in original.context().supabase.functions():
            original.context().supabase.delete(function.slug)
        _TEMPLATES[functions] = first
    for name in ("app", "remote.git"):
        shutil.copytree(first / name, folder / name, symlinks=True)
    config = folder / "app/.git/config"
    config.write_text(config.read_text().replace(str(first), str(folder)))
    scene = Scene(folder, running, settings, functions)
    platform = scene.context().supabase
    for slug in functions:
        about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
        platform.deploy(Upload(slug, about, [(index(slug), text(1).encode())]))
    return scene


class Hurried(Clock):
    """Real time, except that a sleep is mostly skipped: the clock jumps over it."""

    def __init__(self, share: float = 0.05) -> None:
        self.share = share
        self._skipped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds * self.share)
        self._skipped += max(seconds, 0.0) * (1 - self.share)
