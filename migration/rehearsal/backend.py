"""`/rest/v1`: quick stand-in answers for database calls. No database runs here; rows come from the settings.

Settings, under `database`: `tables` maps a table to its rows, `rpc` a function to its answer, and `status` with
`body` makes every call fail so. A table that is not named is empty. Filters are not applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.base.errors import Refused

from .types import Sandbox

_ONE = "application/vnd.pgrst.object+json"
_KINDS: dict[str, type] = {"tables": dict, "rpc": dict, "status": int, "body": object}
_SHOWN: dict[type, str] = {dict: "a mapping", int: "a whole number"}
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Refused when the section has a mistake."""
    settings = _checked(sandbox.settings.get("database") or {})

    async def answer(request: Request) -> Response:
        return _answer(request, settings, await request.body())

    return [
        Route("/rest/v1/{name:path}", answer, methods=_METHODS),
        Route("/storage/v1/{name:path}", storage, methods=_METHODS),
    ]


async def storage(_: Request) -> Response:
    """Storage has no stand-in: an error in its own form. https://supabase.com/docs/guides/storage/debugging/error-codes"""
    message = "The sandbox has no Storage: leave what calls it out of the smoke cases, or let it fail softly."
    return JSONResponse({"statusCode": "501", "error": "NotImplemented", "message": message}, 501)


def _checked(settings: Any) -> Mapping[str, Any]:
    if not isinstance(settings, Mapping):
        raise Refused(f"rehearsal.database must be a mapping of {', '.join(_KINDS)}")
    for name, value in settings.items():
        if name not in _KINDS:
            raise Refused(f"rehearsal.database.{name} is unknown: it knows {', '.join(_KINDS)}")
        if not isinstance(value, _KINDS[name]):
            raise Refused(f"rehearsal.database.{name} must be {_SHOWN[_KINDS[name]]}.")
    return settings


def _answer(request: Request, settings: Mapping[str, Any], body: bytes) -> Response:
    if "status" in settings:
        return JSONResponse(settings.get("body", {"message": "no database here"}), int(settings["status"]))
    name = request.path_params["name"]
    if name.startswith("rpc/"):
        return JSONResponse((settings.get("rpc") or {}).get(name[4:]))
    if request.method in ("GET", "HEAD"):
        return _rows(request, (settings.get("tables") or {}).get(name, []))
    if "return=representation" in request.headers.get("prefer", ""):
        try:
            written = json.loads(body or b"[]")
        except ValueError:
            return JSONResponse({"code": "PGRST102", "message": "Empty or invalid json"}, 400)
        return _rows(request, written if isinstance(written, list) else [written], request.method == "POST")
    return Response(status_code=201 if request.method == "POST" else 204)


def _rows(request: Request, rows: list[Any], created: bool = False) -> Response:
    shown = f"0-{len(rows) - 1}" if rows else "*"
    headers = {"content-range": f"{shown}/{len(rows) if 'count=' in request.headers.get('prefer', '') else '*'}"}
    status = 201 if created else 200
    if _ONE not in request.headers.get("accept", ""):
        return JSONResponse(rows, status, headers)
    if len(rows) == 1:
        return JSONResponse(rows[0], status, headers)
    details = f"The result contains {len(rows)} rows"
    problem = {"code": "PGRST116", "details": details, "hint": None}
    return JSONResponse({**problem, "message": "Cannot coerce the result to a single JSON object"}, 406)
