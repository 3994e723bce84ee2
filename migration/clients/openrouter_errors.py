"""Every refusal of OpenRouter, by status, by its words, and inside HTTP 200."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migration.base.command import Do, Step, inv
from migration.base.errors import ApiError
from migration.base.secrets_type import mask

KEYS = "https://openrouter.ai/settings/keys"
CREDITS = "https://openrouter.ai/settings/credits"
NEW_KEY: tuple[Step, ...] = (Do(f"make a new key at {KEYS}, put it into .env:"), inv("secret", set=True))
_AGAIN = (Do("try again"),)
# kind: what it means, what to do
MEANING: dict[str, tuple[str, tuple[Step, ...]]] = {
    "no_key": ("no key was sent", (Do("set the key in .env:"), inv("secret", set=True))),
    "unknown_key": ("the key is unknown: mistyped, revoked or deleted", NEW_KEY),
    "disabled_key": ("the key is disabled", (Do(f"enable it at {KEYS}"),)),
    "expired_key": ("the key has expired", NEW_KEY),
    "wrong_kind": (
        "the key is of the wrong kind",
        (Do("use an inference key for calls, a management key for the account"),),
    ),
    "key_limit": ("the key's own limit is used up", (Do(f"raise its limit at {KEYS} or wait until it resets"),)),
    "no_credit": ("the account's credit is used up", (Do(f"add credit at {CREDITS}"),)),
    "short_credit": ("the credit does not cover max_tokens", (Do(f"add credit at {CREDITS} or lower max_tokens"),)),
    "budget": ("a guardrail or budget forbids it", (Do("look at the account's guardrails and budgets"),)),
    "bad_request": ("the request is not valid", (Do("fix the request"),)),
    "too_large": ("the request is too large", (Do("send less"),)),
    "no_model": ("the model is gone", (Do("choose a listed model in config.yaml"),)),
    "no_endpoints": ("no provider serves the model now", (Do("wait, or choose another model in config.yaml"),)),
    "not_found": ("not found", (Do("wait a moment and try again"),)),
    "rate_limit": ("OpenRouter's own rate limit is reached", (Do("wait a minute"),)),
    "busy": ("the company that serves the model is overloaded", (Do("try again; it mostly passes within minutes"),)),
    "timeout": ("the model did not answer in time", _AGAIN),
    "upstream": ("the company that serves the model failed", _AGAIN),
    "server": ("OpenRouter failed", (Do("try again; see https://status.openrouter.ai"),)),
    "empty": ("the answer is empty", _AGAIN),
    "all_thought": (
        "thinking used up all tokens and no answer is left",
        (Do("raise max_tokens to 16000 or more"),),
    ),
}
TRANSIENT = frozenset({"rate_limit", "busy", "timeout", "upstream", "server", "empty"})
_PLAIN = {400: "bad_request", 404: "not_found", 408: "timeout", 413: "too_large", 422: "bad_request", 502: "upstream",
          503: "busy", 504: "timeout", 524: "timeout", 529: "busy"}  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """One refusal: `kind` is a key of MEANING, `inside` says that it came within HTTP 200."""

    kind: str
    status: int
    message: str
    inside: bool = False

    @property
    def meaning(self) -> str:
        return MEANING[self.kind][0]

    @property
    def remedy(self) -> tuple[Step, ...]:
        return MEANING[self.kind][1]

    @property
    def transient(self) -> bool:
        return self.kind in TRANSIENT


class ProviderError(ApiError):
    """OpenRouter refused; `kind` says which of MEANING it is."""

    def __init__(self, message: str, trouble: Trouble, operation: str, body: str, wait: float | None) -> None:
        status = trouble.status
        super().__init__(message, *trouble.remedy, status=status, body=body, operation=operation, retry_after=wait)
        self.trouble = trouble
        self.data["kind"] = trouble.kind

    @property
    def kind(self) -> str:
        return self.trouble.kind


def refusal(operation: str, problem: Trouble, *, body: str, retry_after: float | None) -> ProviderError:
    words = f" ({problem.message})" if problem.message else ""
    text = f"{operation}: OpenRouter answered {problem.status}: {problem.meaning}{words}"
    return ProviderError(text, problem, operation, body, retry_after)


def trouble(status: int, body: Any) -> Trouble | None:
    """The refusal in an answer, None when there is none. `body` is parsed JSON, or the text where it is not JSON.

    Also the errors inside HTTP 200: at the top, in the choice, no choice at all, and an empty answer.
    """
    if not 200 <= status < 300:
        return _of(status, _error(body), body)
    if not isinstance(body, Mapping):
        return None
    if body.get("error"):
        error = _error(body)
        return _of(_code(error, 502), error, body, inside=True)
    return _choice(body) if "choices" in body else None


def classify(status: int, message: str) -> str:
    """The kind for a status and the server's words, as in a function's log line."""
    return _kind(status, message, {})


def _choice(body: Mapping[str, Any]) -> Trouble | None:
    choices = body["choices"]
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, Mapping):
        return Trouble("empty", 200, "no choices", inside=True)
    if first.get("error") or first.get("finish_reason") == "error":
        error = _error(first)
        return _of(_code(error, 502), error, body, inside=True)
    message = first.get("message")
    if isinstance(message, Mapping) and message.get("content"):
        return None
    kind = "all_thought" if first.get("finish_reason") == "length" else "empty"
    return Trouble(kind, 200, str(first.get("finish_reason") or ""), inside=True)


def _error(body: Any) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        return error
    return {"message": error if isinstance(error, str) else ""}


def _code(error: Mapping[str, Any], otherwise: int) -> int:
    code = error.get("code")
    text = str(code)
    return int(text) if re.fullmatch(r"[1-5][0-9]{2}", text) else otherwise


def _of(status: int, error: Mapping[str, Any], body: Any, *, inside: bool = False) -> Trouble:
    text = str(error.get("message") or (mask(" ".join(body[:5000].split()))[:200] if isinstance(body, str) else ""))
    return Trouble(_kind(status, text, error), status, text, inside)


def _kind(status: int, message: str, error: Mapping[str, Any]) -> str:
    low = message.lower()
    if status == 401:
        return _key(low)
    if status == 402:
        return "key_limit" if "key limit" in low else "short_credit" if "can only afford" in low else "no_credit"
    if status == 403:
        return _forbidden(low)
    if status == 404:
        return _gone(low, error)
    if status == 429:
        return _limited(low, error)
    return _PLAIN.get(status, "server" if status >= 500 else "bad_request")


def _key(low: str) -> str:
    for word in ("disabled", "expired"):
        if word in low:
            return f"{word}_key"
    return "no_key" if re.search(r"missing authentication|no auth credentials|no cookie", low) else "unknown_key"


def _forbidden(low: str) -> str:
    if "limit exceeded" in low:
        return "key_limit"
    return "wrong_kind" if "management key" in low or "provisioning key" in low else "budget"


def _gone(low: str, error: Mapping[str, Any]) -> str:
    availability = error.get("availability") or {}
    code = availability.get("code", "") if isinstance(availability, Mapping) else ""
    if code == "model_deprecated" or "not a valid model" in low:
        return "no_model"
    return "no_endpoints" if code or "no endpoints" in low else "not_found"


def _limited(low: str, error: Mapping[str, Any]) -> str:
    metadata = error.get("metadata") or {}
    upstream = isinstance(metadata, Mapping) and metadata.get("provider_name")
    return "busy" if upstream or "provider returned error" in low or "upstream" in low else "rate_limit"
