"""OpenRouter's refusals, as its callers see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

BUSY = {"raw": "The model is temporarily rate-limited upstream. Please retry shortly."}
UPSTREAM = {"provider_name": "Novita", "error_type": "provider_unavailable"}
MESSAGES: dict[int, tuple[str, dict[str, Any] | None]] = {
    400: ("Invalid request parameters", {"error_type": "invalid_request"}),
    401: ("User not found.", None),
    402: ("Insufficient credits. Add more using https://openrouter.ai/credits", None),
    403: ("Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys", None),
    404: ("Resource not found", None),
    408: ("Operation timed out. Please try again later.", None),
    413: ("Request payload too large", None),
    422: ("Invalid argument", None),
    429: ("Provider returned error", {"provider_name": "Google", **BUSY}),
    500: ("Internal Server Error", {"error_type": "server"}),
    502: ("Provider returned error", UPSTREAM),
    503: ("Service temporarily unavailable", None),
    524: ("Request timed out. Please try again later.", None),
    529: ("Provider returned error", UPSTREAM),
}
RETRYABLE = {429: "capacity_exhausted", 503: "temporarily_unavailable"}


def body(status: int, message: str | None = None, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The error object of one status; an unlisted status gets the server's usual words."""
    usual, extra = MESSAGES.get(status, ("Provider returned error", None))
    error: dict[str, Any] = {"code": status, "message": message or usual}
    if metadata or (extra and message is None):
        error["metadata"] = dict(metadata or extra or {})
    if status in RETRYABLE and message is None:
        error["availability"] = {"code": RETRYABLE[status], "retryable": True}
    return {"error": error}


def refuse(
    status: int, message: str | None = None, *, headers: Mapping[str, str] | None = None, user: str | None = None
) -> JSONResponse:
    """The error as an HTTP answer; some 402s also carry the account's id."""
    content = body(status, message)
    if user is not None:
        content["user_id"] = user
    return JSONResponse(content, status, dict(headers or {}))


def unavailable(model: str, code: str = "no_endpoints") -> JSONResponse:
    """404 for a model without a provider that serves it."""
    content = body(404, f"No endpoints found for {model}.")
    content["error"]["availability"] = {"code": code, "retryable": False}
    return JSONResponse(content, 404)
