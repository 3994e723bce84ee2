"""Where a verb acts: a hosted project with the keys of `.env`, or the sandbox with keys of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migration.base.command import AGAIN, Do, inv
from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.config import envfile, madeup
from migration.config import load as configuration
from migration.config.settings import (
    PROOFS,
    Config,
    EnvironmentSettings,
    LogSettings,
    ProviderKind,
    ProviderSettings,
)


@dataclass(frozen=True)
class ProviderAccess:
    """A provider as one environment reaches it. An empty `url`: it cannot be asked (kind none, or no stand-in)."""

    name: str
    settings: ProviderSettings
    url: str = ""
    key: Secret | None = None
    management_key: Secret | None = None

    @property
    def kind(self) -> ProviderKind:
        return self.settings.kind

    @property
    def reports_usage(self) -> bool:
        """Whether it can be asked what it booked on our key."""
        return bool(self.url and self.key) and "usage" in PROOFS[self.kind]


@dataclass(frozen=True)
class Environment:
    """Where a verb acts. `anon_key`, the user and the keys of `providers` are those that belong to it.

    `site`: where the sandbox serves the front end.
    """

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
    providers: dict[str, ProviderAccess] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    logs: LogSettings = field(default_factory=LogSettings)
    site: str | None = None

    @property
    def log_queries(self) -> int | None:
        """How many log queries a minute are allowed; None without a limit, as on the sandbox."""
        return None if self.embedded else self.logs.per_minute or None


STARTING = "starting"  # the process that is giving a new project what was live before the migration


def sandbox(folder: Path) -> dict[str, Any]:
    """Addresses and keys of the running sandbox. Refused when none is running in that folder, or not yet whole."""
    start = inv("sandbox")
    try:
        texts = [(folder / name).read_text() for name in ("sandbox.json", "clone.json")]
        running: dict[str, Any] = {**json.loads(texts[0]), **json.loads(texts[1])}
    except FileNotFoundError:
        raise Refused("The sandbox is not running: start it in another terminal.", start) from None
    except (OSError, ValueError) as error:
        raise Refused(f"{folder / 'sandbox.json'} cannot be read: {error}", start) from None
    if not _alive(int(running.get("pid") or 0)):
        raise Refused("The sandbox has stopped: start it in another terminal.", start)
    if _starting(folder):
        raise Refused("The sandbox is still starting.", Do("wait until it shows its address"), AGAIN)
    return running


def _starting(folder: Path) -> bool:
    """Whether another process is still filling it; that process itself finds it running."""
    try:
        pid = int((folder / STARTING).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return False
    return pid != os.getpid() and _alive(pid)


def embedded(config: Config, name: str, running: dict[str, Any]) -> Environment:
    """The sandbox as an environment: every key is its own; .env is not read. `confirm` is honoured as elsewhere."""
    settings = config.environments.get(name)
    return Environment(
        name,
        confirm=settings is not None and settings.confirm,
        url=running["url"],
        project_ref=running["project_ref"],
        api_url=running["api_url"],
        access_token=Secret(running["access_token"]),
        embedded=True,
        anon_key=Secret(running["anon_key"]),
        user_email=Secret(running["user_email"]),
        user_password=Secret(running["user_password"]),
        providers={key: _stand_in(key, settings, running) for key, settings in config.providers.items()},
        secrets={name: Secret(madeup.value(config, name, running)) for name in config.secrets},
        site=running.get("site"),
    )


def _stand_in(name: str, settings: ProviderSettings, running: dict[str, Any]) -> ProviderAccess:
    """A provider of the sandbox. A kind without a stand-in cannot be asked; never is the real one."""
    if settings.kind == "openrouter":
        manager = Secret(running["openrouter_management_key"])
        url = f"{running['url']}/_openrouter/api/v1"
        return ProviderAccess(name, settings, url, Secret(running["openrouter_key"]), manager)
    if settings.kind == "gemini":
        return ProviderAccess(name, settings, f"{running['url']}/_gemini/v1beta", Secret(running["google_keys"][0]))
    if settings.kind in running.get("keys", {}):
        key = Secret(running["keys"][settings.kind])
        return ProviderAccess(name, settings, f"{running['url']}/_{settings.kind}/v1", key)
    return ProviderAccess(name, settings)


def hosted(config: Config, root: Path, name: str, settings: EnvironmentSettings) -> Environment:
    envfile.guard(root)
    ref = settings.project_ref and configuration.need(settings.project_ref, f"environments.{name}.project_ref", name)
    auth = settings.auth or config.auth
    values = configuration.variables(root)
    url = configuration.need(settings.url, f"environments.{name}.url", name)
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
        providers={key: _hosted(key, settings) for key, settings in config.providers.items()},
        secrets={secret: Secret(values[secret]) for secret in config.secrets if values.get(secret)},
        logs=settings.logs,
    )


def _hosted(name: str, settings: ProviderSettings) -> ProviderAccess:
    """A provider at its own address; one whose address holds an unset variable is never asked."""
    url = "" if configuration.missing(settings.address) else settings.address
    key, manager = configuration.optional(settings.key), configuration.optional(settings.management_key)
    return ProviderAccess(name, settings, url, key, manager)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return pid > 0
