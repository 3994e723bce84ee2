"""`inv init`: an `.env` with the values that config.yaml needs, readable by its owner alone, and ignored by git."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migration.base import durable
from migration.base.command import Step, inv
from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.clients.models import APIS
from migration.clients.openrouter_errors import KEYS
from migration.config import envfile
from migration.config import load as configuration
from migration.config.pattern import search
from migration.config.settings import Auth, Config

_MANAGERS = "https://openrouter.ai/settings/management-keys"
Ask = Callable[[str], str]


@dataclass(frozen=True)
class InitResult:
    """Names written now, names still without a value, and what to type next."""

    written: tuple[str, ...]
    missing: tuple[str, ...]
    ignored: bool | None
    message: str
    next: tuple[Step, ...]
    exit_code: int
    unknown: tuple[str, ...] = ()  # the missing names with what they are for, as `init --app` has its questions


@dataclass(frozen=True)
class Need:
    """What a variable is for. An optional one may stay empty: everything else works without it."""

    where: str
    optional: bool = False


def run(root: Path, ask: Ask) -> InitResult:
    """Ask for what is missing, and only for that; an empty answer skips a value. Nothing typed is shown.

    Refused when git tracks `.env`, or when a value does not fit the format in config.yaml.
    """
    envfile.guard(root)
    config = configuration.load(root)
    ignored = _ignore(root)
    known = configuration.variables(root)
    needs = _needs(config)
    absent = [name for name in names(config) if not known.get(name)]
    typed: dict[str, Secret] = {}
    try:
        for name in absent:
            if value := _ask(config, name, needs.get(name), ask):
                typed[name] = Secret(value)
    finally:  # a mistake in the last value does not lose the others
        _tighten(root)
        if typed:
            envfile.write(root, typed)
    left = tuple(name for name in absent if name not in typed)
    blocking = [name for name in left if not needs.get(name, Need("")).optional]
    following = (inv("init"),) if blocking else (inv("secret"), inv("plan"))
    code = 5 if blocking else 0
    unknown = tuple(f"{name}: {needs.get(name, Need('')).where or 'a value in .env'}" for name in left)
    return InitResult(tuple(typed), left, ignored, _message(typed, left), following, code, unknown)


def names(config: Config) -> list[str]:
    """The variables that config.yaml uses, in the order of the file, then the secrets by their own name."""
    text = config.file.read_text(encoding="utf-8-sig")
    stripped = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    variables = re.findall(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", stripped)
    return list(dict.fromkeys([*variables, *config.secrets]))


def _needs(config: Config) -> dict[str, Need]:
    """What the variables without a value are for, by name; what is needed anywhere is not optional."""
    needs: dict[str, Need] = {}
    for value, need in (*_accounts(config), *_providers(config)):
        for name in configuration.missing(value):
            known = needs.get(name)
            needs[name] = need if known is None or known.optional else known
    return {name: Need(need.where, need.optional and name not in config.secrets) for name, need in needs.items()}


def _accounts(config: Config) -> Iterator[tuple[Secret | None, Need]]:
    token = Need("sbp_…, from https://supabase.com/dashboard/account/tokens")
    yield from ((each.access_token, token) for each in config.environments.values())
    for auth in (config.auth, *(each.auth or Auth() for each in config.environments.values())):
        yield auth.anon_key, Need("the project's anon or publishable key")
        if auth.user:
            yield auth.user.email, Need("a user of the app, created for smoke tests")
            yield auth.user.password, Need("that user's password")


def _providers(config: Config) -> Iterator[tuple[Secret | None, Need]]:
    for name, settings in config.providers.items():
        page = KEYS if settings.kind == "openrouter" else APIS[settings.kind].keys if settings.kind in APIS else ""
        yield settings.key, Need(f"a key of {name}, from {page}", settings is not config.target)
        yield settings.management_key, Need(f"optional, from {_MANAGERS}", optional=True)


def _ask(config: Config, name: str, need: Need | None, ask: Ask) -> str:
    where = f" ({need.where})" if need else ""
    value = ask(f"{name}{where} (Enter to skip):").strip()
    settings = config.secrets.get(name)
    if value and settings and settings.format and not search(settings.format, value):
        raise Refused(f"This is not a {name}: it does not match {settings.format}", inv("init"))
    return value


def _ignore(root: Path) -> bool | None:
    """Make sure that git ignores `.env`; None outside of any repository."""
    ignored = envfile.ignored(root)
    if ignored is False:
        path = root / ".gitignore"
        text = path.read_text() if path.exists() else ""
        glue = "" if not text or text.endswith("\n") else "\n"
        durable.write(path, f"{text}{glue}{envfile.NAME}\n".encode(), mode=0o644)
        return envfile.ignored(root)
    return ignored


def _tighten(root: Path) -> None:
    if envfile.exposed(root):
        (root / envfile.NAME).chmod(0o600)


def _message(typed: Iterable[str], left: tuple[str, ...]) -> str:
    wrote = f"Wrote {', '.join(typed)} to .env (mode 0600)." if typed else "Nothing new was written to .env."
    return f"{wrote} Not set: {', '.join(left)}." if left else f"{wrote} Every value is set."
