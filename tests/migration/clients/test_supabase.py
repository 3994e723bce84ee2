"""Who repeats what: for each request of the clients, how often it is sent when the service fails once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from migration.base.errors import CutoverError
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.clients.models import APIS, Models
from migration.clients.openrouter import OpenRouter
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from tests.support.clock import VirtualClock

NOW = datetime(2026, 11, 27, tzinfo=UTC)
FUNCTION = {"id": "i", "slug": "s", "name": "n", "status": "ACTIVE", "version": 3}
UPLOAD = Upload("s", {"entrypoint_path": "x"}, [("x", b"y")])
KEY = Secret("k" * 20)


def api(http: Http) -> Supabase:
    return Supabase(http, "ref", Retry(VirtualClock()))


def account(http: Http) -> OpenRouter:
    return OpenRouter(http, KEY, KEY, Retry(VirtualClock()))


def models(http: Http) -> Models:
    return Models(http, APIS["openai"], KEY, Retry(VirtualClock()))


def edge(http: Http) -> Edge:
    return Edge(http, KEY, "a@b.c", KEY)


def called(project: Edge) -> Any:
    return project.call("f", purpose=Purpose.SMOKE, auth="none")


# request: (what asks, whether it is repeated here, who decides where it is not)
TABLE: dict[str, tuple[Callable[[Http], Any], bool, str]] = {
    "GET /functions": (lambda http: api(http).functions(), True, ""),
    "GET /functions/{slug}": (lambda http: api(http).function("s"), True, ""),
    "GET /functions/{slug}/body": (lambda http: api(http).body("s"), True, ""),
    "GET /secrets": (lambda http: api(http).secrets(), True, ""),
    "GET /database/migrations": (lambda http: api(http).migrations(), True, ""),
    "GET /analytics/endpoints/logs": (lambda http: api(http).logs("x", NOW, NOW), False, "logs.reader, by its budget"),
    "POST /functions/deploy?bundleOnly": (lambda http: api(http).stage(UPLOAD), False, "deploy.staging: 409 tells"),
    "POST /functions/deploy": (lambda http: api(http).deploy(UPLOAD), False, "deploy.staging: reads back"),
    "POST /functions/deploy, empty": (lambda http: api(http).upload_limit(), False, "no one: it is only a hint"),
    "PUT /functions": (lambda http: api(http).activate([FUNCTION]), False, "deploy.activation: reads back"),
    "DELETE /functions/{slug}": (lambda http: api(http).delete("s"), False, "rollback: reads back"),
    "POST /secrets": (lambda http: api(http).set_secrets({"A": KEY}), False, "setup.secret: reads back"),
    "GET openrouter/key": (lambda http: account(http).key(), True, ""),
    "GET openrouter/keys": (lambda http: account(http).keys(), True, ""),
    "GET openrouter/models": (lambda http: account(http).models(), True, ""),
    "GET openrouter/endpoints": (lambda http: account(http).endpoints("a/b"), True, ""),
    "GET openrouter/activity": (lambda http: account(http).activity(), True, ""),
    "GET openrouter/credits": (lambda http: account(http).credits(), True, ""),
    "GET {vendor}/models": (lambda http: models(http).list(), True, ""),
    "GET {vendor}/models/{model}": (lambda http: models(http).has("m"), True, ""),
    "GET {vendor}/models/{model}, its build": (lambda http: models(http).build("m"), True, ""),
    "POST /functions/v1/{slug}": (
        lambda http: edge(http).call("f", auth="none", purpose=Purpose.SMOKE),
        False,
        "no one: it may cost money",
    ),
    "POST /auth/v1/token": (lambda http: edge(http).sign_in(), False, "the next run"),
}


def sent(call: Callable[[Http], Any], failure: httpx.Response | Exception) -> int:
    """How often a request leaves, when its first try fails so and its second is answered with {}."""
    count = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        if count > 1:
            return httpx.Response(200, json={})
        if isinstance(failure, Exception):
            raise failure
        return failure

    http = Http("https://x.example", transport=httpx.MockTransport(answer))
    with contextlib.suppress(CutoverError):
        call(http)
    return count


@pytest.mark.parametrize("request_", TABLE)
@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(503), httpx.Response(502), httpx.Response(429, headers={"retry-after": "1"}),
        httpx.ReadError("reset"), httpx.ConnectError("refused"),
    ],
    ids=["503", "502", "429", "reset", "refused"],
)  # fmt: skip
def test_who_repeats_what(request_: str, failure: httpx.Response | Exception) -> None:
    """Reads are repeated by the client; changes by whoever can read back whether they happened, or by no one."""
    call, repeated, elsewhere = TABLE[request_]
    assert (sent(call, failure) > 1) == repeated
    assert repeated != bool(elsewhere)


@pytest.mark.parametrize("request_", TABLE)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_refusals_are_final(request_: str, status: int) -> None:
    assert sent(TABLE[request_][0], httpx.Response(status)) == 1


def test_every_method_is_in_the_table() -> None:
    """A new method of a client must say who repeats it."""
    methods = {name for kind in (Supabase, OpenRouter, Models) for name in vars(kind) if not name.startswith("_")}
    methods -= {"manages", "patient"}  # ask nothing
    used = {name for call, *_ in TABLE.values() for name in call.__code__.co_names}
    assert methods - used == {"model"}  # `models` with a name
