"""The sandbox as one server: every part on one port, its state in one folder.

    python -m migration.rehearsal.server --dir DIR [--port N] [--config FILE] [--watch-stdin]

`build` is the only place where the parts meet. `start` runs the server as a child process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp

from migration.base.errors import Refused
from migration.source.graph import deno

from . import identity as identities
from . import place, serving
from .control import Control
from .faults import FaultBox
from .guard import Guard
from .history import History
from .management import Management
from .options import Options
from .parts import Handed, LazyLogs, close, first_secrets, forget, routes
from .running import Running, start
from .state import State
from .types import Sandbox
from .wire import Wire

__all__ = ["Running", "build", "main", "start"]

Down = Callable[[float], Awaitable[None]]


async def _no_port(_: float) -> None:
    """Without a server of its own the app has no port that could go away."""


def build(folder: Path, settings: Mapping[str, Any], down: Down = _no_port) -> tuple[ASGIApp, Sandbox]:
    """The app and what its parts share. Refused for settings it cannot use; set `sandbox.url` before serving."""
    own = Options.of(settings.get("management") or {})
    identity = identities.load(folder)
    faults, history = FaultBox(), History()
    state = State(folder, Handed(faults), first_secrets(identity))
    logs = LazyLogs(folder / "logs", settings.get("logs") or {})
    sandbox = Sandbox(folder, identity, state, logs, Handed(faults), settings, region=own.region)

    async def reset() -> None:
        faults.clear()
        history.clear()
        await close(sandbox)
        forget(sandbox)
        state.reset()

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        warm = asyncio.create_task(asyncio.to_thread(logs.open))
        yield
        await close(sandbox)
        await asyncio.gather(warm, return_exceptions=True)  # who asked for logs has seen its failure
        logs.close()

    management = Management(state, sandbox, own)
    control = Control(faults, history, reset)
    app = Starlette(routes=[*control.routes(), *management.routes(), *routes(sandbox)], lifespan=life)
    tokens = {**own.tokens, identity.access_token: None}
    guarded = Guard(app, identity.project_ref, tokens, own.rate_limit, own.rate_seconds)
    return Wire(guarded, faults, history, own.latency, down), sandbox


async def serve(folder: Path, port: int, settings: Mapping[str, Any], watch_stdin: bool) -> None:
    """Until a signal or, if asked, the end of stdin. Refused without Deno, or when the folder or the port is taken."""
    deno()
    with place.held(folder), serving.listening(port) as held:
        place.forget(folder)  # the note of one that was killed
        target: list[serving.Server] = []

        async def down(seconds: float) -> None:
            await target[0].down(seconds)

        app, sandbox = build(folder, settings, down)
        sandbox.url = f"http://{serving.HOST}:{held.getsockname()[1]}"
        target.append(serving.server(app))
        if watch_stdin:
            serving.end_with_stdin(target[0])
        ready = asyncio.create_task(_announce(target[0], sandbox))
        await target[0].serve(sockets=[held])
        ready.cancel()
        place.forget(folder)


async def _announce(target: serving.Server, sandbox: Sandbox) -> None:
    while not target.started:
        await asyncio.sleep(0.005)
    place.write(sandbox)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="migration.rehearsal.server", description="Runs the sandbox.")
    parser.add_argument("--dir", type=Path, required=True, help="state folder")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--config", type=Path, help="file whose section `rehearsal` holds the settings")
    parser.add_argument("--watch-stdin", action="store_true", help="stop at the end of stdin")
    given = parser.parse_args(arguments)
    try:
        settings = place.settings(given.config)
        asyncio.run(serve(given.dir.absolute(), given.port, settings, given.watch_stdin))
    except Refused as refusal:
        sys.stderr.write(f"{refusal.message}\n")
        return refusal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
