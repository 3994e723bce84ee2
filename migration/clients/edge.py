"""The project's own address: calling a function, and signing in as the smoke user."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from migration.base.command import Do, inv
from migration.base.errors import ApiError, ConfigError, ServiceFailed
from migration.base.secrets_type import Secret, cropped
from migration.clients import reading
from migration.clients.http import Answer, Http

CallerAuth = Literal["none", "anon", "user"]
_PATH = "/%:@!$&'()*+,;=~"  # as it stands in a path; what is escaped already stays so
_FUNCTION = re.compile(r"/functions/v1/([A-Za-z][\w-]*)")


def header_forms(auth: CallerAuth | Secret, anon: Secret | None) -> dict[str, str]:
    """Which header carries which key (`anon`, `user` or `own`). New keys (`sb_…`) are not tokens: the gateway takes
    them as `apikey` alone. https://supabase.com/docs/guides/api/api-keys
    """
    if auth == "none":
        return {}
    if isinstance(auth, Secret):
        if _new(auth):
            return {"apikey": "own"}
        return {"apikey": "anon", "Authorization": "own"} if anon else {"Authorization": "own"}
    if auth == "user":
        return {"apikey": "anon", "Authorization": "user"}
    return {"apikey": "anon"} if anon and _new(anon) else {"apikey": "anon", "Authorization": "anon"}


def _new(key: Secret) -> bool:
    return key.reveal().startswith("sb_")


def _header(name: str, value: str) -> str:
    return f"Bearer {value}" if name == "Authorization" else value


@dataclass(frozen=True)
class Sending:
    """What a verb sends to functions: one row of docs/what-is-sent.md."""

    verb: str
    what: str
    most: str


class Purpose(Enum):
    """Why a function is sent a request. Every request has one, and no other verb sends anything."""

    SMOKE = Sending("smoke", "the smoke cases, or those that `--case` names", "each case once")
    SOAK = Sending(
        "soak",
        "smoke cases of the migrated functions that expect success, in turn",
        "`soak.max_requests`, `soak.max_cost` and `soak.max_time`, shown and confirmed first",
    )
    BEFORE = Sending("deploy", "before staging: the smoke cases of `migration.unchanged`", "each case once")
    GATE = Sending(
        "deploy",
        "in the gate: the smoke cases of the deployed functions and of `migration.unchanged`, and in each further "
        "region of `gate.regions` one case of each deployed function",
        "each request once, and again only after an answer from another version, at most three times; `plan` shows the "
        "most in requests and dollars",
    )
    ROLLBACK = Sending("rollback", "the smoke cases of the functions that were restored", "as in the gate of a deploy")
    PROBE = Sending(
        "deploy, rollback",
        "with `gate.probe: options` alone: an OPTIONS request, which runs the whole body of a function that has no "
        "branch for it",
        "repeated until the new version answers in every region, for up to `gate.within`",
    )
    E2E = Sending(
        "e2e",
        "nothing itself: what the page calls while the steps of `e2e` drive it in a browser",
        "the steps once; the dollars of those that cost money are shown and confirmed first",
    )
    WATCH = Sending(
        "watch",
        "with `watch.probes` alone: the smoke cases with `probe: true`",
        "each case every `watch.probes.every`, while all of them cost no more than `watch.probes.max_cost`; the most "
        "in requests and dollars a day is shown first",
    )
    REHEARSAL = Sending("rehearse", "the smoke cases and a soak, on the sandbox alone", "production receives nothing")


PROBE_AGENT = "cutover-probe"  # the user agent of a watch's own requests, by which the logs tell them from callers


def route(function: str, path: str = "") -> str:
    """Where a function answers, below the project's address."""
    return f"/functions/v1/{function}{quote(path, safe=_PATH)}"


def called(url: str) -> str:
    """The slug of the function that an address belongs to, on whatever host; empty for any other address."""
    match = _FUNCTION.match(urlsplit(url).path)
    return match[1] if match else ""


class Edge:
    """Calls to `/functions/v1/…` with the right credentials. The user's token is fetched once and reused."""

    def __init__(
        self, http: Http, anon_key: Secret | None, email: Secret | str | None = None, password: Secret | None = None
    ) -> None:
        self._http = http
        self._anon = anon_key
        self._email = email
        self._password = password
        self._token: Secret | None = None
        self._signing = threading.Lock()
        self.sent: Counter[Purpose] = Counter()  # requests to functions in this run

    @property
    def url(self) -> str:
        return self._http.base_url

    def call(
        self,
        function: str,
        *,
        purpose: Purpose,
        method: str = "POST",
        path: str = "",
        query: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        auth: CallerAuth | Secret = "anon",
        timeout: float = 60.0,
        region: str | None = None,
    ) -> Answer:
        """One request to a function, answered within `timeout` seconds in all; any status is an answer.

        `path` follows the function's name and begins with /.

        The only way to a function: `purpose` says for whom, and docs/what-is-sent.md lists every purpose.
        """
        self.sent[purpose] += 1
        own = {name.lower() for name in headers or {}}
        keys = {name: value for name, value in self.credentials(auth).items() if name.lower() not in own}
        agent = {"User-Agent": PROBE_AGENT} if purpose is Purpose.WATCH and "user-agent" not in own else {}
        sending = {**agent, **keys, **({"x-region": region} if region else {}), **(headers or {})}
        return self._http.request(
            method, route(function, path), params=query, json=json, content=content, headers=sending, deadline=timeout
        )

    def credentials(self, auth: CallerAuth | Secret) -> dict[str, str]:
        """Headers for `none`, `anon`, `user`, or a token or key of one's own."""
        forms = header_forms(auth, self._anon)
        if "anon" in forms.values() and not self._anon:
            steps = Do("set auth.anon_key in config.yaml, and its variable in .env:"), inv("init")
            raise ConfigError("No anon key for this environment.", *steps)
        values: dict[str, Callable[[], Secret]] = {
            "anon": lambda: self._anon or Secret(""),
            "user": self.sign_in,
            "own": lambda: auth if isinstance(auth, Secret) else Secret(""),
        }
        return {name: _header(name, values[key]().reveal()) for name, key in forms.items()}

    def sign_in(self) -> Secret:
        """The smoke user's access token, by password; reused for the life of this object."""
        with self._signing:
            if self._token is None:
                self._token = self._password_grant()
            return self._token

    def _password_grant(self) -> Secret:
        if not self._email or not self._password or not self._anon:
            raise ConfigError(
                "A smoke case needs a signed-in user, and auth.user has no email or password.",
                Do("set both in .env:"),
                inv("init"),
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
        content = reading.decoded(answer)
    except ValueError:
        content = {}
    content = content if isinstance(content, dict) else {}
    token = content.get("access_token")
    if answer.ok and isinstance(token, str):
        return Secret(token)
    step = Do("check email and password of auth.user in .env, and that the user is confirmed")
    if answer.ok:
        raise ServiceFailed("Signing in: the answer holds no access_token.", step)
    message = content.get("message") or content.get("msg") or cropped(answer.text, 200)
    text = f"signing in as the smoke user: {answer.status}: {message}"
    raise ApiError(text, step, status=answer.status, body=answer.text, operation="signing in")
