"""The secrets routes: values come in, only their SHA-256 goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .guard import problem
from .state import State, digest

_NAME_MOST, _VALUE_MOST, _COUNT_MOST = 256, 24_576, 100
_PREFIX = "SUPABASE_"


class Vault:
    """`presets` are the platform's own secrets, listed beside the project's."""

    def __init__(self, state: State, presets: Callable[[], Mapping[str, str]]) -> None:
        self.state = state
        self.presets = presets

    async def list(self, _: Request) -> Response:
        held = self.state.vault.items()
        rows = [{"name": name, "value": each.digest, "updated_at": each.updated_at} for name, each in held]
        own = [{"name": name, "value": digest(value)} for name, value in self.presets().items()]
        return JSONResponse(rows + own)

    async def set(self, request: Request) -> Response:
        rows = await _rows(request)
        refusal = _refusal(rows) or self._crowded(rows)
        if refusal:
            return problem(400, refusal)
        self.state.set_secrets({row["name"]: row["value"] for row in rows})
        request.scope["state"]["effect"] = {"secrets_set": [row["name"] for row in rows]}
        return Response(status_code=201)

    async def unset(self, request: Request) -> Response:
        names = await _rows(request)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return problem(400, "Expected an array of secret names")
        self.state.unset_secrets(names)
        request.scope["state"]["effect"] = {"secrets_unset": names}
        return Response(status_code=200)

    def _crowded(self, rows: Any) -> str:
        count = len({*self.state.vault, *(row["name"] for row in rows)})
        return f"Project can have at most {_COUNT_MOST} secrets" if count > _COUNT_MOST else ""


async def _rows(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _refusal(rows: Any) -> str:
    if not isinstance(rows, list) or not rows:
        return "Expected an array of secrets"
    return next(filter(None, map(_wrong, rows)), "")


def _wrong(row: Any) -> str:
    """What is wrong with one pair of name and value, empty when nothing is."""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not isinstance(row.get("value"), str):
        return "Expected an object with name and value"
    if row["name"].startswith(_PREFIX):
        return f"Secret name must not start with the {_PREFIX} prefix."
    if not row["name"] or len(row["name"]) > _NAME_MOST:
        return f"Secret name must have 1 to {_NAME_MOST} characters"
    return f"Secret value must have at most {_VALUE_MOST} characters" if len(row["value"]) > _VALUE_MOST else ""
