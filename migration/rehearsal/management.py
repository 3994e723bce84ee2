"""The Management API's routes: the project, what is deployed, and how it is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.base.command import inv
from migration.rehearsal import uploads
from migration.rehearsal.bundle import Bundler
from migration.rehearsal.guard import problem
from migration.rehearsal.launch import cache_folder, platform_deno
from migration.rehearsal.multipart import write_body
from migration.rehearsal.options import PlatformOptions
from migration.rehearsal.state import ProjectState, digest
from migration.rehearsal.types import Sandbox
from migration.rehearsal.uploads import Deploys

_BASE = "/v1/projects/{ref}"


class Management:
    """Reads over one State; the changes are in `Deploys` and `Vault`."""

    def __init__(self, state: ProjectState, sandbox: Sandbox, options: PlatformOptions) -> None:
        self.state = state
        self.identity = sandbox.identity
        self.region = sandbox.region
        self.options = options
        self.deploys = Deploys(state, sandbox.identity, options, Bundler(cache_folder(sandbox), platform_deno(sandbox)))
        self.vault = Vault(state, lambda: uploads.presets(sandbox))

    def routes(self) -> list[BaseRoute]:
        function = _BASE + "/functions/{slug}"
        return [
            Route("/v1/projects", self.projects),
            Route("/v1/profile", self.profile),
            Route("/v1/organizations", self.organizations),
            Route(_BASE + "/branches", self.branches),
            Route(_BASE, self.project),
            Route(_BASE, self.stays, methods=["DELETE"]),
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

    async def profile(self, _: Request) -> Response:
        """Who the token belongs to: `supabase whoami`."""
        name = self.identity.user_email.partition("@")[0]
        about = {"gotrue_id": self.identity.user_id, "primary_email": self.identity.user_email, "username": name}
        return JSONResponse(about)

    async def organizations(self, _: Request) -> Response:
        name = self.identity.organization
        return JSONResponse([{"id": name, "slug": name, "name": name}])

    async def branches(self, _: Request) -> Response:
        """A project without preview branches."""
        return JSONResponse([])

    async def project(self, _: Request) -> Response:
        return JSONResponse(self._project())

    async def stays(self, _: Request) -> Response:
        """Not 404, which the CLI reads as a project that does not exist."""
        return problem(403, f"The sandbox has one project, which stays; {inv('sandbox', fresh=True)} begins anew")

    async def keys(self, request: Request) -> Response:
        """https://supabase.com/docs/reference/api/v1-get-project-api-keys: secret ones only with `reveal=true`."""
        reveal = request.query_params.get("reveal", "").lower() == "true"
        return JSONResponse(uploads.api_keys(self.identity, reveal))

    async def list(self, _: Request) -> Response:
        records = self.state.functions.values()
        shown = [uploads.function(self.identity, record, record.live) for record in records if record.live]
        return JSONResponse(shown)

    async def get(self, request: Request) -> Response:
        record = self.state.functions.get(request.path_params["slug"])
        if record is None or record.live is None:
            return problem(404, "Function not found")
        return JSONResponse(uploads.function(self.identity, record, record.live))

    async def body(self, request: Request) -> Response:
        record = self.state.functions.get(request.path_params["slug"])
        if record is None or record.live is None:
            return problem(404, "Function not found")
        fault = request.scope["state"].get("fault") or {}
        layout = str(fault.get("layout") or self.options.body_layout)
        files = _read(self.state.tree(record.slug, record.live.version))
        name = uploads.bundle_name(self.identity, record, record.live)
        kind, content = write_body(files, record.live.entrypoint, layout, name)
        return Response(content, headers={"content-type": kind})

    def _project(self) -> dict[str, Any]:
        return uploads.project(self.identity, self.region)


def _read(tree: Path) -> dict[str, bytes]:
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in files}


_NAME_MOST, _VALUE_MOST, _COUNT_MOST = 256, 24_576, 100
_PREFIX = "SUPABASE_"


class Vault:
    """`presets` are the platform's own secrets, listed beside the project's."""

    def __init__(self, state: ProjectState, presets: Callable[[], Mapping[str, str]]) -> None:
        self.state = state
        self.presets = presets

    async def list(self, _: Request) -> Response:
        held = self.state.vault.items()
        rows = [{"name": name, "value": each.digest, "updated_at": each.updated_at} for name, each in held]
        own = [{"name": name, "value": digest(value)} for name, value in self.presets().items()]
        return JSONResponse(rows + own)

    async def set(self, request: Request) -> Response:
        rows = await _rows(request)
        refusal = _refusal(rows) or self._crowded(rows)
        if refusal:
            return problem(400, refusal)
        self.state.set_secrets({row["name"]: row["value"] for row in rows})
        request.scope["state"]["effect"] = {"secrets_set": [row["name"] for row in rows]}
        return Response(status_code=201)

    async def unset(self, request: Request) -> Response:
        names = await _rows(request)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return problem(400, "Expected an array of secret names")
        self.state.unset_secrets(names)
        request.scope["state"]["effect"] = {"secrets_unset": names}
        return Response(status_code=200)

    def _crowded(self, rows: Any) -> str:
        count = len({*self.state.vault, *(row["name"] for row in rows)})
        return f"Project can have at most {_COUNT_MOST} secrets" if count > _COUNT_MOST else ""


async def _rows(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        return None


def _refusal(rows: Any) -> str:
    if not isinstance(rows, list) or not rows:
        return "Expected an array of secrets"
    return next(filter(None, map(_wrong, rows)), "")


def _wrong(row: Any) -> str:
    """What is wrong with one pair of name and value, empty when nothing is."""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not isinstance(row.get("value"), str):
        return "Expected an object with name and value"
    if row["name"].startswith(_PREFIX):
        return f"Secret name must not start with the {_PREFIX} prefix."
    if not row["name"] or len(row["name"]) > _NAME_MOST:
        return f"Secret name must have 1 to {_NAME_MOST} characters"
    return f"Secret value must have at most {_VALUE_MOST} characters" if len(row["value"]) > _VALUE_MOST else ""
