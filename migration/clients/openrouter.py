"""OpenRouter's account API: keys, credit, models and spend. Completions are the functions' own business.

Money is in USD, prices in USD per million tokens as in config.yaml. https://openrouter.ai/docs/api-reference/overview
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from migration.base.command import AGAIN, Do, inv
from migration.base.errors import Refused, Unknown
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients import reading
from migration.clients.http import Answer, Http, retry_after
from migration.clients.openrouter_errors import ProviderError, refusal, trouble

T = TypeVar("T")
PAGE = 100
MOST_KEYS = 5_000  # an account with more is not read to its end
MILLION = 1_000_000


class _Key(msgspec.Struct, frozen=True, rename={"remaining": "limit_remaining", "reset": "limit_reset"}):
    label: str = ""
    limit: float | None = None  # None: the key has no limit of its own
    remaining: float | None = None
    reset: str | None = None  # daily, weekly, monthly; None: never
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            msgspec.structs.force_setattr(self, "expires_at", self.expires_at.replace(tzinfo=UTC))


class KeyInfo(
    _Key,
    frozen=True,
    kw_only=True,
    rename={"remaining": "limit_remaining", "reset": "limit_reset", "free_tier": "is_free_tier"},
):
    """A key as `GET /key` describes it to its owner."""

    usage: float
    usage_daily: float | None = None
    usage_weekly: float | None = None
    usage_monthly: float | None = None
    free_tier: bool = False
    is_management_key: bool = False
    is_provisioning_key: bool = False  # the older name of the same

    @property
    def management(self) -> bool:
        """Whether it manages keys; completions refuse such a key."""
        return self.is_management_key or self.is_provisioning_key


class ListedKey(_Key, frozen=True, kw_only=True, rename={"remaining": "limit_remaining", "reset": "limit_reset"}):
    """A key as the account lists it. `hash` is its name in `activity`, and cannot be computed from the key."""

    hash: str
    name: str = ""
    disabled: bool = False
    usage: float = 0.0

    def shows(self, value: str) -> bool:
        """Whether the label ("sk-or-v1-abc...123") is that of this key."""
        head, dots, tail = self.label.partition("...")
        return bool(dots and head and tail) and value.startswith(head) and value.endswith(tail)


class ListedPrices(msgspec.Struct, frozen=True):
    """USD per million tokens; `cached_input` None where none is listed."""

    input: float
    cached_input: float | None
    output: float


class Model(msgspec.Struct, frozen=True):
    """A listed model; `expiration_date` is the first day without it, `canonical_slug` the build that is served."""

    id: str
    name: str = ""
    canonical_slug: str = ""
    pricing: dict[str, Any] = {}
    expiration_date: str | None = None

    @property
    def price(self) -> ListedPrices | None:
        """None where the list shows none that can be read."""
        try:
            cached = self.pricing.get("input_cache_read")
            return ListedPrices(
                _million(self.pricing["prompt"]),
                None if cached in (None, "") else _million(cached),
                _million(self.pricing["completion"]),
            )
        except (KeyError, InvalidOperation, ValueError, OverflowError):
            return None

    @property
    def expires(self) -> date | None:
        try:
            return date.fromisoformat((self.expiration_date or "")[:10])
        except ValueError:
            return None


class Endpoint(msgspec.Struct, frozen=True):
    """One company that serves a model; status 0 is healthy, below it is trouble."""

    provider_name: str = ""
    status: int | None = None


class Activity(msgspec.Struct, frozen=True, rename={"provider": "provider_name"}):
    """Spend of one UTC day on one model at one provider; completion tokens include reasoning."""

    day: date
    model: str
    provider: str
    usage: float
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0


class Credits(msgspec.Struct, frozen=True, rename={"total": "total_credits", "used": "total_usage"}):
    """The account's credit."""

    total: float
    used: float

    @property
    def left(self) -> float:
        return self.total - self.used


class OpenRouter:
    """One account, read with an inference key and, where that is not enough, a management key. Reads are retried."""

    def __init__(
        self, http: Http, key: Secret, management_key: Secret | None = None, retry: Retry | None = None
    ) -> None:
        self._http = http
        self._key = key
        self._management = management_key
        self._retry = retry or Retry()

    @property
    def manages(self) -> bool:
        """Whether there is a management key, for keys(), activity() and credits()."""
        return bool(self._management)

    def key(self) -> KeyInfo:
        """The key's own limit, usage and expiry."""
        return self._read("reading the key", "/key", lambda data: reading.row(KeyInfo, data))

    def keys(self) -> list[ListedKey]:
        """All keys of the default workspace, disabled ones too, newest first. Needs the management key."""
        listed: list[ListedKey] = []
        key = self._manager("listing the keys")
        while True:
            params = {"include_disabled": "true", "offset": str(len(listed))}
            page = self._rows("listing the keys", "/keys", ListedKey, key=key, params=params)
            listed += page
            if len(page) < PAGE or len(listed) >= MOST_KEYS:
                return listed

    def models(self) -> list[Model]:
        return self._rows("listing the models", "/models", Model)

    def model(self, name: str) -> Model | None:
        """None when OpenRouter does not list that model."""
        return next((each for each in self.models() if each.id == name), None)

    def endpoints(self, model: str) -> list[Endpoint]:
        """The companies that serve a model now; empty when none does."""
        operation = f"listing the endpoints of {model}"
        try:
            return self._read(operation, f"/models/{model}/endpoints", _endpoints)
        except ProviderError as error:
            if error.status == 404:
                return []
            raise

    def activity(self) -> list[Activity]:
        """Spend by completed UTC day and model, for the last 30 days. Needs the management key."""
        key = self._manager("reading the activity")
        return self._read("reading the activity", "/activity", _activity, key=key)

    def credits(self) -> Credits:
        """Bought and used credit of the account. Needs the management key."""
        key = self._manager("reading the credit")
        return self._read("reading the credit", "/credits", lambda data: reading.row(Credits, data), key=key)

    def _manager(self, what: str) -> Secret:
        if not self._management:
            steps = Do("set management_key of the provider in config.yaml, and its variable in .env:"), inv("init")
            raise Refused(f"{what} needs a management key of OpenRouter.", *steps)
        return self._management

    def _rows(self, operation: str, path: str, kind: type[T], **more: Any) -> list[T]:
        return self._read(operation, path, lambda data: reading.rows(kind, data), **more)

    def _read(self, operation: str, path: str, make: Callable[[Any], T], **more: Any) -> T:
        answer = self._retry(lambda: self._get(operation, path, **more))
        try:
            return make(_data(answer))
        except ValueError as error:
            raise Unknown(f"{operation}: unexpected response from OpenRouter: {error}", AGAIN) from None

    def _get(
        self, operation: str, path: str, key: Secret | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {(key or self._key).reveal()}", "Accept": "application/json"}
        answer = self._http.request("GET", path, params=params, headers=headers)
        problem = trouble(answer.status, _leniently(answer))
        if problem is not None:
            raise refusal(operation, problem, body=answer.text, retry_after=retry_after(answer))
        return answer


def _data(answer: Answer) -> Any:
    content = reading.decoded(answer)
    if not isinstance(content, dict) or "data" not in content:
        raise ValueError(f"status {answer.status} without data: {reading.short(answer)}")
    return content["data"]


def _leniently(answer: Answer) -> Any:
    try:
        return reading.decoded(answer)
    except ValueError:
        return answer.text


def _endpoints(data: Any) -> list[Endpoint]:
    return reading.rows(Endpoint, data.get("endpoints") if isinstance(data, dict) else data)


def _activity(data: Any) -> list[Activity]:
    """`date` may carry a time of day, and `model` may be missing where `model_permaslug` is there."""
    if not isinstance(data, list):
        raise ValueError(f"expected a list, got {reading.cut(repr(data))}")
    plain = [each if isinstance(each, dict) else {} for each in data]
    return [
        reading.row(
            Activity,
            {
                **each,
                "day": str(each.get("date"))[:10],
                "model": str(each.get("model") or each.get("model_permaslug") or ""),
                "provider_name": str(each.get("provider_name") or ""),
            },
        )
        for each in plain
    ]


def _million(value: Any) -> float:
    """Listed prices are strings for one token."""
    price = Decimal(str(value)) * MILLION
    if not price.is_finite():
        raise ValueError(f"not a price: {value}")
    return float(price)
