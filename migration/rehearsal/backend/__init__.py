"""The project's own services: database, auth and storage, stood in for or passed on to a local stack."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.backend import auth, relay, rest, storage
from migration.rehearsal.backend.access import keyless
from migration.rehearsal.backend.grammar import LOCAL
from migration.rehearsal.types import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Refused when a section of the settings has a mistake."""
    if sandbox.settings.get("backend"):
        return relay.routes(sandbox)

    async def broadcast(request: Request) -> Response:
        """A message to a channel, on which nothing listens here: accepted, as the platform accepts it."""
        return keyless(sandbox.identity, request) or Response(status_code=202)

    sent = [
        Route(f"/realtime/v1/api/broadcast{one}", broadcast, methods=["POST"])
        for one in ("", "/{topic}/events/{event}")
    ]
    absent = [Route(f"/{name}/v1/{{path:path}}", missing, methods=rest.METHODS) for name in ("graphql", "realtime")]
    return [*auth.routes(sandbox), *rest.routes(sandbox), *storage.routes(sandbox), *sent, *absent]


async def missing(request: Request) -> Response:
    """A service without a stand-in."""
    name = request.url.path.split("/")[1]
    return JSONResponse({"message": f"The sandbox has no {name}. {LOCAL}"}, 501)
