"""The Management API's routes: the project, what is deployed, and how it is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from . import views
from .bundle import Bundler
from .deploys import Deploys
from .guard import problem
from .launch import cache_folder
from .multipart import write_body
from .options import Options
from .state import State
from .types import Sandbox
from .vault import Vault

_BASE = "/v1/projects/{ref}"


class Management:
    """Reads over one State; the changes are in `Deploys` and `Vault`."""

    def __init__(self, state: State, sandbox: Sandbox, options: Options) -> None:
        self.state = state
        self.identity = sandbox.identity
        self.region = sandbox.region
        self.options = options
        self.deploys = Deploys(state, sandbox.identity, options, Bundler(cache_folder(sandbox)))
        self.vault = Vault(state, lambda: views.presets(sandbox))

    def routes(self) -> list[BaseRoute]:
        function = _BASE + "/functions/{slug}"
        return [
            Route("/v1/projects", self.projects),
            Route(_BASE, self.project),
            Route(_BASE + "/api-keys", self.keys),
            Route(_BASE + "/functions", self.list, methods=["GET"]),
            Route(_BASE + "/functions", self.deploys.activate, methods=["PUT"]),
            Route(_BASE + "/functions/deploy", self.deploys.deploy, methods=["POST"]),
            Route(function, self.get, methods=["GET"]),
            Route(function, self.deploys.update, methods=["PATCH"]),
            Route(function, self.deploys.delete, methods=["DELETE"]),
            Route(function + "/body", self.body, methods=["GET"]),
            Route(_BASE + "/secrets", self.vault.list, methods=["GET"]),
            Route(_BASE + "/secrets", self.vault.set, methods=["POST"]),
            Route(_BASE + "/secrets", self.vault.unset, methods=["DELETE"]),
        ]

    async def projects(self, _: Request) -> Response:
        return JSONResponse([self._project()])

    async def project(self, _: Request) -> Response:
        return JSONResponse(self._project())

    async def keys(self, _: Request) -> Response:
        return JSONResponse(views.api_keys(self.identity))

    async def list(self, _: Request) -> Response:
        records = self.state.functions.values()
        shown = [views.function(self.identity, record, record.live) for record in records if record.live]
        return JSONResponse(shown)

    async def get(self, request: Request) -> Response:
        record = self.state.functions.get(request.path_params["slug"])
        if record is None or record.live is None:
            return problem(404, "Function not found")
        return JSONResponse(views.function(self.identity, record, record.live))

    async def body(self, request: Request) -> Response:
        record = self.state.functions.get(request.path_params["slug"])
        if record is None or record.live is None:
            return problem(404, "Function not found")
        fault = request.scope["state"].get("fault") or {}
        layout = str(fault.get("layout") or self.options.body_layout)
        files = _read(self.state.tree(record.slug, record.live.version))
        name = views.bundle_name(self.identity, record, record.live)
        kind, content = write_body(files, record.live.entrypoint, layout, name)
        return Response(content, headers={"content-type": kind})

    def _project(self) -> dict[str, Any]:
        return views.project(self.identity, self.region)


def _read(tree: Path) -> dict[str, bytes]:
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in files}
