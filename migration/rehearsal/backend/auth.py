"""`/auth/v1`: signs users in, says who a token belongs to, and administers users, with the hosted errors."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal import identity
from migration.rehearsal.backend.access import keyless, serves
from migration.rehearsal.backend.grammar import LOCAL
from migration.rehearsal.backend.users import User, Users
from migration.rehearsal.identity import Identity
from migration.rehearsal.types import Sandbox

LIFETIME = 3600  # seconds
CODE = "000000"  # of every mail that would be sent
SHORTEST = 6  # characters of a password, as hosted by default
_NEWER = "2024-01-01"  # the API version that puts the code's name in place of its number
_VERSION = "x-supabase-api-version"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """SettingError when `rehearsal.users` has a mistake."""
    users = Users(sandbox.identity, sandbox.settings.get("users") or {}, Path(sandbox.folder) / "users.json")
    sandbox.resetting.append(users.reset)
    auth = AuthRoutes(sandbox, users)
    admin = AdminRoutes(sandbox, users, auth.mails)
    return [
        Route("/auth/v1/token", auth.token, methods=["POST"]),
        Route("/auth/v1/signup", auth.signup, methods=["POST"]),
        Route("/auth/v1/otp", auth.otp, methods=["POST"]),
        Route("/auth/v1/recover", auth.recover, methods=["POST"]),
        Route("/auth/v1/resend", auth.recover, methods=["POST"]),
        Route("/auth/v1/verify", auth.verify, methods=["GET", "POST"]),
        Route("/auth/v1/user", auth.user, methods=["GET", "PUT"]),
        Route("/auth/v1/logout", auth.logout, methods=["POST"]),
        Route("/auth/v1/health", auth.health, methods=["GET"]),
        Route("/auth/v1/.well-known/jwks.json", auth.keys, methods=["GET"]),
        Route("/auth/v1/invite", admin.invite, methods=["POST"]),
        Route("/auth/v1/admin/generate_link", admin.link, methods=["POST"]),
        Route("/auth/v1/admin/users", admin.users, methods=["GET", "POST"]),
        Route("/auth/v1/admin/users/{id}", admin.one_user, methods=["GET", "PUT", "DELETE"]),
        Route("/auth/v1/{path:path}", auth.missing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


class Mails:
    """What mails would hold: a link's token and a code for each, good once. No mail is sent; every code is the same."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._codes: set[str] = set()

    def written(self, user: User) -> str:
        """The token of a new mail to the user."""
        token = secrets.token_hex(28)
        self._tokens[token] = user.id
        self._codes.add(user.id)
        return token

    def opened(self, token: str) -> str:
        """The id of the user to whom a link's token went; empty for one that is used up or was never sent."""
        owner = self._tokens.pop(token, "")
        self._codes.discard(owner)
        return owner

    def typed(self, user: User | None, code: str) -> str:
        """The id of the user who was sent this code."""
        if user is None or code != CODE or user.id not in self._codes:
            return ""
        self._codes.discard(user.id)
        return user.id


class AuthRoutes:
    """Sessions live as long as the process; a refresh token is good for one use, as hosted."""

    def __init__(self, sandbox: Sandbox, users: Users) -> None:
        self.sandbox = sandbox
        self.known = users
        self._sessions: dict[str, tuple[str, str]] = {}  # refresh token -> session id, user id
        self._ended: set[str] = set()
        self.mails = Mails()

    @property
    def identity(self) -> Identity:
        return self.sandbox.identity

    async def token(self, request: Request) -> Response:
        """A session for an email and password, or for a refresh token."""
        given = await _given(self.identity, request)
        if isinstance(given, Response):
            return given
        match request.query_params.get("grant_type"):
            case "password":
                return self._password(request, given)
            case "refresh_token":
                return self._refresh(request, given)
        return error(request, 400, "invalid_grant", "unsupported_grant_type")

    async def signup(self, request: Request) -> Response:
        """A new user and its session: addresses need no confirmation here. Without an address it is anonymous."""
        given = await _given(self.identity, request)
        if isinstance(given, Response):
            return given
        anonymous = not given.get("email") and not given.get("phone")
        if refusal := None if anonymous else _unfit(request, self.known, given, needs_password=True):
            return refusal
        user = self.known.add({**given, "user_metadata": given.get("data"), "app_metadata": None, "role": None})
        user.anonymous = anonymous
        self.known.save()
        return JSONResponse(self._session(str(uuid.uuid4()), user))

    async def otp(self, request: Request) -> Response:
        """A mail with a code and a link, which is not sent. A new address becomes a user where that is allowed."""
        given = await _given(self.identity, request)
        if isinstance(given, Response):
            return given
        user = self.known.by_email(str(given.get("email") or ""))
        if user is None and not given.get("email"):
            return error(request, 400, "phone_provider_disabled", "Unsupported phone provider")
        if user is None and given.get("create_user") is False:
            return error(request, 422, "otp_disabled", "Signups not allowed for otp")
        about = {"email": given.get("email"), "user_metadata": given.get("data"), "email_confirm": False}
        self.mails.written(user or self.known.add(about))
        return JSONResponse({})

    async def recover(self, request: Request) -> Response:
        """A mail that is not sent; the answer does not say whether anyone has the address."""
        given = await _given(self.identity, request)
        if isinstance(given, Response):
            return given
        if user := self.known.by_email(str(given.get("email") or "")):
            self.mails.written(user)
        return JSONResponse({})

    async def verify(self, request: Request) -> Response:
        """A session for a link's token or a mail's code; GET is the link itself and leads back to the app with it."""
        if request.method == "GET":
            return self._followed(request)
        given = await _given(self.identity, request)
        if isinstance(given, Response):
            return given
        token = str(given.get("token_hash") or "")
        by_code = self.known.by_email(str(given.get("email") or ""))
        owner = self.mails.opened(token) if token else self.mails.typed(by_code, str(given.get("token") or ""))
        if owner not in self.known.known:  # deleted meanwhile, or nobody's
            text = "Email link is invalid or has expired" if token else "Token has expired or is invalid"
            return error(request, 403, "otp_expired", text)
        return JSONResponse(self._confirmed(owner))

    def _followed(self, request: Request) -> Response:
        target = request.query_params.get("redirect_to") or self.sandbox.url
        owner = self.mails.opened(str(request.query_params.get("token")))
        if owner not in self.known.known:  # deleted meanwhile, or nobody's
            text = "Email link is invalid or has expired"
            about = {"error": "access_denied", "error_code": "otp_expired", "error_description": text}
        else:
            session = {name: value for name, value in self._confirmed(owner).items() if name != "user"}
            about = {**session, "type": str(request.query_params.get("type"))}
        return Response(status_code=303, headers={"location": f"{target}#{urlencode(about)}"})

    def _confirmed(self, owner: str) -> dict[str, Any]:
        user = self.known.known[owner]
        user.confirmed = True
        self.known.save()
        return self._session(str(uuid.uuid4()), user)

    async def user(self, request: Request) -> Response:
        """The bare user object of the bearer token; PUT changes it."""
        if refusal := keyless(self.identity, request):
            return refusal
        caller = self._caller(request)
        if isinstance(caller, Response) or request.method == "GET":
            return caller if isinstance(caller, Response) else JSONResponse(caller.shown())
        given = _object(await request.body())
        if given is None:
            return error(request, 400, "bad_json", "Could not parse request body as JSON")
        if refusal := _unfit(request, self.known, given, but=caller):
            return refusal
        changed = self.known.change(
            caller, {**given, "user_metadata": given.get("data"), "app_metadata": None, "role": None}
        )
        return JSONResponse(changed.shown())

    async def logout(self, request: Request) -> Response:
        claims = self._claims(request)
        if isinstance(claims, Response):
            return claims
        self._ended.add(claims.get("session_id", ""))
        return Response(status_code=204)

    async def health(self, _: Request) -> Response:
        about = "GoTrue is a user registration and authentication API"
        return JSONResponse({"version": "sandbox", "name": "GoTrue", "description": about})

    async def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": []})

    async def missing(self, request: Request) -> Response:
        text = f"The sandbox's auth has no {request.method} {request.url.path}. {LOCAL}"
        return error(request, 404, "not_found", text)

    def _password(self, request: Request, given: dict[str, Any]) -> Response:
        user = self.known.by_email(str(given.get("email") or ""))
        if user is None or not user.password or user.password != given.get("password"):
            return error(request, 400, "invalid_credentials", "Invalid login credentials")
        if not user.confirmed:
            return error(request, 400, "email_not_confirmed", "Email not confirmed")
        return JSONResponse(self._session(str(uuid.uuid4()), user))

    def _refresh(self, request: Request, given: dict[str, Any]) -> Response:
        session, owner = self._sessions.pop(str(given.get("refresh_token")), ("", ""))
        user = self.known.known.get(owner)
        if user is None or session in self._ended:
            return error(request, 400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        return JSONResponse(self._session(session, user))

    def _session(self, session: str, user: User) -> dict[str, Any]:
        refresh, expires = secrets.token_urlsafe(9), int(time.time()) + LIFETIME
        self._sessions[refresh] = session, user.id
        return {
            "access_token": self._signed(session, expires, user),
            "token_type": "bearer",
            "expires_in": LIFETIME,
            "expires_at": expires,
            "refresh_token": refresh,
            "user": user.shown(),
        }

    def _signed(self, session: str, expires: int, user: User) -> str:
        own = {
            "iss": f"{self.sandbox.url}/auth/v1", "exp": expires, "iat": int(time.time()), "session_id": session,
            "aal": "aal1", "amr": [{"method": "password", "timestamp": int(time.time())}],
        }  # fmt: skip
        return jwt.encode({**user.payload(), **own}, self.identity.jwt_secret, algorithm="HS256")

    def _caller(self, request: Request) -> User | Response:
        claims = self._claims(request)
        return claims if isinstance(claims, Response) else self.known.known[claims["sub"]]

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
        if claims["sub"] not in self.known.known:
            return error(request, 403, "user_not_found", "User from sub claim in JWT does not exist")
        if claims.get("session_id") in self._ended:
            return error(request, 403, "session_not_found", "Session from session_id claim in JWT does not exist")
        return claims


class AdminRoutes:
    """What the service role may do with users."""

    def __init__(self, sandbox: Sandbox, users: Users, mails: Mails) -> None:
        self.sandbox = sandbox
        self.known = users
        self.mails = mails

    async def users(self, request: Request) -> Response:
        """A page of all users, or a new one."""
        if refusal := self._admin(request):
            return refusal
        if request.method == "POST":
            return await self._create(request)
        known = list(self.known.known.values())
        size = _number(request, "per_page", 50)
        page = known[(_number(request, "page", 1) - 1) * size :][:size]
        last = -(-len(known) // size) or 1
        headers = {"x-total-count": str(len(known)), "link": f'</admin/users?page={last}&per_page={size}>; rel="last"'}
        return JSONResponse({"users": [user.shown() for user in page], "aud": "authenticated"}, headers=headers)

    async def one_user(self, request: Request) -> Response:
        if refusal := self._admin(request):
            return refusal
        user = self.known.known.get(request.path_params["id"])
        if user is None:
            return error(request, 404, "user_not_found", "User not found")
        if request.method == "DELETE":
            self.known.remove(user)
            return JSONResponse({})
        if request.method == "PUT":
            given = _object(await request.body()) or {}
            if refusal := _unfit(request, self.known, given, but=user):
                return refusal
            if given.get("email_confirm"):
                user.confirmed = True
            self.known.change(user, given)
        return JSONResponse(user.shown())

    async def invite(self, request: Request) -> Response:
        """The user who would be sent a mail; the sandbox sends none."""
        if refusal := self._admin(request):
            return refusal
        given = _object(await request.body()) or {}
        if refusal := _unfit(request, self.known, given):
            return refusal
        about = {"email": given.get("email"), "user_metadata": given.get("data"), "email_confirm": False}
        return JSONResponse(self.known.add(about).shown())

    async def link(self, request: Request) -> Response:
        """The link that a mail would hold."""
        if refusal := self._admin(request):
            return refusal
        given = _object(await request.body()) or {}
        user = self.known.by_email(str(given.get("email") or ""))
        if user is None and given.get("type") not in ("signup", "invite"):
            return error(request, 404, "user_not_found", "User with this email not found")
        user = user or self.known.add({"email": given.get("email"), "password": given.get("password")})
        kind, token = str(given.get("type")), self.mails.written(user)
        back = given.get("redirect_to") or request.query_params.get("redirect_to") or self.sandbox.url
        target = f"{self.sandbox.url}/auth/v1/verify?{urlencode({'token': token, 'type': kind, 'redirect_to': back})}"
        about = {"action_link": target, "email_otp": CODE, "hashed_token": token, "verification_type": kind}
        return JSONResponse({**user.shown(), **about, "redirect_to": back})

    async def _create(self, request: Request) -> Response:
        given = _object(await request.body())
        if given is None:
            return error(request, 400, "bad_json", "Could not parse request body as JSON")
        if not given.get("email") and not given.get("phone"):
            text = "Cannot create a user without either an email or phone"
            return error(request, 400, "validation_failed", text)
        if refusal := _unfit(request, self.known, given):
            return refusal
        return JSONResponse(self.known.add({"email_confirm": False, **given}).shown())

    def _admin(self, request: Request) -> Response | None:
        """The refusal of a caller who is neither the service role nor holds the secret key."""
        if refusal := keyless(self.sandbox.identity, request):
            return refusal
        if serves(self.sandbox.identity, request):
            return None
        return error(request, 403, "not_admin", "User not allowed")


def _unfit(
    request: Request, users: Users, given: dict[str, Any], *, but: User | None = None, needs_password: bool = False
) -> Response | None:
    """Why these values cannot become a user's, if they cannot."""
    holder = users.by_email(str(given.get("email") or ""))
    if holder is not None and holder is not but:
        if needs_password:
            return error(request, 422, "user_already_exists", "User already registered")
        return error(request, 422, "email_exists", "A user with this email address has already been registered")
    password = given.get("password")
    if needs_password and not password:
        return error(request, 400, "validation_failed", "Signup requires a valid password")
    if password and len(str(password)) < SHORTEST:
        text = f"Password should be at least {SHORTEST} characters."
        return error(request, 422, "weak_password", text)
    return None


async def _given(own: Identity, request: Request) -> dict[str, Any] | Response:
    if refusal := keyless(own, request):
        return refusal
    body = _object(await request.body())
    if body is None:
        return error(request, 400, "bad_json", "Could not parse request body as JSON")
    return body


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name, "")
    return max(1, int(text)) if text.isdigit() else usual


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
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
