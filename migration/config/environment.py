"""Where a verb acts: a hosted project with the keys of `.env`, or the sandbox with keys of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migration.base.command import inv
from migration.base.errors import Refused
from migration.base.finding import flag
from migration.base.secrets_type import Secret
from migration.config import envfile
from migration.config import load as configuration
from migration.config.settings import Config, EnvironmentSettings, LogSettings


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
        """The flag that names this environment in a command."""
        return flag(self.name)

    @property
    def log_queries(self) -> int | None:
        """How many log queries a minute are allowed; None without a limit, as on the sandbox."""
        return None if self.embedded else self.logs.per_minute or None


def sandbox(folder: Path) -> dict[str, Any]:
    """Addresses and keys of the running sandbox. Refused when none is running in that folder."""
    start = inv("sandbox")
    try:
        texts = [(folder / name).read_text() for name in ("sandbox.json", "clone.json")]
        running: dict[str, Any] = {**json.loads(texts[0]), **json.loads(texts[1])}
    except FileNotFoundError:
        raise Refused("the sandbox is not running: start it in another terminal", start) from None
    except (OSError, ValueError) as error:
        raise Refused(f"{folder / 'sandbox.json'} cannot be read: {error}", start) from None
    if not _alive(int(running.get("pid") or 0)):
        raise Refused("the sandbox has stopped: start it in another terminal", start)
    return running


def embedded(config: Config, name: str, running: dict[str, Any]) -> Environment:
    """The sandbox as an environment: every key is its own; .env is not read."""
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


def hosted(config: Config, root: Path, name: str, settings: EnvironmentSettings) -> Environment:
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


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return pid > 0
