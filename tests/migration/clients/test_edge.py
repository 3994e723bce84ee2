"""Which key goes into which header: tokens as Authorization, new keys (`sb_…`) as apikey alone."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.verify import smoke_cases

JWT, PUBLIC, PRIVATE = "eyJh.eyJy.sig-of-anon", "sb_publishable_0123456789abcdef", "sb_secret_0123456789abcdef"


def sent(auth: Any, anon: str | None, headers: dict[str, str] | None = None) -> dict[str, str]:
    """The credentials of one call as they leave, by lower-case name."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"access_token": "token-of-the-user"})

    http = Http("https://x.example", transport=httpx.MockTransport(answer))
    edge = Edge(http, Secret(anon) if anon else None, "a@b.c", Secret("smoke-user-pw"))
    edge.call("f", purpose=Purpose.SMOKE, auth=auth, headers=headers)
    every = [value for name, value in seen[-1].headers.multi_items() if name in ("authorization", "apikey")]
    found = {name: seen[-1].headers[name] for name in ("authorization", "apikey") if name in seen[-1].headers}
    assert len(every) == len(found), "no header is sent twice"
    return found


@pytest.mark.parametrize(
    "auth,anon,expected",
    [
        ("none", JWT, {}),
        ("anon", JWT, {"apikey": JWT, "authorization": f"Bearer {JWT}"}),
        ("anon", PUBLIC, {"apikey": PUBLIC}),
        ("user", PUBLIC, {"apikey": PUBLIC, "authorization": "Bearer token-of-the-user"}),
        (Secret("eyJx.eyJy.own"), JWT, {"apikey": JWT, "authorization": "Bearer eyJx.eyJy.own"}),
        (Secret("eyJx.eyJy.own"), None, {"authorization": "Bearer eyJx.eyJy.own"}),
        (Secret(PRIVATE), JWT, {"apikey": PRIVATE}),
        (Secret(PRIVATE), None, {"apikey": PRIVATE}),
        (Secret(PUBLIC), PUBLIC, {"apikey": PUBLIC}),
    ],
)
def test_key_goes_where_the_gateway_reads_it(auth: Any, anon: str | None, expected: dict[str, str]) -> None:
    assert sent(auth, anon) == expected
    line = smoke_cases.curl("https://x.example/functions/v1/f", "POST", auth, {}, None, Secret(anon) if anon else None)
    own = line.rpartition("; ")[2].lower()
    assert {name for name in ("authorization", "apikey") if f'"{name}: ' in own} == set(expected), "curl shows the same"


def test_own_header_replaces_ours() -> None:
    """Whatever its case: the gateway must not see two."""
    assert sent("anon", JWT, {"AUTHORIZATION": "Bearer other"}) == {"apikey": JWT, "authorization": "Bearer other"}


@pytest.mark.parametrize("auth", ["anon", "user"])
def test_missing_anon_key_is_named(auth: Any) -> None:
    with pytest.raises(ConfigError, match="anon key"):
        sent(auth, None)
