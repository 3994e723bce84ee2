"""The sandbox as one server: every part on one port, its state in one folder.

    python -m migration.rehearsal.server --dir DIR [--port N] [--config FILE] [--watch-stdin]

`build` is the only place where the parts meet; `running.start` runs the server as a child process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from migration.base.command import CURRENT, Do, started
from migration.base.errors import Refused
from migration.config import madeup
from migration.rehearsal import (
    backend,
    gateway,
    hosts,
    logs_api,
    mistake,
    project_config,
    providers,
    running,
    serving,
    site,
)
from migration.rehearsal import identity as identities
from migration.rehearsal.backend import relay
from migration.rehearsal.control import Control
from migration.rehearsal.faults import FaultBox, PartFaults
from migration.rehearsal.guard import Guard, unknown
from migration.rehearsal.history import RequestHistory
from migration.rehearsal.identity import Identity
from migration.rehearsal.launch import stand_ins
from migration.rehearsal.logstore import LazyLogStore
from migration.rehearsal.management import Management
from migration.rehearsal.mistake import SettingError
from migration.rehearsal.options import PlatformOptions
from migration.rehearsal.outbound import Outbound
from migration.rehearsal.providers import shared
from migration.rehearsal.providers.program import BadProgram
from migration.rehearsal.requests import NAME, RequestLog
from migration.rehearsal.running import Running, start
from migration.rehearsal.state import ProjectState
from migration.rehearsal.types import Sandbox
from migration.rehearsal.wire import Wire
from migration.source import deno

__all__ = ["Running", "build", "main", "start"]

Down = Callable[[float], Awaitable[None]]


async def _no_port(_: float) -> None:
    """Without a server of its own the app has no port that could go away."""


def build(folder: Path, settings: Mapping[str, Any], down: Down = _no_port) -> tuple[ASGIApp, Sandbox]:
    """The app and what its parts share. Refused for settings it cannot use; set `sandbox.url` before serving."""
    own = PlatformOptions.of(settings.get("management") or {})
    identity = relay.adopted(identities.load(folder), settings)
    faults, history = FaultBox(), RequestHistory()
    state = ProjectState(folder, PartFaults(faults), given(identity, settings))
    logs = LazyLogStore(folder / "logs", settings.get("logs") or {})
    sandbox = Sandbox(folder, identity, state, logs, PartFaults(faults), settings, region=own.region)

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
    app = Starlette(
        routes=[*control.routes(), *management.routes(), *routes(sandbox)],
        lifespan=life,
        exception_handlers={404: unknown, 405: unknown},
    )
    tokens = {**own.tokens, identity.access_token: None}
    guarded = Guard(site.OpenServices(app), identity.project_ref, tokens, own.rate_limit, own.rate_seconds)
    log = RequestLog(folder / NAME, lambda: stand_ins(sandbox))
    wire = Wire(guarded, faults, history, own.latency, down, identity.access_token, log)
    return Outbound(wire, sandbox, lambda: stand_ins(sandbox)), sandbox


async def serve(folder: Path, port: int, settings: Mapping[str, Any], watch_stdin: bool) -> None:
    """Until a signal or, if asked, the end of stdin. Refused without Deno, or when the folder or the port is taken."""
    deno.executable()
    with running.held(folder), serving.listening(port) as held:
        running.forget(folder)  # the note of one that was killed
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
        running.forget(folder)


async def _announce(target: serving.Server, sandbox: Sandbox) -> None:
    while not target.started:
        await asyncio.sleep(0.005)
    running.write(sandbox)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="migration.rehearsal.server", description="Runs the sandbox.")
    parser.add_argument("--dir", type=Path, required=True, help="state folder")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--config", type=Path, help="file whose section `rehearsal` holds the settings")
    parser.add_argument("--watch-stdin", action="store_true", help="stop at the end of stdin")
    given = parser.parse_args(arguments)
    CURRENT.prefix = started()
    try:
        settings = running.settings(given.config)
        asyncio.run(serve(given.dir.absolute(), given.port, settings, given.watch_stdin))
    except Refused as refusal:
        steps = [{"do": isinstance(step, Do), "text": str(step)} for step in refusal.steps]
        refused = {"refused": refusal.message, "steps": steps, "mistake": mistake.written(refusal)}
        sys.stderr.write(json.dumps(refused) + "\n")
        return refusal.exit_code
    return 0


def given(identity: Identity, settings: Mapping[str, Any]) -> dict[str, str]:
    """The secrets that the settings give the project: keys of the stand-ins, and variables."""
    variables = {str(name): str(value) for name, value in (settings.get("variables") or {}).items()}
    patterns = {name: about["format"] for name, about in (settings.get("formats") or {}).items()}
    keys = {
        name: madeup.formed(name, patterns.get(name), key, identity.jwt_secret)
        for name, key in identities.keys(identity, settings.get("keys") or {}).items()
    }
    return {**keys, **variables}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Every route that is not the Management API's own or `/_sandbox`. SettingError for a wrong fault program."""
    try:
        return [
            each
            for part in (logs_api, project_config, providers, hosts, gateway, backend, site)
            for each in part.routes(sandbox)
        ]
    except BadProgram as error:
        raise SettingError(("providers",), str(error)) from None


def forget(sandbox: Sandbox) -> None:
    """The provider stand-ins go back to the programs that they were started with, the services to their first state."""
    shared.of(sandbox).reset()
    for reset in sandbox.resetting:
        reset()


async def close(sandbox: Sandbox) -> None:
    """Let every part end what it began."""
    for end in sandbox.closing:
        await end()


if __name__ == "__main__":
    sys.exit(main())
