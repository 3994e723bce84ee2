"""The edge of a sandbox alone: gateway, workers and auth on a real port, with functions written by the test."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from migration.rehearsal import backend, gateway, hosts, launch, providers
from migration.rehearsal.identity import Identity
from migration.rehearsal.isolate import Isolate
from migration.rehearsal.options import Limits
from migration.rehearsal.outbound import Outbound
from migration.rehearsal.types import LiveFunction, Sandbox, SandboxLogRow
from migration.rehearsal.workers import Pool

SECRET = "a secret of at least thirty-two bytes"
USER = "3a0b1d5e-7c4f-4f0e-9d5b-0f6a1c2b3d4e"


def token(role: str, algorithm: str = "HS256", key: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"role": role, "exp": int(time.time()) + 86_400, **claims}, key, algorithm=algorithm)


IDENTITY = Identity(
    project_ref="abcdefghijklmnopqrst", access_token="sbp_" + "0" * 40, anon_key=token("anon"),
    service_role_key=token("service_role"), publishable_key="sb_publishable_test", secret_key="sb_secret_test",
    jwt_secret=SECRET, user_id=USER, user_email="smoke@example.com", user_password="correct horse",
    openrouter_key="sk-or-v1-test", openrouter_management_key="sk-or-v1-manage", google_keys=("g1",),
)  # fmt: skip


class Deployed:
    """What is live, as the test says; `pinned` answers for one region."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current: dict[str, LiveFunction] = {}
        self.pinned: dict[tuple[str, str], LiveFunction] = {}
        self.vault: dict[str, str] = {}

    def live(self, slug: str, region: str | None = None) -> LiveFunction | None:
        return self.pinned.get((slug, region or ""), self.current.get(slug))

    def secrets(self) -> dict[str, str]:
        return dict(self.vault)

    def deploy(
        self, slug: str, source: str, *, verify_jwt: bool = False, import_map: str = "",
        files: Mapping[str, str] | None = None, name: str = "index.ts", static: tuple[str, ...] = (),
    ) -> LiveFunction:  # fmt: skip
        before = self.current.get(slug)
        version = before.version + 1 if before else 1
        tree = self.folder / slug / str(version)
        entry = f"supabase/functions/{slug}/{name}"
        for path, text in {entry: source, **(files or {})}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        identity = before.id if before else str(uuid.uuid4())
        live = LiveFunction(identity, slug, version, tree, entry, import_map, verify_jwt, static)
        self.current[slug] = live
        return live


class Rows:
    """A log sink that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[SandboxLogRow] = []

    def append(self, rows: Sequence[SandboxLogRow]) -> None:
        self.rows.extend(rows)

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:  # noqa: ARG002
        raise AssertionError("nobody queries here")

    def of(self, event: str) -> list[SandboxLogRow]:
        return [row for row in self.rows if row.log_attributes.get("event_type") == event]

    def edge(self) -> list[SandboxLogRow]:
        return [row for row in self.rows if row.source == "function_edge_logs"]


class NoFaults:
    def take(self, operation: str, slug: str | None = None, region: str | None = None) -> None:  # noqa: ARG002
        return None


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Edge:
    sandbox: Sandbox
    functions: Deployed
    logs: Rows
    loop: asyncio.AbstractEventLoop

    def workers(self) -> list[Isolate]:
        """The workers whose processes are not gone."""
        pool: Pool = self.sandbox.closing[0].__self__  # type: ignore[attr-defined]
        return pool.alive()

    def call(
        self, path: str, method: str = "POST", body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None, timeout: float = 60,
    ) -> Answer:  # fmt: skip
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def connection(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.sandbox.url).netloc, timeout=timeout)

    def function(self, slug: str, **more: Any) -> Answer:
        return self.call(f"/functions/v1/{slug}", **more)


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What `found` returns once it is true; fails with its last answer."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"still {value!r} after {seconds} s"
        time.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet collected does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("Z", "")


@contextmanager
def edge(
    folder: Path, deno_dir: Path, more: Sequence[BaseRoute] = (), *, identity: Identity = IDENTITY, **settings: Any
) -> Iterator[Edge]:  # fmt: skip
    limits = {name: settings.pop(name) for name in vars(Limits()) if name in settings}
    settings["edge"] = limits
    functions, logs = Deployed(folder / "bundles"), Rows()
    settings.setdefault("deno_dir", str(deno_dir))
    sandbox = Sandbox(folder, identity, functions, logs, NoFaults(), settings)
    routes = [*gateway.routes(sandbox), *backend.routes(sandbox), *hosts.routes(sandbox), *more]
    routes += providers.routes(sandbox) if "providers" in settings else []
    app = Outbound(Starlette(routes=routes), sandbox, lambda: launch.stand_ins(sandbox))
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(_life(server, sandbox),))
    thread.start()
    until(lambda: server.started)
    sandbox.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield Edge(sandbox, functions, logs, loop)
    finally:
        server.should_exit = True
        thread.join()
        loop.close()


async def _life(server: uvicorn.Server, sandbox: Sandbox) -> None:
    await server.serve()
    for close in sandbox.closing:
        await close()
