"""The project's own services: database, auth and storage, stood in for or passed on to a local stack."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.backend import auth, relay, rest, storage
from migration.rehearsal.backend.grammar import LOCAL
from migration.rehearsal.types import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Refused when a section of the settings has a mistake."""
    if sandbox.settings.get("backend"):
        return relay.routes(sandbox)
    absent = [Route(f"/{name}/v1/{{path:path}}", missing, methods=rest.METHODS) for name in ("graphql", "realtime")]
    return [*auth.routes(sandbox), *rest.routes(sandbox), *storage.routes(sandbox), *absent]


async def missing(request: Request) -> Response:
    """A service without a stand-in."""
    name = request.url.path.split("/")[1]
    return JSONResponse({"message": f"The sandbox has no {name}. {LOCAL}"}, 501)
