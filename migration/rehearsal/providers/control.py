"""Changes the fault programs while the sandbox runs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import shared
from migration.rehearsal.providers.program import BadProgram
from migration.rehearsal.types import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """`/_sandbox/providers`: POST sets programs in the form of `rehearsal.providers`, GET counts, DELETE resets."""
    providers = shared.of(sandbox)

    async def set_programs(request: Request) -> Response:
        try:
            providers.apply(await request.json())
        except (BadProgram, ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"message": f"not a fault program: {error}"}, 400)
        return JSONResponse(providers.report())

    async def count(_: Request) -> Response:
        return JSONResponse(providers.report())

    async def reset(_: Request) -> Response:
        providers.reset()
        return JSONResponse(providers.report())

    return [
        Route("/_sandbox/providers", set_programs, methods=["POST"]),
        Route("/_sandbox/providers", count, methods=["GET"]),
        Route("/_sandbox/providers", reset, methods=["DELETE"]),
    ]
