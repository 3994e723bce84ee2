"""Every road to a declared host ends at its stand-in and in the logs; every other one is refused by name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from migration.config.logsql import HOST
from migration.rehearsal.outbound import CALLER, Outbound
from migration.rehearsal.types import Sandbox
from migration.source.graph import PLATFORM
from tests.support import runtime
from tests.support.edge import IDENTITY, Edge, Rows, edge, until
from tests.support.npm import needed

HOSTS: dict[str, Any] = {"api.example.com": {"answers": [{"path": "/gone", "status": 404}, {"path": "*", "json": 7}]}}
GOOD, REFUSED = "7", "The sandbox refuses"
_SOCKET = "new Promise((ok, no) => module.connect(443, new URL(url).host, () => ok('open')).on('error', no))"
ROADS: dict[str, tuple[str, str, str]] = {
    "fetch": ("", "fetch(url).then((found) => found.text())", GOOD),
    "a client of its own": ("", "fetch(url, { client: Deno.createHttpClient({}) }).then((it) => it.text())", GOOD),
    "axios": ("import axios from 'npm:axios@1';", "axios.get(url).then((found) => String(found.data))", GOOD),
    "axios by fetch": (
        "import axios from 'npm:axios@1';", "axios.get(url, { adapter: 'fetch' }).then((it) => String(it.data))", GOOD,
    ),
    "node:https by name": (
        "import { get } from 'node:https';",
        "new Promise((ok, no) => get(url, (it) => it.on('data', (data) => ok(String(data)))).on('error', no))", GOOD,
    ),
    "undici": ("import { request } from 'npm:undici@6';", "request(url).then((found) => found.body.text())", GOOD),
    "got": ("import got from 'npm:got@14';", "got(url, { retry: { limit: 0 } }).text()", GOOD),
    "node-fetch": ("import ask from 'npm:node-fetch@3';", "ask(url).then((found) => found.text())", GOOD),
    "superagent": ("import ask from 'npm:superagent@10';", "ask.get(url).then((found) => found.text)", GOOD),
    "ky": ("import ky from 'npm:ky@1';", "ky.get(url, { retry: 0 }).text()", GOOD),
    "node:net": ("import module from 'node:net';", _SOCKET, "open"),
    "node:tls": ("import module from 'node:tls';", _SOCKET, "open"),
    "Deno.connect": ("", "Deno.connect({ hostname: new URL(url).host, port: 443 }).then(() => 'open')", REFUSED),
    "Deno.connectTls": ("", "Deno.connectTls({ hostname: new URL(url).host, port: 443 }).then(() => 'open')", REFUSED),
    "the database": (
        "", "Deno.connect({ hostname: '127.0.0.1', port: 5432 }).then(() => 'open')", "The sandbox has no Postgres",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["own", PLATFORM])
def test_every_road_ends_at_the_stand_in(tmp_path: Path, version: str) -> None:
    """On the Deno that Cutover brings and on the platform's; a host that is not declared is named in the result."""
    needed("npm")
    more: dict[str, Any] = {"deno_path": str(runtime.installed())} if version == PLATFORM else {}
    with edge(tmp_path, tmp_path / "deno", hosts=HOSTS, boot_timeout=300, **more) as place:
        wrong = [problem for name in ROADS if (problem := _wrong(place, name))]
    assert not wrong, "\n".join(wrong)


def _wrong(place: Edge, name: str) -> str:
    head, road, expected = ROADS[name]
    slug = name.lower().replace(" ", "-").replace(":", "-").replace(".", "-")
    place.functions.deploy(slug, f"""{head}
        const road = (url) => {road};
        const told = (url) => road(url).catch((error) => String(error.message ?? error));
        Deno.serve(async () => Response.json(
          [await told("https://api.example.com/v1"), await told("https://other.example.org/y")]));""")  # fmt: skip
    answer = place.function(slug, timeout=300)
    right = answer.status == 200 and answer.json()[0].startswith(expected)
    named = answer.status == 200 and ("other.example.org" in answer.json()[1] or name == "the database")
    return "" if right and named else f"{name}: {answer.status} {answer.text}"


def recorded(path: str, host: str = "127.0.0.1:1", caller: str = "") -> tuple[str, list[Any]]:
    """The path that the app saw, and the rows that were written."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        seen.append(scope["path"])
        assert CALLER not in dict(scope["headers"])
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def nothing(*_: Message) -> None:
        return None

    logs, none = Rows(), cast_nothing()
    sandbox = Sandbox(Path("x"), IDENTITY, none, logs, none, {}, url="http://127.0.0.1:1")
    layer = Outbound(app, sandbox, lambda: {"api.example.com": "/_hosts/api.example.com", "openrouter.ai": "/_or"})
    headers = [(b"host", host.encode()), (CALLER, caller.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b"key=x"}
    asyncio.run(layer(scope, cast_nothing(), nothing))
    return seen[0], logs.rows


def cast_nothing() -> Any:
    return None


@pytest.mark.parametrize(
    ("path", "host", "seen"),
    [
        ("/v1/x", "api.example.com", "/_hosts/api.example.com/v1/x"),
        ("/v1/x", "api.example.com:443", "/_hosts/api.example.com/v1/x"),
        ("/_hosts/api.example.com/v1/x", "127.0.0.1:1", "/_hosts/api.example.com/v1/x"),
        ("/_hosts/api.example.com/v1/x", "api.example.com", "/_hosts/api.example.com/v1/x"),
        ("/api/v1/key", "openrouter.ai", "/_or/api/v1/key"),
        ("/v1/projects", "127.0.0.1:1", "/v1/projects"),
    ],
)
def test_the_host_says_which_stand_in_is_meant(path: str, host: str, seen: str) -> None:
    assert recorded(path, host)[0] == seen


def test_a_request_to_a_declared_host_is_a_row() -> None:
    """Method, status, address and who asked; never the query. Providers have none, whose answers are not declared."""
    (row,) = recorded("/_hosts/api.example.com/v1/x", caller="f1 3 e1")[1]
    assert (row.source, row.event_message) == (HOST, "GET | 404 | https://api.example.com/v1/x")
    about = row.log_attributes
    assert (about["function_id"], about["version"], about["execution_id"], about["level"]) == (
        "f1",
        "3",
        "e1",
        "warning",
    )
    assert "key" not in json.dumps(dict(about))
    assert recorded("/v1/key", "openrouter.ai")[1] == []


def test_the_function_that_asked_is_named(tmp_path: Path) -> None:
    with edge(tmp_path, tmp_path / "deno", hosts=HOSTS) as place:
        live = place.functions.deploy("a", "Deno.serve(async () => fetch('https://api.example.com/v1?key=x'))")
        answer = place.function("a")
        assert answer.text == GOOD
        (row,) = until(lambda: [row for row in place.logs.rows if row.source == HOST])
    assert row.log_attributes["function_id"] == live.id
    assert row.log_attributes["execution_id"] == answer.headers["x-deno-execution-id"]
