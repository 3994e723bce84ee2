"""Preflight of the provider: is the model served, what does it cost, and is the key good for what we plan?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.base.errors import Refused, ServiceFailed
from migration.base.finding import Finding, then, unmeasured
from migration.base.secrets_type import Secret
from migration.clients.openrouter import KeyInfo, Model, OpenRouter, Prices
from migration.clients.openrouter_errors import CREDITS, KEYS, ProviderError
from migration.config.settings import Config, Price

MILLION = 1_000_000
_INIT, CHECK = "inv init", "inv secret"
_NEW = f"make a new inference key at {KEYS}, put it into .env, then type: inv secret --set"
MONTH = 30  # days
SOON = timedelta(days=30)  # a model that ends within a month wants a successor now
KEY_SOON = timedelta(days=7)


@dataclass(frozen=True)
class Tokens:
    """What one artifact takes; input includes cached."""

    input: int = 1234
    cached: int = 0
    output: int = 567

    def cost(self, price: Price | Prices) -> float:
        """USD; without a cached price, cached input costs what input costs."""
        cached = price.input if price.cached_input is None else price.cached_input
        return ((self.input - self.cached) * price.input + self.cached * cached + self.output * price.output) / MILLION


# The runbook's own sample line; a caller that has measured better passes its own.
SAMPLE = Tokens()


def preflight(
    config: Config, connect: Callable[[], OpenRouter], key: Secret | None, now: datetime, tokens: Tokens = SAMPLE
) -> list[Finding]:
    """What stands in the way of the provider (errors), and what soon will (warnings); nothing is changed.

    `connect` makes the client; where it is Refused (no key on this machine), that is a finding, and so is a provider
    that refuses the key or cannot be reached.
    """
    if config.provider is None:
        return []
    try:
        client = connect()
    except Refused as error:
        return [Finding("key_absent", "the provider was not asked", error.message, _INIT, "warning", "provider.key")]
    found = list(_key(config, client, key, now))
    if any(each.kind == "unreachable" for each in found):
        return found
    return found + list(_model(config, client, now, tokens))


def _key(config: Config, client: OpenRouter, key: Secret | None, now: datetime) -> Iterator[Finding]:
    try:
        info = client.key()
    except ProviderError as error:
        yield refused(client, error, key, now)
        return
    except ServiceFailed as error:
        yield Finding("unreachable", "the provider cannot be asked", error.message, "inv doctor", "warning")
        return
    yield from judge(info, now)
    yield from _funds(config, info)
    if client.manages and not info.management:
        yield from _credit(config, client)


def refused(client: OpenRouter, error: ProviderError, key: Secret | None, now: datetime) -> Finding:
    """Why a key is refused; where there is a management key, the account's own list tells more than the answer."""
    kind, problem, fix = error.kind, f"the provider refuses the key: {error.trouble.meaning}", then(error.hint, CHECK)
    evidence = error.message
    if error.status == 401 and client.manages and key:
        kind, more = _listed(client, key, kind, now)
        problem, evidence = (
            f"the provider refuses the key: {_DEAD.get(kind, error.trouble.meaning)}",
            f"{evidence}{more}",
        )
        fix = then(f"enable the key at {KEYS}", CHECK) if kind == "disabled_key" else fix
    severity = "warning" if error.trouble.transient else "error"
    return Finding(kind, problem, evidence, fix, severity, subject="provider.key")  # type: ignore[arg-type]


_DEAD = {
    "disabled_key": "it is disabled",
    "expired_key": "it has expired",
    "unknown_key": "it is not known: mistyped, revoked, deleted, or another account's",
}


def _listed(client: OpenRouter, key: Secret, kind: str, now: datetime) -> tuple[str, str]:
    """What the account's list says of a key that is refused."""
    try:
        listed = client.keys()
    except ServiceFailed:
        return kind, ""
    mine = next((each for each in listed if each.shows(key.reveal())), None)
    if mine is None:
        return "unknown_key", "; the account lists no key with this beginning and end"
    if mine.disabled:
        return "disabled_key", f"; the account lists it as {mine.name!r}, disabled"
    if mine.expires_at and mine.expires_at <= now:
        return "expired_key", f"; the account lists it as {mine.name!r}, expired {mine.expires_at:%Y-%m-%d %H:%M} UTC"
    return kind, f"; the account lists it as {mine.name!r}, enabled"


def judge(info: KeyInfo, now: datetime) -> Iterator[Finding]:
    """What is wrong with a living key, apart from its money."""
    subject = "provider.key"
    if info.management:
        why = f"{info.label} is a management key: it manages keys, completions refuse it"
        yield Finding("wrong_kind", "the key is of the wrong kind", why, _NEW, subject=subject)
    if info.free_tier:
        why = f"{info.label} belongs to an account that never bought credit: paid models answer 402"
        yield Finding(
            "free_tier",
            "the account is on the free tier",
            why,
            then(f"add credit at {CREDITS}", CHECK),
            "warning",
            subject,
        )
    if info.expires_at is not None and info.expires_at - now < KEY_SOON:
        why = f"{info.label} expires {info.expires_at:%Y-%m-%d %H:%M} UTC"
        yield Finding("key_expires", "the key expires soon", why, _NEW, "warning", subject)


def _funds(config: Config, info: KeyInfo) -> Iterator[Finding]:
    if info.remaining is None or info.limit is None:
        return
    window = f"{info.reset} limit" if info.reset else "total limit"
    shown = f"{info.label}: ${info.remaining:.2f} of its {window} of ${info.limit:.2f} is left"
    if info.remaining <= 0:
        wait = f" (or wait for its {info.reset} reset at 00:00 UTC)" if info.reset else ""
        fix = then(f"raise the key's limit at {KEYS}{wait}", CHECK)
        yield Finding(
            "key_limit", "the key's own limit is used up: calls answer 403", shown, fix, subject="provider.key"
        )
        return
    yield from _covers(
        config, info.remaining, "key_limit_low", "the key's limit", shown, then(f"raise it at {KEYS}", "inv doctor")
    )


def _credit(config: Config, client: OpenRouter) -> Iterator[Finding]:
    try:
        credits_ = client.credits()
    except ProviderError as error:
        fix = then("take provider.management_key out of .env, or put a living one there", "inv doctor")
        yield Finding("management_key", "the management key is refused", error.message, fix, "warning")
        return
    except ServiceFailed as error:
        yield unmeasured("the account's credit", error)
        return
    shown = f"${credits_.left:.2f} of ${credits_.total:.2f} bought is left"
    fix = then(f"add credit at {CREDITS}", "inv doctor")
    if credits_.left <= 0:
        yield Finding("no_credit", "the account's credit is used up: calls answer 402", shown, fix)
        return
    yield from _covers(config, credits_.left, "low_credit", "the account's credit", shown, fix)


def _covers(config: Config, left: float, kind: str, what: str, shown: str, fix: str) -> Iterator[Finding]:
    """Whether the money lasts for a soak and a day at each configured volume."""
    soak = config.soak.max_cost
    each = _per_artifact(config)
    days = {name: soak + count * each for name, count in config.budget.volumes.items()}
    short = [f"a day at {name} ({config.budget.volumes[name]} artifacts)" for name, need in days.items() if left < need]
    if left < soak:
        short = ["the soak alone"]
    if short:
        why = f"{shown}; a soak may take ${soak:.2f}, an artifact ${each:.4f}"
        yield Finding(kind, f"{what} does not cover the soak and {_list(short)}", why, fix, "warning")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _per_artifact(config: Config) -> float:
    """The most that one artifact may cost on average; the sample's price where no criterion says so."""
    criterion = config.criteria.named.get("cost_per_artifact")
    if criterion is not None and criterion.mean is not None:
        return criterion.mean
    return SAMPLE.cost(config.provider.price) if config.provider else 0.0


def _model(config: Config, client: OpenRouter, now: datetime, tokens: Tokens) -> Iterator[Finding]:
    settings = config.provider
    assert settings is not None
    choose = "choose a listed model in config.yaml and in the functions, git push, then type: inv deploy"
    try:
        model = client.model(settings.model)
        servers = client.endpoints(settings.model) if model else []
    except ServiceFailed as error:
        yield unmeasured("the model", error)
        return
    if model is None:
        why = "it is not in the provider's list of models"
        yield Finding("no_model", f"{settings.model} is not listed any more", why, choose, subject=settings.model)
        return
    yield from _expiry(model, now, choose)
    if not servers:
        why = "the list of its endpoints is empty"
        yield Finding("no_endpoints", f"nobody serves {model.id} now", why, choose, subject=model.id)
    yield from drift(settings.price, model, tokens, config.budget.volumes)


def _expiry(model: Model, now: datetime, choose: str) -> Iterator[Finding]:
    if model.expires is None:
        return
    left = (model.expires - now.date()).days
    why = f"the provider lists {model.expires} as the day on which it goes"
    if left <= 0:
        yield Finding("model_expired", f"{model.id} has expired", why, choose, subject=model.id)
    elif left <= SOON.days:
        yield Finding("model_expires", f"{model.id} ends in {left} days", why, choose, "warning", model.id)


def drift(price: Price, model: Model, tokens: Tokens, volumes: Mapping[str, int]) -> Iterator[Finding]:
    """The listed price against the configured one, and what the difference does to the monthly bill."""
    listed = model.price
    if listed is None:
        why = "the list of models shows no price that can be read"
        yield Finding("unmeasured", f"the price of {model.id} could not be checked", why, "inv doctor", "warning")
        return
    same = _equal(price.input, listed.input) and _equal(price.output, listed.output)
    if same and (listed.cached_input is None or _equal(price.cached_input, listed.cached_input)):
        return
    before, after = tokens.cost(price), tokens.cost(listed)
    bills = [f"{name} ${count * MONTH * before:.2f} → ${count * MONTH * after:.2f}" for name, count in volumes.items()]
    cached = "none" if listed.cached_input is None else f"${listed.cached_input:g}"
    why = (
        f"configured ${price.input:g} input, ${price.cached_input:g} cached, ${price.output:g} output; "
        f"listed ${listed.input:g}, {cached}, ${listed.output:g} per million tokens; "
        f"a month at {tokens.input} + {tokens.output} tokens an artifact: {', '.join(bills) or 'no volume configured'}"
    )
    fix = "set provider.price in config.yaml to the listed price, then type: inv costs"
    yield Finding(
        "price_drift", f"the listed price of {model.id} is not the configured one", why, fix, "warning", model.id
    )


def _equal(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9
