"""`/_sandbox`: health, faults, history and a fresh start, for tests, drills and `inv sandbox`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.faults import KINDS, BadFault, FaultBox
from migration.rehearsal.guard import problem
from migration.rehearsal.history import RequestHistory
from migration.rehearsal.operations import OPERATIONS


class Control:
    """`reset` brings the project back to its first state, without a function and with its first secrets."""

    def __init__(self, faults: FaultBox, history: RequestHistory, reset: Callable[[], Awaitable[None]]) -> None:
        self.faults = faults
        self.history = history
        self._reset = reset

    def routes(self) -> list[BaseRoute]:
        faults = "/_sandbox/faults"
        return [
            Route("/_sandbox/health", self.health),
            Route(faults, self.arm, methods=["POST"]),
            Route(faults, self.shown, methods=["GET"]),
            Route(faults, self.clear, methods=["DELETE"]),
            Route("/_sandbox/history", self.past, methods=["GET"]),
            Route("/_sandbox/history", self.forget, methods=["DELETE"]),
            Route("/_sandbox/reset", self.reset, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        return JSONResponse({"message": "ok", "pid": os.getpid()})

    async def arm(self, request: Request) -> Response:
        """One fault or an array of them; none is armed when one is wrong."""
        try:
            wanted = await request.json()
            faults: list[Any] = wanted if isinstance(wanted, list) else [wanted]
            armed = self.faults.arm(faults)
        except ValueError as error:
            what = str(error) if isinstance(error, BadFault) else f"not JSON: {error}"
            return problem(400, what, operations=OPERATIONS, kinds=KINDS)
        return JSONResponse({"armed": [each.shown() for each in armed]}, 201)

    async def shown(self, _: Request) -> Response:
        return JSONResponse({"armed": self.faults.shown()})

    async def clear(self, _: Request) -> Response:
        self.faults.clear()
        return JSONResponse({"armed": []})

    async def past(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdecimal():
            return problem(400, "since must be the number of an entry")
        return JSONResponse({"entries": self.history.shown(int(since), request.query_params.get("operation"))})

    async def forget(self, _: Request) -> Response:
        self.history.clear()
        return JSONResponse({"entries": []})

    async def reset(self, _: Request) -> Response:
        await self._reset()
        return JSONResponse({"message": "ok"})
