"""Functions of the kinds of edge-runtime's examples, in one sandbox: each answers as its original by its source."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from migration.rehearsal.running import Running, start
from tests.support.edge import until
from tests.support.npm import needed
from tests.support.runtime import installed

EXAMPLES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "data" / "examples.yaml").read_text())
HOSTS = {"api.stripe.com": {"answers": [{"method": "POST", "path": "/v1/customers", "json": {"id": "cus_1"}}]}}

pytestmark = pytest.mark.slow


def slug(example: dict[str, Any]) -> str:
    return re.sub("[^a-z0-9]+", "-", example["like"])


def upload(example: dict[str, Any]) -> Upload:
    name = example.get("name", "index.ts")
    folder = f"supabase/functions/{slug(example)}"
    files = [(f"{folder}/{name}", example["code"].encode())]
    for path, held in example.get("files", {}).items():
        data = base64.b64decode(held["base64"]) if isinstance(held, dict) else held.encode()
        files.append((f"{folder}/{path}", data))
    static = [f"{folder}/{pattern}" for pattern in example.get("static", [])]
    named = {"name": slug(example), "entrypoint_path": files[0][0], "static_patterns": static, "verify_jwt": False}
    return Upload(slug(example), named, files)


class Examples:
    """The sandbox that holds them all."""

    def __init__(self, running: Running) -> None:
        self.running = running
        token = {"Authorization": f"Bearer {running.access_token}"}
        self.api = Supabase(Http(running.api_url, token, name="api"), running.project_ref)

    def ask(self, example: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        """Status, headers and body."""
        ask = example.get("ask", {})
        body = json.dumps(ask["json"]) if "json" in ask else ask.get("body") or b"\0" * ask.get("zeros", 0)
        connection = http.client.HTTPConnection(urlsplit(self.running.url).netloc, timeout=60)
        path = f"/functions/v1/{slug(example)}{ask.get('path', '')}"
        connection.request(ask.get("method", "GET"), path, body or None, ask.get("headers", {}))
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        text = answer.read(example.get("leaves_after")).decode()
        connection.close()
        return answer.status, headers, text

    def socket(self, example: dict[str, Any]) -> str:
        """What a WebSocket answers to one text."""
        head = [f"GET /functions/v1/{slug(example)} HTTP/1.1", "Host: localhost", "Upgrade: websocket",
                "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
        with socket.create_connection(("127.0.0.1", int(self.running.info["port"])), timeout=30) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(4096)
            assert received.startswith(b"HTTP/1.1 101")
            text = example["socket"]["sends"].encode()
            connection.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # masked with nothing
            frame = received.partition(b"\r\n\r\n")[2]
            while len(frame) < 2 or len(frame) < 2 + frame[1]:
                frame += connection.recv(4096)
            return frame[2 : 2 + frame[1]].decode()

    def says(self, example: dict[str, Any], line: str) -> bool:
        return line in self.lines(example)

    def lines(self, example: dict[str, Any]) -> str:
        function = next(each for each in self.api.functions() if each.slug == slug(example))
        sql = (
            "select event_message from logs where source = 'function_logs' "
            f"and log_attributes['function_id'] = '{function.id}' limit 1000"
        )
        now = datetime.now(UTC)
        found = self.api.logs(sql, now - timedelta(minutes=30), now + timedelta(minutes=5))
        return "\n".join(str(row["event_message"]) for row in found)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    settings = {
        "deno_path": str(installed()),
        "hosts": HOSTS,
        "management": {"bundle_check": False, "rate_limit": {"default": 0}},
        "logs": {"queries_per_minute": 0},
        "edge": {"cpu_limit": 1},
    }
    with start(tmp_path_factory.mktemp("examples"), settings=settings) as running:
        found = Examples(running)
        for example in EXAMPLES:
            found.api.deploy(upload(example))
        yield found


@pytest.mark.parametrize("example", EXAMPLES, ids=slug)
def test_it_answers_as_its_original(examples: Examples, example: dict[str, Any]) -> None:
    """Status, headers and body, a WebSocket's answer, and what the logs say."""
    if example.get("npm"):
        needed("npm")
    status, headers, text = examples.ask(example)
    assert (status, text[:200]) == (example.get("status", 200), text[:200]), examples.lines(example)
    if "json" in example:
        assert json.loads(text) == example["json"]
    if "body" in example:
        assert text == example["body"]
    for name, value in example.get("headers", {}).items():
        assert value in headers.get(name, "")
    if "socket" in example:
        assert examples.socket(example) == example["socket"]["answers"]
    for line in example.get("logs", []):
        until(partial(examples.says, example, line))
    if "never_logged" in example:
        time.sleep(0.2)
        assert example["never_logged"] not in examples.lines(example)


def test_they_are_forty() -> None:
    """Kinds of edge-runtime's examples; further ones differ from one of these in a word after a comma."""
    assert len({example["like"].partition(",")[0] for example in EXAMPLES}) >= 40
