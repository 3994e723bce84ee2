"""One run's surroundings: the configuration, one environment, and the clients that a phase asks for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from migration import config as configuration
from migration import envfile
from migration.common.clock import Clock
from migration.common.finding import flag
from migration.common.progress import Observer
from migration.common.secrets_type import Secret
from migration.errors import ConfigError, Refused
from migration.schema.environments import EnvironmentSettings, LogSettings
from migration.schema.settings import App, Config

if TYPE_CHECKING:
    from migration.clients.edge import Edge
    from migration.clients.http import Http
    from migration.clients.openrouter import OpenRouter
    from migration.clients.quota import Metered
    from migration.clients.supabase import Supabase
    from migration.git import Repository
    from migration.ledger import Ledger
    from migration.lock import Lock

SAMPLE = Path(__file__).parent / "rehearsal" / "app"


@dataclass(frozen=True)
class Environment:
    """Where a verb acts. `anon_key`, user and provider keys are those that belong to it."""

    name: str
    url: str
    project_ref: str | None = None
    api_url: str = ""
    access_token: Secret | None = None
    confirm: bool = False
    embedded: bool = False
    anon_key: Secret | None = None
    user_email: Secret | None = None
    user_password: Secret | None = None
    provider_url: str = ""
    provider_key: Secret | None = None
    management_key: Secret | None = None
    secrets: dict[str, Secret] = field(default_factory=dict)
    logs: LogSettings = field(default_factory=LogSettings)

    @property
    def flag(self) -> str:
        """What a command that we print needs to mean this environment."""
        return flag(self.name)

    @property
    def log_queries(self) -> int | None:
        """How many the logs take a minute; None where nobody counts, as on the sandbox."""
        return None if self.embedded else self.logs.per_minute or None


@dataclass
class Context:
    """Everything a phase needs; clients are made when they are first asked for."""

    config: Config
    environment: Environment
    root: Path
    app: Path
    observer: Observer = field(default_factory=Observer)
    clock: Clock = field(default_factory=Clock)
    folder: Path | None = None

    @property
    def state(self) -> Path:
        """`.cutover`, beside tasks.py: caches and journals of this machine, nothing that others need."""
        return self.folder or self.root / ".cutover"

    @property
    def remote(self) -> str:
        """The name of the app's git remote; the sandbox's clone has its own."""
        return "origin" if self.environment.embedded else self.config.app.remote

    def project(self) -> tuple[str, Secret]:
        """Project ref and access token; Refused or ConfigError without one. Nothing of HTTP is imported for it."""
        own = self.environment
        if not own.project_ref:
            raise Refused(f"{own.name} has no project_ref: it knows smoke and soak only", "use --env prod")
        key = f"environments.{own.name}.access_token"
        return own.project_ref, configuration.need(own.access_token, key, f"the project of {own.name}")

    @cached_property
    def supabase(self) -> Supabase:
        from migration.clients.supabase import Supabase

        return Supabase(self.management, self.project()[0])

    @cached_property
    def management(self) -> Metered:
        """The Management API as this environment asks it; it keeps what the answers say of its rate limit."""
        from migration.clients.quota import Metered

        own, (_, token) = self.environment, self.project()
        headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
        return Metered(own.api_url, headers, name="the Management API")

    @cached_property
    def edge(self) -> Edge:
        from migration.clients.edge import Edge

        found = self.environment
        http = self._http(found.url, "the project", {})
        return Edge(http, found.anon_key, found.user_email, found.user_password)

    @cached_property
    def provider(self) -> OpenRouter:
        from migration.clients.openrouter import OpenRouter

        if self.config.provider is None:
            raise ConfigError("no provider is configured", "add the section provider to config.yaml")
        found = self.environment
        given = found.provider_key or self.config.provider.key  # the latter names the variable without a value
        key = configuration.need(given, "provider.key", "the provider")
        return OpenRouter(self._http(found.provider_url, "OpenRouter", {}), key, found.management_key)

    @cached_property
    def repository(self) -> Repository:
        from migration.git import Repository

        return Repository(self.app)

    @cached_property
    def ledger(self) -> Ledger:
        from migration.ledger import Ledger

        return Ledger.of(self)

    @cached_property
    def lock(self) -> Lock:
        from migration.lock import Lock

        return Lock.of(self)

    def _http(self, url: str, name: str, headers: dict[str, str]) -> Http:
        from migration.clients.http import Http

        return Http(url, headers, name=name)


def make(root: Path, name: str, observer: Observer | None = None, clock: Clock | None = None) -> Context:
    """The context of an environment by its name. Refused when the config knows none of that name."""
    config = configuration.load(root)
    settings = config.environments.get(name)
    if settings is None:
        known = ", ".join(config.environments)
        raise Refused(f"config.yaml has no environment {name}", f"use --env with one of: {known}")
    extra: dict[str, Any] = {"observer": observer or Observer(), "clock": clock or Clock()}
    if settings.embedded:
        return attach(root, config, root / ".cutover" / "sandbox", name=name, **extra)
    return Context(config, _hosted(config, root, name, settings), root, _app(config, settings), **extra)


def attach(
    root: Path,
    config: Config,
    folder: Path,
    observer: Observer | None = None,
    clock: Clock | None = None,
    name: str = "sandbox",
) -> Context:
    """The context of a running sandbox: its own clone, remote, keys and user, nothing of the user's."""
    running = sandbox(folder)
    app = App(path=running["app"], base=running["base"], branch=running["branch"])
    gate = structs.replace(config.gate, delay=min(config.gate.delay, 1.0))  # its logs are there at once
    own = structs.replace(config, app=app, gate=gate)
    where = embedded(own, name, running)
    return Context(own, where, root, Path(running["app"]), observer or Observer(), clock or Clock(), folder / "state")


def sandbox(folder: Path) -> dict[str, Any]:
    """What a running sandbox says of itself. Refused when none is running in that folder."""
    hint = "start it in another terminal: inv sandbox"
    try:
        texts = [(folder / name).read_text() for name in ("sandbox.json", "clone.json")]
        found: dict[str, Any] = {**json.loads(texts[0]), **json.loads(texts[1])}
    except FileNotFoundError:
        raise Refused("the sandbox is not running", hint) from None
    except (OSError, ValueError) as error:
        raise Refused(f"{folder / 'sandbox.json'} cannot be read: {error}", hint) from None
    if not _alive(int(found.get("pid") or 0)):
        raise Refused("the sandbox is not running any more", hint)
    return found


def embedded(config: Config, name: str, running: dict[str, Any]) -> Environment:
    """The sandbox as an environment: every key is its own, nothing of .env is read."""
    secrets = {secret: Secret(running["openrouter_key"]) for secret in config.secrets}
    return Environment(
        name,
        url=running["url"],
        project_ref=running["project_ref"],
        api_url=running["api_url"],
        access_token=Secret(running["access_token"]),
        embedded=True,
        anon_key=Secret(running["anon_key"]),
        user_email=Secret(running["user_email"]),
        user_password=Secret(running["user_password"]),
        provider_url=f"{running['url']}/_openrouter/api/v1",
        provider_key=Secret(running["openrouter_key"]),
        management_key=Secret(running["openrouter_management_key"]),
        secrets=secrets,
    )


def _hosted(config: Config, root: Path, name: str, settings: EnvironmentSettings) -> Environment:
    envfile.guard(root)
    ref = settings.project_ref and configuration.need(settings.project_ref, f"environments.{name}.project_ref", name)
    auth = settings.auth or config.auth
    values = configuration.variables(root)
    url = configuration.need(settings.url, f"environments.{name}.url", name)
    provider = config.provider
    return Environment(
        name,
        url=url.replace("{project_ref}", ref or ""),
        project_ref=ref,
        api_url=configuration.need(settings.api_url, f"environments.{name}.api_url", name),
        access_token=settings.access_token,
        confirm=settings.confirm,
        anon_key=configuration.optional(auth.anon_key),
        user_email=configuration.optional(auth.user.email) if auth.user else None,
        user_password=configuration.optional(auth.user.password) if auth.user else None,
        provider_url=provider.url if provider else "",
        provider_key=configuration.optional(provider.key) if provider else None,
        management_key=configuration.optional(provider.management_key) if provider else None,
        secrets={secret: Secret(values[secret]) for secret in config.secrets if values.get(secret)},
        logs=settings.logs,
    )


def _app(config: Config, settings: EnvironmentSettings) -> Path:
    app = (config.folder / config.app.path).resolve()
    if app == SAMPLE.resolve() and settings.project_ref:
        raise Refused(
            "the shipped sample app is for the sandbox only",
            "set app.path in config.yaml to your own repository, or use --env sandbox",
        )
    return app


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return pid > 0
