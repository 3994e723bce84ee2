"""`/auth/v1`: signs the one seeded user in and says who a token belongs to, with the hosted errors."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from . import backend, identity
from .identity import Identity
from .types import Sandbox

LIFETIME = 3600  # seconds
_NEWER = "2024-01-01"  # the API version that puts the code's name in place of its number
_VERSION = "x-supabase-api-version"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    auth = AuthRoutes(sandbox)
    return [
        Route("/auth/v1/token", auth.token, methods=["POST"]),
        Route("/auth/v1/user", auth.user, methods=["GET"]),
        Route("/auth/v1/logout", auth.logout, methods=["POST"]),
        Route("/auth/v1/health", auth.health, methods=["GET"]),
        Route("/auth/v1/.well-known/jwks.json", auth.keys, methods=["GET"]),
        Route("/auth/v1/admin/users", auth.users, methods=["GET", "POST"]),
        Route("/auth/v1/admin/users/{id}", auth.one_user, methods=["GET", "PUT", "DELETE"]),
        Route("/auth/v1/{path:path}", auth.missing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        *backend.routes(sandbox),
    ]


class AuthRoutes:
    """Sessions live as long as the process; a refresh token is good for one use, as hosted."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._sessions: dict[str, str] = {}  # refresh token -> session id
        self._ended: set[str] = set()

    @property
    def identity(self) -> Identity:
        return self.sandbox.identity

    async def token(self, request: Request) -> Response:
        """A session for an email and password, or for a refresh token."""
        if refusal := keyless(self.identity, request):
            return refusal
        given = _object(await request.body())
        if given is None:
            return error(request, 400, "bad_json", "Could not parse request body as JSON")
        match request.query_params.get("grant_type"):
            case "password":
                return self._password(request, given)
            case "refresh_token":
                return self._refresh(request, given)
        return error(request, 400, "invalid_grant", "unsupported_grant_type")

    async def user(self, request: Request) -> Response:
        """The bare user object of the bearer token."""
        if refusal := keyless(self.identity, request):
            return refusal
        claims = self._claims(request)
        return claims if isinstance(claims, Response) else JSONResponse(self._user())

    async def logout(self, request: Request) -> Response:
        claims = self._claims(request)
        if isinstance(claims, Response):
            return claims
        self._ended.add(claims["session_id"])
        return Response(status_code=204)

    async def health(self, _: Request) -> Response:
        about = "GoTrue is a user registration and authentication API"
        return JSONResponse({"version": "sandbox", "name": "GoTrue", "description": about})

    async def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": []})

    async def users(self, request: Request) -> Response:
        """The one user, for the service role; another one cannot be made."""
        if refusal := self._admin(request):
            return refusal
        if request.method == "POST":
            return error(request, 422, "not_implemented", "The sandbox has one user: it cannot create another one")
        return JSONResponse({"users": [self._user()], "aud": "authenticated"}, headers={"x-total-count": "1"})

    async def one_user(self, request: Request) -> Response:
        if refusal := self._admin(request):
            return refusal
        if request.path_params["id"] != self.identity.user_id:
            return error(request, 404, "user_not_found", "User not found")
        if request.method != "GET":
            return error(request, 422, "not_implemented", "The sandbox's user cannot be changed")
        return JSONResponse(self._user())

    async def missing(self, request: Request) -> Response:
        return error(request, 404, "not_found", f"The sandbox's auth has no {request.method} {request.url.path}")

    def _admin(self, request: Request) -> Response | None:
        """The refusal of a caller who is neither the service role nor holds the secret key."""
        if refusal := keyless(self.identity, request):
            return refusal
        own, token = self.identity, identity.bearer(request.headers.get("authorization", ""))
        if own.secret_key in (token, request.headers.get("apikey")) or token == own.service_role_key:
            return None
        return error(request, 403, "not_admin", "User not allowed")

    def _password(self, request: Request, given: dict[str, Any]) -> Response:
        identity = self.identity
        if (given.get("email"), given.get("password")) != (identity.user_email, identity.user_password):
            return error(request, 400, "invalid_credentials", "Invalid login credentials")
        return JSONResponse(self._session(str(uuid.uuid4())))

    def _refresh(self, request: Request, given: dict[str, Any]) -> Response:
        session = self._sessions.pop(str(given.get("refresh_token")), None)
        if session is None or session in self._ended:
            return error(request, 400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        return JSONResponse(self._session(session))

    def _session(self, session: str) -> dict[str, Any]:
        refresh, expires = secrets.token_urlsafe(9), int(time.time()) + LIFETIME
        self._sessions[refresh] = session
        return {
            "access_token": self._signed(session, expires),
            "token_type": "bearer",
            "expires_in": LIFETIME,
            "expires_at": expires,
            "refresh_token": refresh,
            "user": self._user(),
        }

    def _signed(self, session: str, expires: int) -> str:
        claims = {
            "iss": f"{self.sandbox.url}/auth/v1", "sub": self.identity.user_id, "aud": "authenticated",
            "role": "authenticated", "email": self.identity.user_email, "exp": expires, "iat": int(time.time()),
            "session_id": session, "is_anonymous": False, "app_metadata": _APP, "user_metadata": {},
        }  # fmt: skip
        return jwt.encode(claims, self.identity.jwt_secret, algorithm="HS256")

    def _user(self) -> dict[str, Any]:
        return {
            "id": self.identity.user_id, "aud": "authenticated", "role": "authenticated",
            "email": self.identity.user_email, "email_confirmed_at": _SINCE, "confirmed_at": _SINCE, "phone": "",
            "app_metadata": _APP, "user_metadata": {}, "identities": [], "created_at": _SINCE, "updated_at": _SINCE,
            "is_anonymous": False,
        }  # fmt: skip

    def _claims(self, request: Request) -> dict[str, Any] | Response:
        """The verified claims of a signed-in user's token, else the hosted answer."""
        token = identity.bearer(request.headers.get("authorization", ""))
        if token is None:
            return error(request, 401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = identity.payload(self.identity, token)
        except jwt.PyJWTError as problem:
            return error(request, 403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {_why(problem)}")
        if "sub" not in claims:
            return error(request, 403, "bad_jwt", "invalid claim: missing sub claim")
        if claims["sub"] != self.identity.user_id:
            return error(request, 403, "user_not_found", "User from sub claim in JWT does not exist")
        if claims.get("session_id") in self._ended:
            return error(request, 403, "session_not_found", "Session from session_id claim in JWT does not exist")
        return claims


_APP = {"provider": "email", "providers": ["email"]}
_SINCE = "2026-01-01T00:00:00Z"


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


def error(request: Request, status: int, code: str, message: str) -> Response:
    if request.headers.get(_VERSION, "") >= _NEWER:
        return JSONResponse({"code": code, "message": message}, status, headers={_VERSION: _NEWER})
    return JSONResponse({"code": status, "error_code": code, "msg": message}, status)


def _why(problem: jwt.PyJWTError) -> str:
    if isinstance(problem, jwt.ExpiredSignatureError):
        return "token is expired"
    if isinstance(problem, jwt.InvalidSignatureError):
        return "signature is invalid"
    return f"token is malformed: {problem}"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
