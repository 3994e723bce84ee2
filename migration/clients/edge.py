"""The project's own address: calling a function, and signing in as the smoke user."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal

from migration.base.errors import ApiError, ConfigError, ServiceFailed
from migration.base.secrets_type import Secret

from .http import Answer, Http

Auth = Literal["none", "anon", "user"]


class Edge:
    """Calls to `/functions/v1/…` with the right credentials. The user's token is fetched once and kept."""

    def __init__(
        self, http: Http, anon_key: Secret | None, email: Secret | str | None = None, password: Secret | None = None
    ) -> None:
        self._http = http
        self._anon = anon_key
        self._email = email
        self._password = password
        self._token: Secret | None = None
        self._signing = threading.Lock()

    @property
    def url(self) -> str:
        return self._http.base_url

    def call(
        self,
        function: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        auth: Auth | Secret = "anon",
        timeout: float = 60.0,
        region: str | None = None,
    ) -> Answer:
        """One request to a function, answered within `timeout` seconds in all; any status is an answer."""
        sending = {**self.credentials(auth), **({"x-region": region} if region else {}), **(headers or {})}
        path = f"/functions/v1/{function}"
        return self._http.request(method, path, json=json, content=content, headers=sending, deadline=timeout)

    def options(self, function: str, *, region: str | None = None, timeout: float = 15.0) -> Answer:
        """A preflight: it runs the function's code, needs no key and costs nothing."""
        return self.call(function, method="OPTIONS", auth="none", region=region, timeout=timeout)

    def credentials(self, auth: Auth | Secret) -> dict[str, str]:
        """Headers for `none`, `anon`, `user`, or a token of one's own."""
        if auth == "none":
            return {}
        key = self._anon
        if not key:
            raise ConfigError("there is no anon key for this environment", "set SUPABASE_ANON_KEY in .env (inv init)")
        if not isinstance(auth, Secret):
            auth = key if auth == "anon" else self.sign_in()
        bearer = auth.reveal()
        plain = {"apikey": key.reveal()}
        return plain if auth is key and bearer.startswith("sb_") else {**plain, "Authorization": f"Bearer {bearer}"}

    def sign_in(self) -> Secret:
        """The smoke user's access token, by password; reused for the life of this object."""
        with self._signing:
            if self._token is None:
                self._token = self._password_grant()
            return self._token

    def _password_grant(self) -> Secret:
        if not self._email or not self._password or not self._anon:
            raise ConfigError(
                "a smoke case needs a signed-in user, and auth.user has no email or password",
                "set SMOKE_USER_EMAIL and SMOKE_USER_PASSWORD in .env (inv init)",
            )
        email = self._email.reveal() if isinstance(self._email, Secret) else self._email
        answer = self._http.request(
            "POST",
            "/auth/v1/token",
            params={"grant_type": "password"},
            json={"email": email, "password": self._password.reveal()},
            headers={"apikey": self._anon.reveal(), "X-Supabase-Api-Version": "2024-01-01"},
            deadline=20.0,
        )
        return _token(answer)


def _token(answer: Answer) -> Secret:
    try:
        found = answer.json()
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    if answer.ok and isinstance(found.get("access_token"), str):
        return Secret(found["access_token"])
    said = found.get("message") or found.get("msg") or answer.text[:200]
    hint = "check SMOKE_USER_EMAIL and SMOKE_USER_PASSWORD in .env, and that the user is confirmed"
    if answer.ok:
        raise ServiceFailed("signing in: the answer holds no access_token", hint)
    text = f"signing in as the smoke user: {answer.status}: {said}"
    raise ApiError(text, hint, status=answer.status, body=answer.text, operation="signing in")
