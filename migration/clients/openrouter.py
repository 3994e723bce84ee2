"""OpenRouter's side of the migration: keys, credit, catalogue and what was charged. Completions are the functions'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from migration.base.clock import Clock
from migration.base.errors import Refused, Unknown
from migration.base.secrets_type import Secret

from .again import retrying
from .http import Answer, Http, retry_after
from .openrouter_errors import ProviderError, refusal, trouble
from .openrouter_types import Activity, Credits, Endpoint, Generation, KeyInfo, ListedKey, Model

T = TypeVar("T")
PAGE = 100
PATIENCE = 15.0  # seconds in which a generation that was just made must be found


class OpenRouter:
    """One account, asked with an inference key and, where that is not enough, a management key. Reads are retried."""

    def __init__(
        self, http: Http, key: Secret, management_key: Secret | None = None, clock: Clock | None = None
    ) -> None:
        self._http = http
        self._key = key
        self._management = management_key
        self._clock = clock or Clock()

    @property
    def manages(self) -> bool:
        """Whether there is a management key, for keys(), activity() and credits()."""
        return bool(self._management)

    def key(self) -> KeyInfo:
        """What the key knows of itself: limit, usage, expiry; USD."""
        return self._one("asking about the key", "/key", KeyInfo.of)

    def management(self) -> KeyInfo:
        """The same of the management key: whether it lives, and is one."""
        return self._one("asking about the management key", "/key", KeyInfo.of, key=self._manager("the management key"))

    def keys(self) -> list[ListedKey]:
        """All keys of the default workspace, disabled ones too, newest first. Needs the management key."""
        found: list[ListedKey] = []
        key = self._manager("listing the keys")
        while True:
            params = {"include_disabled": "true", "offset": str(len(found))}
            page = self._many("listing the keys", "/keys", ListedKey.of, key=key, params=params)
            found += page
            if len(page) < PAGE:
                return found

    def models(self) -> list[Model]:
        return self._many("listing the models", "/models", Model.of)

    def model(self, name: str) -> Model | None:
        """None when OpenRouter does not list that model."""
        return next((each for each in self.models() if each.id == name), None)

    def endpoints(self, model: str) -> list[Endpoint]:
        """Who serves a model now, each with its own price; empty when nobody does."""
        try:
            data = self._data(f"listing who serves {model}", f"/models/{model}/endpoints")
        except ProviderError as error:
            if error.status == 404:
                return []
            raise
        rows = data.get("endpoints") if isinstance(data, Mapping) else None
        return _each(f"listing who serves {model}", rows, Endpoint.of)

    def activity(self, day: date | None = None, key_hash: str | None = None) -> list[Activity]:
        """Spend by completed UTC day and model, for the last 30 days or one of them. Needs the management key."""
        wanted = {"date": day.isoformat() if day else None, "api_key_hash": key_hash}
        params = {name: value for name, value in wanted.items() if value}
        key = self._manager("reading the activity")
        return self._many("reading the activity", "/activity", Activity.of, key=key, params=params)

    def credits(self) -> Credits:
        """Bought and used credit of the account, USD. Needs the management key."""
        return self._one("reading the credit", "/credits", Credits.of, key=self._manager("reading the credit"))

    def generation(self, name: str, patience: float = PATIENCE) -> Generation:
        """What one generation cost; it may be unknown for a moment after the call, so 404 is asked again."""
        end = self._clock.monotonic() + patience
        wait = 0.2
        while True:
            try:
                return self._one("looking up a generation", "/generation", Generation.of, params={"id": name})
            except ProviderError as error:
                if error.status != 404 or self._clock.monotonic() + wait > end:
                    raise
            self._clock.sleep(wait)
            wait = min(wait * 2, 2.0)

    def _manager(self, what: str) -> Secret:
        if not self._management:
            raise Refused(f"{what} needs a management key of OpenRouter", "set OPENROUTER_MANAGEMENT_KEY in .env")
        return self._management

    def _one(self, operation: str, path: str, make: Callable[[Mapping[str, Any]], T], **more: Any) -> T:
        return _make(operation, self._data(operation, path, **more), make)

    def _many(self, operation: str, path: str, make: Callable[[Mapping[str, Any]], T], **more: Any) -> list[T]:
        return _each(operation, self._data(operation, path, **more), make)

    def _data(self, operation: str, path: str, **more: Any) -> Any:
        answer = retrying(lambda: self._ask(operation, path, **more))
        found = _json(operation, answer)
        if not isinstance(found, Mapping) or "data" not in found:
            raise Unknown(f"{operation}: OpenRouter answered {answer.status} without data: {_short(answer)}")
        return found["data"]

    def _ask(
        self, operation: str, path: str, key: Secret | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {(key or self._key).reveal()}", "Accept": "application/json"}
        answer = self._http.request("GET", path, params=params, headers=headers)
        problem = trouble(answer.status, _leniently(answer))
        if problem is not None:
            raise refusal(operation, problem, body=answer.text, retry_after=retry_after(answer))
        return answer


def _json(operation: str, answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise Unknown(f"{operation}: OpenRouter answered {answer.status}, but no JSON: {_short(answer)}") from None


def _leniently(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _each(operation: str, rows: Any, make: Callable[[Mapping[str, Any]], T]) -> list[T]:
    if not isinstance(rows, list):
        raise Unknown(f"{operation}: OpenRouter answered no list: {str(rows)[:120]!r}")
    return [_make(operation, row, make) for row in rows]


def _make(operation: str, row: Any, make: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return make(row)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Unknown(f"{operation}: OpenRouter answered in a form that we do not know ({error})") from None


def _short(answer: Answer) -> str:
    return repr(" ".join(answer.text.split())[:120])
