"""What OpenRouter can prove: the key, its money, the model and its price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from migration.base.command import Do, Step, Steps, inv, then
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding, unmeasured
from migration.base.numbers import count, dollars, listed
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.http import Http
from migration.clients.openrouter import MILLION, KeyInfo, ListedPrices, Model, OpenRouter
from migration.clients.openrouter_errors import CREDITS, KEYS, NEW_KEY, ProviderError
from migration.config.environment import ProviderAccess
from migration.config.settings import Config, Price

CHECK, DOCTOR = inv("secret"), inv("doctor")
ADD_CREDIT = Do(f"add credit at {CREDITS}")
CHOOSE = Steps((Do("choose a listed model in config.yaml and in the functions, then git push"), inv("deploy")))
MONTH = 30  # days
SOON = timedelta(days=30)  # a model that ends within a month needs a successor now
KEY_SOON = timedelta(days=7)


@dataclass(frozen=True)
class Tokens:
    """The tokens of one request; input includes cached."""

    input: int = 1234
    cached: int = 0
    output: int = 567

    def cost(self, price: Price | ListedPrices) -> float:
        """USD; without a cached price, cached input costs what input costs."""
        cached = price.input if price.cached_input is None else price.cached_input
        return ((self.input - self.cached) * price.input + self.cached * cached + self.output * price.output) / MILLION


# A request of the size that the shipped plan document gives; a caller that has measured passes its own.
SAMPLE = Tokens()


def client(access: ProviderAccess, key: Secret, retry: Retry) -> OpenRouter:
    """The provider at its own address, asked with this key."""
    return OpenRouter(Http(access.url, name="OpenRouter"), key, access.management_key, retry)


def check_key(
    access: ProviderAccess, key: Secret, config: Config, now: datetime, retry: Retry
) -> tuple[KeyInfo | None, list[Finding]]:
    """What the provider says of a key; errors where it would not serve a single request with it."""
    account, subject = client(access, key, retry), f"providers.{access.name}.key"
    try:
        info = account.key()
    except ProviderError as error:
        return None, [refused(account, error, key, now, subject)]
    return info, [*judge(info, now, subject), *_funds(config, info, subject), *_credit(config, account, info)]


def check_model(access: ProviderAccess, key: Secret, config: Config, now: datetime, retry: Retry) -> Iterator[Finding]:
    """Whether the configured model is listed and served, until when, and at which price."""
    settings = access.settings
    if not settings.model:
        return
    account = client(access, key, retry)
    model = account.model(settings.model) or account.model(settings.listed)
    if model is None:
        problem = f"{settings.model} is not listed any more"
        yield Finding("no_model", problem, "it is not in OpenRouter's list of models", CHOOSE, subject=settings.model)
        return
    yield from _expiry(model, now)
    if not account.endpoints(model.id):
        problem = f"no provider serves {model.id} now"
        yield Finding("no_endpoints", problem, "the list of its endpoints is empty", CHOOSE, subject=model.id)
    if settings.price is not None:
        yield from drift(settings.price, model, SAMPLE, config.budget.volumes, access.name)


def refused(account: OpenRouter, error: ProviderError, key: Secret, now: datetime, subject: str) -> Finding:
    """Why a key is refused. With a management key, the account's own list says more than the answer."""
    kind, meaning = error.kind, error.trouble.meaning
    steps, evidence = then(error.trouble.remedy, CHECK), error.message
    if error.status == 401 and account.manages:
        kind, more = _listed(account, key, kind, now)
        meaning, evidence = _DEAD.get(kind, meaning), f"{evidence}{more}"
        steps = (Do(f"enable the key at {KEYS}"), CHECK) if kind == "disabled_key" else steps
    severity = "warning" if error.trouble.transient else "error"
    return Finding(kind, f"OpenRouter refused the key: {meaning}", evidence, Steps(steps), severity, subject)  # type: ignore[arg-type]


_DEAD = {
    "disabled_key": "it is disabled",
    "expired_key": "it has expired",
    "unknown_key": "it is unknown: mistyped, revoked, deleted, or of another account",
}


def _listed(account: OpenRouter, key: Secret, kind: str, now: datetime) -> tuple[str, str]:
    """What the account's list says of a key that is refused."""
    try:
        listed = account.keys()
    except ServiceFailed:
        return kind, ""
    own = next((each for each in listed if each.shows(key.reveal())), None)
    if own is None:
        return "unknown_key", "; the account lists no key with this beginning and end"
    if own.disabled:
        return "disabled_key", f"; the account lists it as {own.name!r}, disabled"
    if own.expires_at and own.expires_at <= now:
        return "expired_key", f"; the account lists it as {own.name!r}, expired {own.expires_at:%Y-%m-%d %H:%M} UTC"
    return kind, f"; the account lists it as {own.name!r}, enabled"


def judge(info: KeyInfo, now: datetime, subject: str) -> Iterator[Finding]:
    """What is wrong with a living key, apart from its money."""
    if info.management:
        why = f"{info.label} is a management key: it manages keys, completions refuse it"
        yield Finding("wrong_kind", "the key is of the wrong kind", why, Steps(NEW_KEY), subject=subject)
    if info.free_tier:
        why = f"{info.label} belongs to an account that never bought credit: paid models answer 402"
        fix = Steps((ADD_CREDIT, CHECK))
        yield Finding("free_tier", "the account is on the free tier", why, fix, "warning", subject)
    if info.expires_at is not None and info.expires_at - now < KEY_SOON:
        why = f"{info.label} expires {info.expires_at:%Y-%m-%d %H:%M} UTC"
        yield Finding("key_expires", "the key expires soon", why, Steps(NEW_KEY), "warning", subject)


def _funds(config: Config, info: KeyInfo, subject: str) -> Iterator[Finding]:
    """The key's own limit: used up when it does not pay for one more request."""
    if info.remaining is None or info.limit is None:
        return
    window = f"{info.reset} limit" if info.reset else "total limit"
    left = f"{info.label}: {dollars(info.remaining, 2)} of its {window} of {dollars(info.limit, 2)} is left"
    if info.remaining < max(usual_cost(config), 1e-9):
        wait = f" (or wait for its {info.reset} reset at 00:00 UTC)" if info.reset else ""
        fix = Steps((Do(f"raise the key's limit at {KEYS}{wait}"), CHECK))
        problem = "the key's own limit is used up: calls answer 403"
        yield Finding("key_limit", problem, left, fix, subject=subject)
        return
    fix = Steps((Do(f"raise it at {KEYS}"), DOCTOR))
    yield from _covers(config, info.remaining, "key_limit_low", "the key's limit", left, fix)


def _credit(config: Config, account: OpenRouter, info: KeyInfo) -> Iterator[Finding]:
    """The account's credit, where a management key can read it."""
    if not account.manages or info.management:
        return
    try:
        bought = account.credits()
    except ProviderError as error:
        fix = Steps((Do("remove the management key from .env, or put a valid one there"), DOCTOR))
        yield Finding("management_key", "OpenRouter refused the management key", error.message, fix, "warning")
        return
    except ServiceFailed as error:
        yield unmeasured(["the account's credit"], error)
        return
    left, fix = f"{dollars(bought.left, 2)} of {dollars(bought.total, 2)} bought is left", Steps((ADD_CREDIT, DOCTOR))
    if bought.left < max(usual_cost(config), 1e-9):
        yield Finding("no_credit", "the account's credit is used up: calls answer 402", left, fix)
        return
    yield from _covers(config, bought.left, "low_credit", "the account's credit", left, fix)


def _covers(config: Config, left: float, kind: str, what: str, shown: str, fix: Steps) -> Iterator[Finding]:
    """Whether the money lasts for a soak and for a day at each configured volume."""
    soak, each = config.soak.max_cost, usual_cost(config)
    days = {name: soak + count * each for name, count in config.budget.volumes.items()}
    short = [f"a day at {name} ({config.budget.volumes[name]} requests)" for name, cost in days.items() if left < cost]
    need = "even a soak" if left < soak else f"a soak and {listed(short, 'or')}"
    if left < soak or short:
        why = f"{shown}; a soak may cost ${soak:.2f}, a request ${each:.4f}"
        yield Finding(kind, f"{what} does not cover {need}", why, fix, "warning")


def usual_cost(config: Config) -> float:
    """USD that a request costs on average: the criterion's mean, else a sample's tokens at the configured price."""
    criterion = config.criteria.named.get("cost_per_request")
    if criterion is not None and criterion.mean is not None:
        return criterion.mean
    price = config.target.price if config.target else None
    return SAMPLE.cost(price) if price else 0.0


def _expiry(model: Model, now: datetime) -> Iterator[Finding]:
    if model.expires is None:
        return
    left = (model.expires - now.date()).days
    why = f"OpenRouter lists {model.expires} as its last day"
    if left <= 0:
        yield Finding("model_expired", f"{model.id} has expired", why, CHOOSE, subject=model.id)
    elif left <= SOON.days:
        yield Finding("model_expires", f"{model.id} ends in {count(left, 'day')}", why, CHOOSE, "warning", model.id)


def drift(
    price: Price, model: Model, tokens: Tokens, volumes: Mapping[str, int], provider: str = "openrouter"
) -> Iterator[Finding]:
    """The listed price against the configured one, and what the difference makes of the monthly bill."""
    listed = model.price
    if listed is None:
        why = "OpenRouter's list shows no price that can be read"
        yield Finding("unmeasured", f"the price of {model.id} could not be checked", why, Steps((DOCTOR,)), "warning")
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
        f"a month at {tokens.input} + {tokens.output} tokens a request: {', '.join(bills) or 'no volume configured'}"
    )
    steps: tuple[Step, ...] = (Do(f"set providers.{provider}.price in config.yaml to the listed price"), inv("costs"))
    problem = f"the listed price of {model.id} differs from the configured one"
    yield Finding("price_drift", problem, why, Steps(steps), "warning", model.id)


def _equal(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9
