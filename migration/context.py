"""One run's surroundings: the configuration, one environment, and the clients that a phase asks for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from migration.base.clock import Clock
from migration.base.command import Do, sh
from migration.base.durations import show
from migration.base.errors import ConfigError, Refused
from migration.base.limiter import RateLimiter
from migration.base.progress import Observer
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.config import load as configuration
from migration.config.environment import Environment, ProviderAccess, embedded, hosted, sandbox
from migration.config.settings import AppSettings, Config, EnvironmentSettings

if TYPE_CHECKING:
    from migration.base.finding import Finding
    from migration.clients.edge import Edge
    from migration.clients.http import Http
    from migration.clients.openrouter import OpenRouter
    from migration.clients.quota import Metered
    from migration.clients.supabase import Supabase
    from migration.git.repository import Repository
    from migration.ledger.ledger import Ledger
    from migration.ledger.lock import Lock

T = TypeVar("T")
SAMPLE = Path(__file__).parent / "rehearsal" / "app"


class made_once(cached_property[T]):
    """A `cached_property` that several threads may ask for at once: the first makes it, the others wait."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__(make)
        self._making = threading.RLock()

    if not TYPE_CHECKING:  # its types are those of its base

        def __get__(self, instance, owner=None):
            with self._making:
                return super().__get__(instance, owner)


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is not there yet. Makes nothing."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def temporary(folder: Path) -> Path:
    """The folder for temporary files that stands for this one: the same in each run, and only ours to write."""
    name = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
    instead = Path(tempfile.gettempdir()) / f"cutover-{os.getuid()}-{name}"
    with contextlib.suppress(OSError):
        instead.mkdir(mode=0o700, exist_ok=True)
        status = instead.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return instead
    return Path(tempfile.mkdtemp(prefix="cutover-"))  # another user has taken the name


@dataclass
class Context:
    """Everything a phase needs; clients are made when they are first needed, from any thread."""

    config: Config
    environment: Environment
    root: Path
    app: Path
    observer: Observer = field(default_factory=Observer)
    clock: Clock = field(default_factory=Clock)
    folder: Path | None = None

    @made_once
    def state(self) -> Path:
        """`.cutover`, beside tasks.py: caches and journals of this machine, nothing that others need.

        Where it cannot be written, a folder for temporary files that the next run finds again.
        """
        folder = self.folder or self.root / ".cutover"
        if writable(folder):
            return folder
        instead = temporary(folder)
        self.observer.warn(f"Cannot write to {folder}: caches and queued records of this machine are in {instead}.")
        return instead

    @property
    def remote(self) -> str:
        """The name of the app's git remote; the sandbox's clone has its own remote."""
        return "origin" if self.environment.embedded else self.config.app.remote

    def project(self) -> tuple[str, Secret]:
        """Project ref and access token; Refused or ConfigError without one. Imports no HTTP client."""
        own = self.environment
        if not own.project_ref:
            also = ", logs and checks" if own.logs.source else ""
            text = f"{own.name} has no project_ref: only smoke, soak, e2e{also} work there"
            raise Refused(text if also else text.replace(", e2e", " and e2e"), Do(_with_project(self.config)))
        key = f"environments.{own.name}.access_token"
        return own.project_ref, configuration.need(own.access_token, key, f"the project of {own.name}")

    @made_once
    def supabase(self) -> Supabase:
        from migration.clients.supabase import Supabase

        return Supabase(self.management, self.project()[0], Retry(self.clock))

    @made_once
    def management(self) -> Metered:
        """The Management API of this environment; it keeps the rate limit that the answers name."""
        from migration.clients.quota import Metered

        own, (_, token) = self.environment, self.project()
        headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
        return Metered(own.api_url, headers, name="the Management API", on_skew=self._warn_of_skew)

    @property
    def ahead(self) -> float:
        """Seconds of this machine's clock before the Management API's, as its last answer says; 0 where they agree."""
        return self.management.ahead if "management" in self.__dict__ else 0.0

    def _warn_of_skew(self, ahead: float) -> None:
        way = "ahead of" if ahead > 0 else "behind"
        text = f"This machine's clock is {show(abs(ahead))} {way} the Management API's."
        self.observer.warn(f"{text} Logs are read by time, so set the clock first: proof and criteria would find none.")

    @made_once
    def edge(self) -> Edge:
        from migration.clients.edge import Edge

        own = self.environment
        http = self._http(own.url, "the project", {})
        return Edge(http, own.anon_key, own.user_email, own.user_password)

    @property
    def target(self) -> ProviderAccess | None:
        """The provider that the migration moves to, as this environment reaches it."""
        return self.environment.providers.get(self.config.migration.to or "")

    @property
    def reports_usage(self) -> bool:
        """Whether the target can be asked what it booked on our key."""
        return self.target is not None and self.target.reports_usage

    @made_once
    def provider(self) -> OpenRouter:
        """The target's account. ConfigError where it cannot be read: no target, another kind, no key."""
        from migration.providers import openrouter

        access = self.target
        if access is None:
            raise ConfigError("No provider is configured.", Do("name one in migration.to and providers of config.yaml"))
        if access.kind != "openrouter" or not access.url:
            raise ConfigError(
                f"{access.name} does not report usage: only kind openrouter does.",
                Do("correct migration.to in config.yaml"),
            )
        setting = access.key or access.settings.key  # the latter names the variable without a value
        key = configuration.need(setting, f"providers.{access.name}.key", "the provider")
        return openrouter.client(access, key, Retry(self.clock))

    def check_provider(self) -> list[Finding]:
        """Problems of the migration's providers, present and near; an unreachable one is a finding, not an error."""
        from migration.providers import proofs

        return proofs.preflight(self.config, self.environment, self.clock.now(), Retry(self.clock))

    @made_once
    def log_limiter(self) -> RateLimiter:
        """The one budget of log queries that all readers of this run share."""
        return RateLimiter(self.clock, self.environment.log_queries)

    @made_once
    def repository(self) -> Repository:
        from migration.git.repository import Repository

        return Repository(self.app)

    @made_once
    def ledger(self) -> Ledger:
        from migration.git.refs import choose
        from migration.ledger.ledger import Ledger, LedgerAddress

        own, app = self.environment, self.config.app
        refs = choose(self.repository, self.remote, app.ledger, app.branch)
        environments = {} if own.embedded else self.config.environments
        siblings = frozenset(
            name for name, other in environments.items()
            if own.project_ref and other.project_ref == own.project_ref and name != own.name
        )  # fmt: skip
        address = LedgerAddress(own.name, own.project_ref or "", self._shared, app.ledger, siblings, own.embedded)
        return Ledger(self.repository, refs, address, self.observer, self.clock)

    @made_once
    def lock(self) -> Lock:
        from migration.ledger.lock import Lock

        return Lock(self.ledger, self._shared)

    @property
    def _shared(self) -> Path:
        """The folder of what ledger and lock keep on this machine; all users of a sandbox share its folder."""
        return self.app.parent if self.environment.embedded else self.state

    def _http(self, url: str, name: str, headers: dict[str, str]) -> Http:
        from migration.clients.http import Http

        return Http(url, headers, name=name)


def make(root: Path, name: str, observer: Observer | None = None, clock: Clock | None = None) -> Context:
    """The context of an environment by its name. Refused when the config has none of that name."""
    config = configuration.load(root)
    settings = config.environments.get(name)
    if settings is None:
        known = ", ".join(config.environments)
        text = f"config.yaml has no environment {name}." if name.strip() else "--env is empty: it needs a name."
        raise Refused(text, Do(f"use --env with one of: {known}"))
    extra: dict[str, Any] = {"observer": observer or Observer(), "clock": clock or Clock()}
    if settings.embedded:
        return attach(root, config, root / ".cutover" / "sandbox", name=name, **extra)
    return Context(config, hosted(config, root, name, settings), root, _app(config, settings), **extra)


def attach(
    root: Path,
    config: Config,
    folder: Path,
    observer: Observer | None = None,
    clock: Clock | None = None,
    name: str = "sandbox",
) -> Context:
    """The context of a running sandbox: its own clone, remote, keys and test user."""
    running = sandbox(folder)
    source, own_app = running.get("source"), (config.folder / config.app.path).resolve()
    if source and own_app.is_dir() and Path(source) != own_app:
        text = f"The sandbox runs {source}, and {config.file.name} is about {own_app}."
        raise Refused(text, Do("start it with this config, or name the other's file in CUTOVER_CONFIG"))
    app = AppSettings(path=running["app"], base=running["base"], branch=running["branch"])
    gate = structs.replace(config.gate, delay=min(config.gate.delay, 1.0))  # its logs are there at once
    own = structs.replace(config, app=app, gate=gate)
    where = embedded(own, name, running)
    return Context(own, where, root, Path(running["app"]), observer or Observer(), clock or Clock(), folder / "state")


def _app(config: Config, settings: EnvironmentSettings) -> Path:
    app = (config.folder / config.app.path).resolve()
    if app == SAMPLE.resolve() and settings.project_ref:
        raise Refused(
            "The shipped sample app is for the sandbox only.",
            Do("set app.path in config.yaml to your own repository, or pass --env sandbox"),
        )
    _refuse_absent_submodule(app)
    return app


def _refuse_absent_submodule(app: Path) -> None:
    """It is an empty folder of another repository, which must not be taken for the app's."""
    there = next(folder for folder in (app, *app.parents) if folder.is_dir())
    with contextlib.suppress(OSError, UnicodeDecodeError):
        above = next((folder for folder in there.parents if (folder / ".gitmodules").is_file()), None)
        if above is None or any(there.iterdir()):
            return
        name = there.relative_to(above).as_posix()
        lines = (above / ".gitmodules").read_text(encoding="utf-8").splitlines()
        if any(line.replace(" ", "").strip() == f"path={name.replace(' ', '')}" for line in lines):
            update = sh("git", "-C", str(above), "submodule", "update", "--init", name)
            raise Refused(f"{there} is a git submodule that is not checked out.", update)


def _with_project(config: Config) -> str:
    """Which environments a verb that needs a project may name; none is proposed as if it were meant."""
    names = [name for name, one in config.environments.items() if one.project_ref or one.embedded]
    return f"pass --env with an environment that has one: {', '.join(names) or 'config.yaml has none'}"
