"""What each provider says of our keys and models. A key goes to the address of its own provider and to no other.

`config.settings.PROOFS` is the table of what a kind can prove; here is how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from migration.base.command import Do, Steps, inv
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding, unmeasured
from migration.base.numbers import count
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.http import Http
from migration.clients.models import APIS, KeyRefused, Models
from migration.clients.openrouter import KeyInfo
from migration.config.environment import Environment, ProviderAccess
from migration.config.load import missing
from migration.config.settings import Config
from migration.providers import openrouter


@dataclass(frozen=True)
class KeyProof:
    """What a provider says of a key. `accepted` is None where it was not asked or did not answer."""

    accepted: bool | None = None
    info: KeyInfo | None = None
    findings: tuple[Finding, ...] = ()
    note: str = ""


def check_key(access: ProviderAccess, key: Secret, config: Config, now: datetime, retry: Retry) -> KeyProof:
    """Ask the provider of this key, and no other, whether it would serve a request with it."""
    if not access.url:
        return KeyProof(note=_unasked(access))
    try:
        info, findings = _key(access, key, config, now, retry)
    except ServiceFailed as error:
        return KeyProof(findings=(_unreachable(access, error),))
    bad = any(each.severity == "error" for each in findings)
    doubtful = info is None and findings and not bad
    return KeyProof(None if doubtful else not bad, info, tuple(findings))


def preflight(config: Config, environment: Environment, now: datetime, retry: Retry) -> list[Finding]:
    """What stands in the way of the migration's providers, now (errors) and soon (warnings). Nothing is changed.

    The one that it moves from is asked too, since a rollback goes back to it; its problems are warnings here.
    """
    target = environment.providers.get(config.migration.to or "")
    origin = environment.providers.get(config.migration.from_ or "")
    findings = [] if environment.embedded else ageing(config, now)
    findings += list(_check(target, config, now, retry)) if target else []
    if origin and origin != target:
        findings += [each.of_rollback(origin.name) for each in _check(origin, config, now, retry)]
    return findings


def ageing(config: Config, now: datetime) -> list[Finding]:
    """Models of the migration that end soon or have ended, by `ends` in config.yaml. Asks nothing.

    No list of models proves this: a provider may go on listing a name and answer it with another model.
    """
    target, origin = config.migration.to or "", config.migration.from_ or ""
    findings = []
    for name in dict.fromkeys(filter(None, (target, origin))):
        if finding := _age(name, config, now):
            findings.append(finding if name == target else finding.of_rollback(name))
    return findings


def _age(name: str, config: Config, now: datetime) -> Finding | None:
    settings = config.providers[name]
    if not settings.ends:
        return None
    left = (date.fromisoformat(settings.ends) - now.date()).days
    if left > openrouter.SOON.days:
        return None
    model = settings.model or name
    then = f" From then on {settings.successor} answers." if settings.successor else ""
    why = f"providers.{name}.ends is {settings.ends}.{then}"
    if left <= 0:
        return Finding("model_expired", f"{model} has ended", why, openrouter.CHOOSE, subject=model)
    return Finding("model_expires", f"{model} ends in {count(left, 'day')}", why, openrouter.CHOOSE, "warning", model)


def build(access: ProviderAccess, retry: Retry) -> str:
    """What the provider serves under the configured model's name; empty where it cannot be asked or does not say.

    A name may be routed to another build without a deploy. ServiceFailed as the provider.
    """
    model = access.settings.model
    if not access.url or not access.key or not model or access.kind == "none":
        return ""
    if access.kind == "openrouter":
        account = openrouter.client(access, access.key, retry)
        listed = account.model(model) or account.model(access.settings.listed)
        return listed.canonical_slug if listed else ""
    api = APIS[access.kind]
    return Models(Http(access.url, name=api.title), api, access.key, retry).build(model)


def _check(access: ProviderAccess, config: Config, now: datetime, retry: Retry) -> Iterator[Finding]:
    if not access.url or access.kind == "none":
        if missing(access.settings.url):
            yield _absent(access, "url", access.settings.url)
        return
    if not access.key:
        yield _absent(access, "key", access.settings.key)
        return
    proof = check_key(access, access.key, config, now, retry)
    yield from proof.findings
    if any(each.kind == "unreachable" for each in proof.findings):
        return
    try:
        yield from _model(access, access.key, config, now, retry)
    except ServiceFailed as error:
        yield unmeasured(["the model"], error)


def _key(
    access: ProviderAccess, key: Secret, config: Config, now: datetime, retry: Retry
) -> tuple[KeyInfo | None, list[Finding]]:
    if access.kind == "openrouter":
        return openrouter.check_key(access, key, config, now, retry)
    api = APIS[access.kind]
    try:
        Models(Http(access.url, name=api.title), api, key, retry).list()
    except KeyRefused as error:
        fix = Steps((Do(f"make a new key at {api.keys}, put it into .env:"), inv("secret", set=True)))
        problem, subject = f"{api.title} refused the key", f"providers.{access.name}.key"
        return None, [Finding("unknown_key", problem, error.message, fix, subject=subject)]
    return None, []


def _model(access: ProviderAccess, key: Secret, config: Config, now: datetime, retry: Retry) -> Iterator[Finding]:
    if access.kind == "openrouter":
        yield from openrouter.check_model(access, key, config, now, retry)
        return
    api, model = APIS[access.kind], access.settings.model
    try:
        known = not model or Models(Http(access.url, name=api.title), api, key, retry).has(model)
    except KeyRefused:
        return  # reported for the key already
    if not known:
        problem, why = f"{api.title} does not know the model {model}", "looking it up answered 404"
        yield Finding("no_model", problem, why, openrouter.CHOOSE, subject=model or "")


def _absent(access: ProviderAccess, field: str, value: str | Secret | None) -> Finding:
    """No value on this machine: a deploy may go on, since CI often has none."""
    path = f"providers.{access.name}.{field}"
    names = missing(value)
    why = f"{names[0]} is not set ({path})" if names else f"{path} is not set"
    steps = Steps((inv("init"),) if names else (Do(f"add {path} to config.yaml"),))
    return Finding("key_absent", f"{access.name} was not checked", why, steps, "warning", path)


def _unreachable(access: ProviderAccess, error: ServiceFailed) -> Finding:
    fix = Steps((inv("doctor"),))
    return Finding("unreachable", f"cannot reach {access.name}", error.message, fix, "warning", access.name)


def _unasked(access: ProviderAccess) -> str:
    if access.kind == "none":
        return f"not checked: {access.name} is of kind none"
    if names := missing(access.settings.url):
        return f"not checked: {names[0]} is not set"
    return f"not checked: nothing stands in for {access.name} here"
