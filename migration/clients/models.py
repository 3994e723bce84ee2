"""The list of models of OpenAI, Anthropic and Gemini: the free question that proves a key and a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from migration.base.command import AGAIN, Do
from migration.base.errors import ApiError
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients import reading
from migration.clients.http import Answer, Http, retry_after


@dataclass(frozen=True)
class ModelApi:
    """How one vendor lists its models. The key goes into a header, never into the address."""

    title: str
    keys: str  # where keys are made
    header: Callable[[str], Mapping[str, str]]


# https://platform.openai.com/docs/api-reference/models
# https://docs.anthropic.com/en/api/models
# https://ai.google.dev/api/models
APIS = {
    "openai": ModelApi(
        "OpenAI", "https://platform.openai.com/api-keys", lambda key: {"Authorization": f"Bearer {key}"}
    ),
    "anthropic": ModelApi(
        "Anthropic",
        "https://console.anthropic.com/settings/keys",
        lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
    ),
    "gemini": ModelApi("Gemini", "https://aistudio.google.com/apikey", lambda key: {"x-goog-api-key": key}),
}


class KeyRefused(ApiError):
    """The key is unknown, revoked, or not allowed to list models."""


class Models:
    """One vendor, asked with one key. Reads are retried."""

    def __init__(self, http: Http, api: ModelApi, key: Secret, retry: Retry) -> None:
        self._http, self._api, self._key, self._retry = http, api, key, retry

    def list(self) -> None:
        """The list itself does not matter: whoever may read it has a good key. KeyRefused, or another ApiError."""
        self._get("reading the list of models", "/models")

    def has(self, model: str) -> bool:
        """Whether the vendor knows the model, under the name that requests use."""
        try:
            self._model(model)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def build(self, model: str) -> str:
        """What the vendor serves under the model's name: its own name and version, empty where it does not say."""
        answer = self._model(model)
        try:
            content = reading.decoded(answer)
        except ValueError:
            return ""
        parts = [content.get(name) for name in ("name", "id", "version")] if isinstance(content, dict) else []
        return " ".join(part for part in parts if isinstance(part, str) and part)

    def _model(self, model: str) -> Answer:
        return self._get(f"looking up {model}", f"/models/{quote(model.removeprefix('models/'), safe='/:@')}")

    def _get(self, operation: str, path: str) -> Answer:
        return self._retry(lambda: self._once(operation, path))

    def _once(self, operation: str, path: str) -> Answer:
        headers = {**self._api.header(self._key.reveal()), "Accept": "application/json"}
        answer = self._http.request("GET", path, headers=headers)
        if answer.ok:
            return answer
        text = f"{operation}: {self._api.title} answered {answer.status}: {_message(answer)}"
        kind, step = (KeyRefused, Do(f"make a new key at {self._api.keys}")) if _refused(answer) else (ApiError, AGAIN)
        wait = retry_after(answer)
        raise kind(text, step, status=answer.status, body=answer.text, operation=operation, retry_after=wait)


def _refused(answer: Answer) -> bool:
    """Gemini answers 400 to an unknown key (reason API_KEY_INVALID), the others 401 or 403."""
    return answer.status in (401, 403) or (answer.status == 400 and "API_KEY_INVALID" in answer.text)


def _message(answer: Answer) -> str:
    try:
        content = reading.decoded(answer)
    except ValueError:
        return reading.short(answer)
    error = content.get("error") if isinstance(content, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return reading.cut(str(message), 200) if message else reading.short(answer)
