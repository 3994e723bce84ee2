"""What OpenRouter tells, frozen. Money in USD; prices in USD per million tokens, as config.yaml has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Raw = Mapping[str, Any]
MILLION = 1_000_000


@dataclass(frozen=True)
class KeyInfo:
    """A key as it sees itself; without a limit of its own `limit` and `remaining` are None."""

    label: str
    limit: float | None
    remaining: float | None
    reset: str | None
    usage: float
    usage_daily: float | None
    usage_weekly: float | None
    usage_monthly: float | None
    free_tier: bool
    management: bool
    expires_at: datetime | None
    raw: Raw = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, raw: Raw) -> KeyInfo:
        return cls(
            label=str(raw.get("label") or ""),
            limit=_maybe(raw.get("limit")),
            remaining=_maybe(raw.get("limit_remaining")),
            reset=raw.get("limit_reset"),
            usage=float(raw["usage"]),
            usage_daily=_maybe(raw.get("usage_daily")),
            usage_weekly=_maybe(raw.get("usage_weekly")),
            usage_monthly=_maybe(raw.get("usage_monthly")),
            free_tier=bool(raw.get("is_free_tier")),
            management=bool(raw.get("is_management_key") or raw.get("is_provisioning_key")),
            expires_at=_moment(raw.get("expires_at")),
            raw=dict(raw),
        )


@dataclass(frozen=True)
class ListedKey:
    """A key as the account lists it; `hash` is what `activity` knows it by, and cannot be computed from the key."""

    hash: str
    name: str
    label: str
    disabled: bool
    limit: float | None
    remaining: float | None
    reset: str | None
    usage: float
    expires_at: datetime | None
    raw: Raw = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, raw: Raw) -> ListedKey:
        return cls(
            hash=str(raw["hash"]),
            name=str(raw.get("name") or ""),
            label=str(raw.get("label") or ""),
            disabled=bool(raw.get("disabled")),
            limit=_maybe(raw.get("limit")),
            remaining=_maybe(raw.get("limit_remaining")),
            reset=raw.get("limit_reset"),
            usage=float(raw.get("usage") or 0),
            expires_at=_moment(raw.get("expires_at")),
            raw=dict(raw),
        )

    def shows(self, value: str) -> bool:
        """Whether the label ("sk-or-v1-abc...123") is that of this key."""
        head, dots, tail = self.label.partition("...")
        return bool(dots and head and tail) and value.startswith(head) and value.endswith(tail)


@dataclass(frozen=True)
class Prices:
    """USD per million tokens; `cached_input` None where none is listed."""

    input: float
    cached_input: float | None
    output: float

    @classmethod
    def of(cls, raw: Raw) -> Prices:
        cached = raw.get("input_cache_read")
        return cls(
            _million(raw["prompt"]), None if cached in (None, "") else _million(cached), _million(raw["completion"])
        )


@dataclass(frozen=True)
class Model:
    """A listed model; `expires` is the first day on which it is gone."""

    id: str
    name: str
    price: Prices
    expires: date | None
    context_length: int | None
    raw: Raw = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Model:
        ends = raw.get("expiration_date")
        return cls(
            id=str(raw["id"]),
            name=str(raw.get("name") or raw["id"]),
            price=Prices.of(raw["pricing"]),
            expires=date.fromisoformat(str(ends)[:10]) if ends else None,
            context_length=raw.get("context_length"),
            raw=dict(raw),
        )


@dataclass(frozen=True)
class Endpoint:
    """One company that serves a model; status 0 is healthy, below it is trouble; uptime in percent of 30 minutes."""

    provider: str
    price: Prices
    status: int | None
    uptime: float | None

    @classmethod
    def of(cls, raw: Raw) -> Endpoint:
        status = raw.get("status")
        return cls(
            provider=str(raw.get("provider_name") or raw.get("name") or ""),
            price=Prices.of(raw["pricing"]),
            status=status if isinstance(status, int) else None,
            uptime=_maybe(raw.get("uptime_last_30m")),
        )


@dataclass(frozen=True)
class Activity:
    """Spend of one UTC day on one model at one provider; completion tokens include reasoning."""

    day: date
    model: str
    provider: str
    usage: float
    requests: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int

    @classmethod
    def of(cls, raw: Raw) -> Activity:
        return cls(
            day=date.fromisoformat(str(raw["date"])[:10]),
            model=str(raw.get("model") or raw.get("model_permaslug") or ""),
            provider=str(raw.get("provider_name") or ""),
            usage=float(raw["usage"]),
            requests=int(raw.get("requests") or 0),
            prompt_tokens=int(raw.get("prompt_tokens") or 0),
            completion_tokens=int(raw.get("completion_tokens") or 0),
            reasoning_tokens=int(raw.get("reasoning_tokens") or 0),
        )


@dataclass(frozen=True)
class Credits:
    """The account's credit, USD."""

    total: float
    used: float

    @property
    def left(self) -> float:
        return self.total - self.used

    @classmethod
    def of(cls, raw: Raw) -> Credits:
        return cls(float(raw["total_credits"]), float(raw["total_usage"]))


@dataclass(frozen=True)
class Generation:
    """What one completion cost and how it ended; tokens as the serving model counts them."""

    id: str
    model: str
    provider: str
    cost: float
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    milliseconds: float | None

    @classmethod
    def of(cls, raw: Raw) -> Generation:
        return cls(
            id=str(raw["id"]),
            model=str(raw.get("model") or ""),
            provider=str(raw.get("provider_name") or ""),
            cost=float(raw["total_cost"]),
            finish=raw.get("finish_reason"),
            prompt_tokens=int(raw.get("native_tokens_prompt") or 0),
            completion_tokens=int(raw.get("native_tokens_completion") or 0),
            reasoning_tokens=int(raw.get("native_tokens_reasoning") or 0),
            cached_tokens=int(raw.get("native_tokens_cached") or 0),
            milliseconds=_maybe(raw.get("generation_time")),
        )


def _maybe(value: Any) -> float | None:
    return None if value is None else float(value)


def _million(value: Any) -> float:
    """Listed prices are strings for one token."""
    return float(Decimal(str(value)) * MILLION)


def _moment(value: Any) -> datetime | None:
    if not value:
        return None
    found = datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
