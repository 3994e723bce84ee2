"""Who may use the project's services: the check of the API key, and who a token belongs to."""

from __future__ import annotations

from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from migration.rehearsal import identity as identities
from migration.rehearsal.identity import Identity


def keyless(identity: Identity, request: Request) -> Response | None:
    """The gateway's refusal of a request without this project's API key."""
    key = request.headers.get("apikey") or request.query_params.get("apikey")
    if not key:
        hint = "No `apikey` request header or url param was found."
        return JSONResponse({"message": "No API key found in request", "hint": hint}, 401)
    known = (identity.anon_key, identity.service_role_key, identity.publishable_key, identity.secret_key)
    if key not in known:
        hint = "Double check your Supabase `anon` or `service_role` API key."
        return JSONResponse({"message": "Invalid API key", "hint": hint}, 401)
    return None


def serves(identity: Identity, request: Request) -> bool:
    """Whether the caller is the service role, or holds the secret key."""
    token = identities.bearer(request.headers.get("authorization", ""))
    return identity.secret_key in (token, request.headers.get("apikey")) or token == identity.service_role_key


def claims(identity: Identity, request: Request) -> dict[str, Any]:
    """What the caller's token says; empty without one that verifies."""
    token = identities.bearer(request.headers.get("authorization", ""))
    try:
        return identities.payload(identity, token) if token else {}
    except jwt.PyJWTError:
        return {}
