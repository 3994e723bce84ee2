"""What the provider stand-ins of one sandbox share: their programs, the account, and what of it outlives a restart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from migration.base import durable
from migration.config.madeup import formed
from migration.rehearsal.mistake import SettingError
from migration.rehearsal.providers.meter import Key, Meter, TokenPrice, key
from migration.rehearsal.providers.program import BadProgram, Dice, Program, parse
from migration.rehearsal.types import Sandbox

QUICK = Program(latency=(0.02, 0.08))
DEFAULTS = dict.fromkeys(("gemini.pro", "gemini.flash", "gemini.image", "openrouter", "openai", "anthropic"), QUICK)
KINDS = ("anthropic", "gemini", "openai", "openrouter")
DECLARE = "Declare what it answers in config.yaml: rehearsal.hosts, with the host of the provider"
TERMS = frozenset(
    {
        "credit",
        "price",
        "listed_price",
        "key",
        "dead_key",
        "models",
        "generation_delay",
        "booking_delay",
        "activity_today",
    }
)
KEY_TERMS = frozenset({"limit", "limit_reset", "disabled", "expires_at", "free_tier"})


@dataclass(frozen=True)
class Terms:
    """The account and the catalogue of the OpenRouter stand-in; prices in USD per million tokens.

    models: id -> {"expiration_date": "YYYY-MM-DD"|None, "endpoints": int, "listed": bool}; unnamed ones are healthy.
    generation_delay: how many look-ups of a generation answer 404 first.
    booking_delay: seconds after which what a generation cost is seen on its key, in the activity and in the credit.
    activity_today: whether `/activity` already shows the running day (the hosted one shows completed days).
    """

    credit: Decimal = Decimal(100)
    price: TokenPrice = field(default_factory=TokenPrice)
    listed_price: TokenPrice | None = None
    key: Mapping[str, Any] = field(default_factory=dict)
    dead_key: bool = False
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    generation_delay: int = 1
    booking_delay: float = 0.0
    activity_today: bool = False

    def model(self, name: str) -> Mapping[str, Any]:
        return self.models.get(name, {})


class Providers:
    """The providers of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.path = Path(sandbox.folder) / "providers.json"
        self.dice = {name: Dice(program) for name, program in DEFAULTS.items()}
        self.terms = self._terms = Terms(price=TokenPrice.of(sandbox.settings.get("price") or {}))
        self.meter = Meter(_keys(sandbox))
        if self.path.exists():
            self.meter.load(json.loads(self.path.read_text()))
        try:
            self.apply(sandbox.settings.get("providers") or {})
        except BadProgram as error:
            raise SettingError(("providers",), str(error)) from None

    def apply(self, settings: Mapping[str, Any]) -> None:
        """Take over the programs that `settings` names, the others go on; BadProgram leaves everything as it was."""
        dice, terms = read(settings, self._terms)
        self.dice |= dice
        if terms is not None:
            self.terms = terms
            self._enforce(terms)

    def reset(self) -> None:
        """Back to the programs of config.yaml."""
        self.dice = {name: Dice(program) for name, program in DEFAULTS.items()}
        self.terms = self._terms
        self._enforce(self.terms)
        self.apply(self.sandbox.settings.get("providers") or {})

    def _enforce(self, terms: Terms) -> None:
        self.meter.credit, self.meter.delay = terms.credit, terms.booking_delay
        ours = self.meter.find(self.sandbox.identity.openrouter_key)
        if ours is not None:
            plain = {"limit": None, "limit_reset": None, "disabled": False, "expires_at": None, "free_tier": False}
            self.meter.put(ours, **(plain | dict(terms.key)))
        self.save()

    def models(self) -> list[str]:
        """The models that are listed: those of the config, and those that the terms name."""
        return list(dict.fromkeys([*(self.sandbox.settings.get("models") or ()), *self.terms.models]))

    def find(self, value: str) -> Key | None:
        """The living key of this value: not revoked, not disabled, not expired."""
        if value in self.keys("openrouter"):
            value = self.sandbox.identity.openrouter_key  # one account, whatever form its key has
        record = self.meter.find(value)
        dead = self.terms.dead_key and value == self.sandbox.identity.openrouter_key
        if record is None or dead or record.disabled or record.expired(self.meter.clock()):
            return None
        return record

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys that the stand-in of this kind takes: its own, and those in the form that `secrets` asks for."""
        own, seed = self.sandbox.identity.keys(kind), self.sandbox.identity.jwt_secret
        formats = (self.sandbox.settings.get("formats") or {}).items()
        return own + tuple(
            formed(name, about["format"], own[0], seed) for name, about in formats if about["kind"] == kind
        )

    def save(self) -> None:
        """Write the account, which holds keys, for its owner alone."""
        durable.write(self.path, json.dumps(self.meter.dump()).encode(), sync=False)

    def report(self) -> dict[str, Any]:
        """Requests and outcomes of each program since it began."""
        return {name: {"requests": dice.requests, "outcomes": dice.outcomes} for name, dice in self.dice.items()}


def of(sandbox: Sandbox) -> Providers:
    """The providers of this sandbox, made once: every stand-in of it sees the same account."""
    return cast(Providers, vars(sandbox).setdefault("_providers", None) or _make(sandbox))


def _make(sandbox: Sandbox) -> Providers:
    providers = vars(sandbox)["_providers"] = Providers(sandbox)
    return providers


def _keys(sandbox: Sandbox) -> list[Key]:
    identity = sandbox.identity
    born = "2026-01-01T00:00:00.000Z"
    return [
        key(identity.openrouter_key, "sandbox", created_at=born),
        key(identity.openrouter_management_key, "sandbox management", created_at=born, management=True),
    ]


def read(settings: Mapping[str, Any], usual: Terms | None = None) -> tuple[dict[str, Dice], Terms | None]:
    """The programs of the section `providers`, and OpenRouter's terms where it has them. BadProgram."""
    unknown = set(settings) - set(KINDS)
    if unknown:
        raise BadProgram(f"unknown provider {min(unknown)!r}: one of {', '.join(KINDS)}")
    for name, program in settings.items():
        if not isinstance(program or {}, Mapping):
            raise BadProgram(f"{name} should be a mapping")
    dice = {name: Dice(parse(settings[name] or {})) for name in ("anthropic", "openai") if name in settings}
    for name, program in (settings.get("gemini") or {}).items():
        if f"gemini.{name}" not in DEFAULTS:
            raise BadProgram(f"unknown program gemini.{name}: pro, flash or image")
        dice[f"gemini.{name}"] = Dice(parse(program or {}))
    if "openrouter" not in settings:
        return dice, None
    values = settings["openrouter"] or {}
    dice["openrouter"] = Dice(parse({name: value for name, value in values.items() if name not in TERMS}))
    return dice, _terms({name: value for name, value in values.items() if name in TERMS}, usual or Terms())


def _terms(values: Mapping[str, Any], usual: Terms) -> Terms:
    given = dict(values)
    if not isinstance(given.get("key") or {}, Mapping):
        raise BadProgram(f"openrouter.key should be a mapping of {', '.join(sorted(KEY_TERMS))}")
    bad = set(given.get("key") or {}) - KEY_TERMS
    if bad:
        raise BadProgram(f"unknown key openrouter.key.{min(bad)}: one of {', '.join(sorted(KEY_TERMS))}")
    try:
        for name in ("price", "listed_price"):
            if given.get(name):
                given[name] = TokenPrice.of(given[name])
        if "credit" in given:
            given["credit"] = Decimal(str(given["credit"]))
        if "booking_delay" in given:
            given["booking_delay"] = float(given["booking_delay"])
    except (TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise BadProgram(f"openrouter: a price, credit or delay of the wrong form: {error}") from error
    return replace(usual, **given)


def fingerprint(content: Any) -> str:
    """Tells one request from another, however often it is sent again."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
