"""`inv secret`: is the key that the functions will use there, the right one, and alive? Its value is never shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from migration.base.command import Steps
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding, addressed
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.openrouter import KeyInfo, OpenRouter
from migration.clients.openrouter_errors import ProviderError
from migration.clients.supabase_types import SecretDigest, same
from migration.config.settings import SecretSettings
from migration.context import Context
from migration.providers import openrouter

RESERVED = re.compile(r"SUPABASE_.*|SB_REGION|SB_EXECUTION_ID|DENO_DEPLOYMENT_ID")
SET = "inv secret --set"


@dataclass(frozen=True)
class State:
    """One secret. None means not known: `matches` without a local value or with a digest of another form,
    `provider_ok` without a provider or when it could not be asked. Money in USD."""

    name: str
    present: bool
    matches: bool | None
    format_ok: bool | None
    provider_ok: bool | None
    updated_at: str | None = None
    label: str = ""
    limit: float | None = None
    remaining: float | None = None
    reset: str | None = None
    expires_at: datetime | None = None
    free_tier: bool | None = None
    detail: str = ""
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        return self.present and False not in (self.matches, self.format_ok, self.provider_ok)

    @property
    def proven(self) -> bool:
        """Whether it is known to be ours, and its provider said what it thinks of it. Else a deploy may go on."""
        return self.matches is not None and not any(each.kind == "unreachable" for each in self.findings)


@dataclass(frozen=True)
class SecretResult:
    """What `inv secret` found; `uploaded` names what `--set` sent."""

    secrets: tuple[State, ...]
    next: tuple[str | Steps, ...] = ()
    uploaded: tuple[str, ...] = ()
    message: str = ""

    @property
    def exit_code(self) -> int:
        """1 with a secret that is wrong, 4 with one of which that is not known, else 0."""
        if not all(each.ok for each in self.secrets):
            return 1
        return 0 if all(each.proven for each in self.secrets) else 4


def verify(context: Context) -> SecretResult:
    """Every configured secret: listed, equal by digest, of its format, accepted by its provider. Changes nothing."""
    listed = {each.name: each for each in context.supabase.secrets()} if context.config.secrets else {}
    states = tuple(_state(context, name, each, listed.get(name)) for name, each in context.config.secrets.items())
    bad = [each for each in states if not (each.ok and each.proven)]
    findings = addressed((found for each in bad for found in each.findings), context.environment.name)
    fixes = dict.fromkeys(found.fix for found in findings)
    return SecretResult(states, tuple(fixes), message=_unproven(states))


def _unproven(states: Iterable[State]) -> str:
    """In words what a question mark means."""
    names = [each.name for each in states if each.ok and not each.proven]
    what = f"Not proven: that {', '.join(names)} in the project is the right value and alive."
    return f"{what} It is there, which is enough to deploy." if names else ""


def _state(context: Context, name: str, settings: SecretSettings, listed: SecretDigest | None) -> State:
    local = context.environment.secrets.get(name)
    matches = same(listed, local, settings.sha256) if listed else None
    shaped = shape(settings, local)
    findings = list(_compare(name, listed, local, settings.sha256, matches, shaped))
    state = State(name, listed is not None, matches, shaped, None, listed.updated_at if listed else None)
    if local and settings.provider:
        info, more = ask_provider(context, local)
        findings += [replace(each, subject=name) for each in more]
        state = _with_key(state, info, more)
    told = "; ".join(dict.fromkeys(each.problem for each in findings))
    return replace(state, detail=told or state.detail, findings=tuple(findings))


def _with_key(state: State, info: KeyInfo | None, findings: list[Finding]) -> State:
    unmeasured = any(each.kind in ("unreachable", "unmeasured") or each.severity == "warning" for each in findings)
    if info is None:
        return replace(state, provider_ok=None if unmeasured else False)
    good = not any(each.severity == "error" for each in findings)
    money = "no limit of its own" if info.limit is None else f"${info.remaining or 0:.2f} of ${info.limit:.2f} left"
    return replace(
        state, provider_ok=good, label=info.label, limit=info.limit, remaining=info.remaining, reset=info.reset,
        expires_at=info.expires_at, free_tier=info.free_tier, detail=f"{info.label}, {money}",
    )  # fmt: skip


def _compare(
    name: str, listed: SecretDigest | None, local: Secret | None, known: str | None, matches: bool | None,
    shaped: bool | None,
) -> list[Finding]:  # fmt: skip
    found = []
    if RESERVED.fullmatch(name):
        fix = f"choose another name than {name} in config.yaml and in the functions, then type: {SET}"
        found.append(
            Finding("reserved", f"{name} is a name of the platform's own", "it cannot be set", fix, subject=name)
        )
    if listed is None:
        why = "the project's list of secrets does not have it"
        found.append(Finding("absent", f"{name} is not set in the project", why, f"{SET} && inv deploy", subject=name))
    elif matches is None and (local or known):
        why = f"the list shows {listed.digest[:12]!r}…, which is no SHA-256"
        problem = f"{name} in the project cannot be compared"
        found.append(Finding("opaque", problem, why, "inv smoke", "warning", name))
    if not local and not known:
        why = "neither the environment nor .env has a value, and config.yaml has no sha256 of it"
        severity: Any = "warning" if listed else "error"
        found.append(Finding("no_local", f"{name} has no local value to compare", why, "inv init", severity, name))
    if shaped is False:
        fix = f"put the right key into .env, then type: {SET}"
        why = "it does not match the format in config.yaml"
        found.append(Finding("format", f"the local {name} is of another form", why, fix, subject=name))
    if matches is False:
        why = (
            f"the digests differ (the project's was set {listed.updated_at or 'at an unknown time'})" if listed else ""
        )
        found.append(Finding("differs", f"{name} in the project is not the local one", why, SET, subject=name))
    return found


def ask_provider(context: Context, value: Secret) -> tuple[KeyInfo | None, list[Finding]]:
    client = _client(context, value)
    try:
        info = client.key()
    except ProviderError as error:
        return None, [openrouter.refused(client, error, value, context.clock.now())]
    except ServiceFailed as error:
        return None, [
            Finding("unreachable", "the provider cannot be asked", error.message, openrouter.CHECK, "warning")
        ]
    return info, list(openrouter.judge(info, context.clock.now()))


def _client(context: Context, value: Secret) -> OpenRouter:
    """The provider, asked with this key whatever provider.key is."""
    from migration.clients.http import Http

    http = Http(context.environment.provider_url, name="OpenRouter")
    return OpenRouter(http, value, context.environment.management_key, Retry(context.clock))


def shape(settings: SecretSettings, local: Secret | None) -> bool | None:
    if not local or settings.format is None:
        return None
    return re.search(settings.format, local.reveal()) is not None
