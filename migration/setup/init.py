"""`inv init`: an `.env` with the values that config.yaml asks for, readable by its owner alone, and outside of git."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.config import envfile
from migration.config import load as configuration
from migration.config.settings import Config

# Names that config.yaml may mention and everything works without.
OPTIONAL = frozenset({"OPENROUTER_MANAGEMENT_KEY"})
WHERE = {
    "SUPABASE_ACCESS_TOKEN": "sbp_…, from https://supabase.com/dashboard/account/tokens",
    "SUPABASE_ANON_KEY": "the project's anon or publishable key",
    "SMOKE_USER_EMAIL": "a user of the app, made for smoke tests",
    "SMOKE_USER_PASSWORD": "that user's password",
    "OPENROUTER_K2T_KEY": "sk-or-v1-…, from https://openrouter.ai/settings/keys",
    "OPENROUTER_MANAGEMENT_KEY": "optional, from https://openrouter.ai/settings/management-keys",
}
Ask = Callable[[str], str]


@dataclass(frozen=True)
class InitResult:
    """What `init` found and did: names written now, names still without a value, and what to type next."""

    written: tuple[str, ...]
    missing: tuple[str, ...]
    ignored: bool | None
    message: str
    next: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        return 5 if set(self.missing) - OPTIONAL else 0


def run(root: Path, ask: Ask) -> InitResult:
    """Ask for what is missing, and only for that; an empty answer leaves a value out. Nothing typed is shown.

    Refused when git tracks `.env`, or when a value does not fit the format that config.yaml gives.
    """
    envfile.guard(root)
    config = configuration.load(root)
    ignored = _ignore(root)
    known = configuration.variables(root)
    absent = [name for name in names(config) if not known.get(name)]
    given: dict[str, Secret] = {}
    try:
        for name in absent:
            if value := _ask(config, name, ask):
                given[name] = Secret(value)
    finally:  # a mistake in the last value does not lose the others
        _tighten(root)
        if given:
            envfile.write(root, given)
    left = tuple(name for name in absent if name not in given)
    return InitResult(tuple(given), left, ignored, _message(given, left), _next(left))


def names(config: Config) -> list[str]:
    """The variables that the configuration waits for or takes, in the order of the file; secrets by their own name."""
    text = config.file.read_text(encoding="utf-8-sig")
    stripped = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = re.findall(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}", stripped)
    return list(dict.fromkeys([*found, *config.secrets]))


def _ask(config: Config, name: str, ask: Ask) -> str:
    where = f" ({WHERE[name]})" if name in WHERE else ""
    value = ask(f"{name}{where}, empty to leave it out:").strip()
    settings = config.secrets.get(name)
    if value and settings and settings.format and not re.search(settings.format, value):
        raise Refused(f"that is no {name}: it does not match {settings.format}", "inv init")
    return value


def _ignore(root: Path) -> bool | None:
    """Make sure that git leaves `.env` out; None where there is no repository."""
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


def _message(given: Iterable[Any], left: tuple[str, ...]) -> str:
    wrote = f"Wrote {', '.join(given)} to .env (mode 0600)." if given else "Nothing new was written to .env."
    return f"{wrote} Still without a value: {', '.join(left)}." if left else f"{wrote} Every value is there."


def _next(left: tuple[str, ...]) -> tuple[str, ...]:
    needed = set(left) - OPTIONAL
    return ("inv init",) if needed else ("inv secret", "inv plan")
