"""The sandbox's log endpoint alone in a process of its own, for the benchmarks: python -m benchmarks.logserver DIR

Prints its port, answers on loopback until stdin ends. `/run` executes SQL as the owner of the store, `/append` takes
rows; two projects (`a`, `b`) see the same rows, each with a rate limit of its own (PER_MINUTE queries, 0 for none).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migration.base.clock import Clock
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.config.environment import Environment
from migration.config.load import load
from migration.context import Context

FUNCTION = {"id": "id-a", "slug": "generate-artifact", "name": "generate-artifact", "status": "ACTIVE", "version": 1}
ROOT = Path(__file__).resolve().parents[1]


class Server:
    """A running log server and how to reach it."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def run(self, sql: str) -> str:
        """Executes any SQL in the engine."""
        return str(self._post("/run", {"sql": sql}))

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._post("/append", rows)

    def _post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)


@contextlib.contextmanager
def started(folder: Path, per_minute: int = 0, **ingest: float) -> Iterator[Server]:
    """A server on a folder, ended with the block."""
    command = [sys.executable, "-m", "benchmarks.logserver", str(folder), str(per_minute), json.dumps(ingest)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdin is not None
        yield Server(int(process.stdout.readline()), process)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(60)


def context(url: str, folder: Path, project: str = "a", clock: Clock | None = None, hosted: bool = False) -> Context:
    """A run whose Management API is the server; `hosted` keeps the rate budget of the real one."""
    environment = Environment("bench", url, project, api_url=url, embedded=not hosted)
    found = Context(load(ROOT), environment, folder, folder / "app", clock=clock or Clock())
    found.__dict__["supabase"] = Supabase(Http(url), project)
    return found


def main(folder: Path, per_minute: int, ingest: Mapping[str, float]) -> None:
    import uvicorn
    from starlette.applications import Starlette

    from migration.rehearsal.logstore import Ingest, LogStore

    store = LogStore(folder, Ingest.of(ingest))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=_routes(store, per_minute)), log_level="warning"))
    threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])
    store.close()


def _end_with_stdin(server: Any) -> None:
    while os.read(0, 1024):
        pass
    server.should_exit = True


def _routes(store: Any, per_minute: int) -> list[Any]:
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    from migration.rehearsal.logs_api import routes
    from migration.rehearsal.types import Sandbox, SandboxLogRow

    class Harmless:
        def take(self, *_: Any) -> None:
            return None

    async def run(request: Request) -> JSONResponse:
        return JSONResponse(store.execute((await request.json())["sql"]))

    async def append(request: Request) -> JSONResponse:
        rows = [{**row, "timestamp": datetime.fromtimestamp(row["timestamp"], UTC)} for row in await request.json()]
        store.append([SandboxLogRow(**row) for row in rows])
        return JSONResponse(len(rows))

    async def functions(_: Request) -> JSONResponse:
        return JSONResponse([FUNCTION])

    def project(name: str) -> Mount:
        """The endpoint's own routes under the project's name, with a throttle of their own."""
        settings = {"logs": {"queries_per_minute": per_minute}}
        sandbox = Sandbox(Path(), None, None, store, Harmless(), settings)  # type: ignore[arg-type]
        own = [
            Route(route.path.removeprefix("/v1/projects/{ref}"), route.endpoint)  # type: ignore[attr-defined]
            for route in routes(sandbox)
        ]
        return Mount(f"/v1/projects/{name}", routes=[*own, Route("/functions", functions)])

    owner = [Route("/run", run, methods=["POST"]), Route("/append", append, methods=["POST"])]
    return [*owner, project("a"), project("b")]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
