"""`rehearsal.backend`: database, auth and storage of a local Supabase stack in place of the stand-ins.

backend: http://127.0.0.1:54321      # or {url, jwt_secret, database} where they are not the CLI's usual ones

The sandbox takes over the stack's keys, so that the tokens of one are good for the other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal import identity as identities
from migration.rehearsal.exchange import WorkerLost, forward
from migration.rehearsal.identity import Identity
from migration.rehearsal.mistake import SettingError
from migration.rehearsal.types import Sandbox

SERVICES = ("auth", "rest", "storage", "graphql", "realtime")
# What `supabase start` signs with unless config.toml says otherwise, and the claims of its two keys:
# https://github.com/supabase/cli/blob/develop/pkg/config/apikeys.go
SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
_CLAIMS = {"iss": "supabase-demo", "exp": 1983812996}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_IDLE = 150.0  # seconds between two bytes


@dataclass(frozen=True)
class Stack:
    """A running local stack."""

    host: str
    port: int
    secret: str
    database: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @classmethod
    def of(cls, settings: Any) -> Stack:
        """SettingError for what is not an http:// address, alone or with a secret."""
        about = settings if isinstance(settings, Mapping) else {"url": settings}
        parts = urlsplit(str(about.get("url") or ""))
        if set(about) - {"url", "jwt_secret", "database"} or parts.scheme != "http" or not parts.hostname:
            text = "should be the address of a local stack, as http://127.0.0.1:54321, or {url, jwt_secret, database}"
            raise SettingError(("backend",), text)
        database = about.get("database") or f"postgresql://postgres:postgres@{parts.hostname}:54322/postgres"
        return cls(parts.hostname, parts.port or 80, str(about.get("jwt_secret") or SECRET), str(database))


def adopted(identity: Identity, settings: Mapping[str, Any]) -> Identity:
    """The identity with the keys of the stack; as it is without one."""
    if not settings.get("backend"):
        return identity
    secret = Stack.of(settings["backend"]).secret
    anon, service = (identities.sign(_claims(role), secret) for role in ("anon", "service_role"))
    return replace(identity, jwt_secret=secret, anon_key=anon, service_role_key=service)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    relay = Relay(sandbox, Stack.of(sandbox.settings["backend"]))
    sandbox.accepts = relay.accepts
    return [Route(f"/{name}/v1/{{path:path}}", relay.answer, methods=_METHODS) for name in SERVICES]


class Relay:
    """Passes calls on. The user of the smoke cases is made on the stack before its first sign-in."""

    def __init__(self, sandbox: Sandbox, stack: Stack) -> None:
        self.sandbox = sandbox
        self.stack = stack
        self._user_made = False
        self._accepted: set[str] = set()

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        target = request.url.path.encode() + (b"?" + request.url.query.encode() if request.url.query else b"")
        try:
            if request.url.path.startswith("/auth/v1/token"):
                await self._make_user()
            return await self._pass(request.method, target, _headers(self.sandbox.identity, request), body)
        except (WorkerLost, TimeoutError, OSError) as error:
            text = f"rehearsal.backend: nothing answers at {self.stack.url} ({error}). Start it with `supabase start`"
            return JSONResponse({"message": text}, 502)

    async def accepts(self, token: str) -> bool:
        """Whether the stack's auth knows who an asymmetrically signed token belongs to."""
        if token not in self._accepted:
            headers = [(b"authorization", b"Bearer " + token.encode()), *self._own()]
            try:
                answer = await self._pass("GET", b"/auth/v1/user", headers, b"")
            except (WorkerLost, TimeoutError, OSError):
                return False
            if answer.status_code != 200:
                return False
            self._accepted.add(token)
        return True

    async def _make_user(self) -> None:
        if self._user_made:
            return
        own = self.sandbox.identity
        about = {"id": own.user_id, "email": own.user_email, "password": own.user_password, "email_confirm": True}
        headers = [(b"content-type", b"application/json"), *self._own(service=True)]
        await self._pass("POST", b"/auth/v1/admin/users", headers, json.dumps(about).encode())
        self._user_made = True

    def _own(self, service: bool = False) -> list[tuple[bytes, bytes]]:
        own = self.sandbox.identity
        key = (own.service_role_key if service else own.anon_key).encode()
        return [(b"apikey", key), *([(b"authorization", b"Bearer " + key)] if service else [])]

    async def _pass(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> Response:
        async def whole() -> AsyncIterator[bytes]:
            if body:
                yield body

        place = f"{self.stack.host}:{self.stack.port}".encode()
        sent = [*headers, (b"host", place), (b"content-length", str(len(body)).encode())]
        async with AsyncExitStack() as open_:
            upstream = await open_.enter_async_context(
                forward(self.stack.port, method, target, sent, whole(), _IDLE, host=self.stack.host)
            )
            held = open_.pop_all()

        async def pieces() -> AsyncIterator[bytes]:
            async with held:
                async for piece in upstream.pieces:
                    yield piece

        passed = StreamingResponse(pieces(), upstream.status)
        passed.raw_headers = upstream.headers
        return passed


def _claims(role: str) -> dict[str, Any]:
    return {"iss": _CLAIMS["iss"], "role": role, "exp": _CLAIMS["exp"]}


def _headers(identity: Identity, request: Request) -> list[tuple[bytes, bytes]]:
    """The caller's headers, with the stack's key in place of this project's newer ones, which it does not know."""
    keys = {
        identity.publishable_key.encode(): identity.anon_key.encode(),
        identity.secret_key.encode(): identity.service_role_key.encode(),
    }
    headers = []
    for name, value in request.headers.raw:
        if name in (b"host", b"content-length"):
            continue
        for own, theirs in keys.items():
            value = value.replace(own, theirs)
        headers.append((name, value))
    return headers
