"""The project's configuration in the Management API: read and changed by `supabase config diff`, `push` and `pull`.

`project_config.json` holds the sections of a new project under their paths, by the API's public description
(https://api.supabase.com/api/v1) and the CLI's own tests. Nothing of the sandbox follows them, except the list of
migrations, which `inv plan` asks for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.base import durable
from migration.rehearsal.guard import problem
from migration.rehearsal.types import Sandbox

_BASE = "/v1/projects/{ref}"
_DEFAULTS = Path(__file__).with_name("project_config.json")
_SECRET = re.compile(r"(_secrets?|_pass|_auth_token|_access_key|_api_key|_api_secret)$")
_POOLER = {
    "server_idle_timeout": 600, "server_lifetime": 3600, "query_wait_timeout": 120, "reserve_pool_size": 0,
    "default_pool_size": 15, "max_client_conn": 200,
}  # fmt: skip
_BACKUPS = {"walg_enabled": True, "pitr_enabled": False, "backups": [], "physical_backup_data": {}}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    config = ProjectConfig(sandbox)
    sandbox.resetting.append(config.reset)
    changed = ["GET", "PATCH", "PUT"]
    return [
        *(Route(f"{_BASE}/{name}", config.section, methods=changed) for name in config.sections),
        Route(f"{_BASE}/network-restrictions/apply", config.restrict, methods=["POST"]),
        Route("/v2/projects/{ref}/config", config.whole),
        Route(f"{_BASE}/database/migrations", config.migrations, methods=["GET", "POST", "PUT"]),
        Route(f"{_BASE}/database/webhooks/enable", config.enabled, methods=["POST"]),
        Route(f"{_BASE}/database/backups", config.backups),
        Route(f"{_BASE}/config/database/pooler", config.pooler),
        Route(f"{_BASE}/network-bans/retrieve", config.bans, methods=["POST"]),
        Route(f"{_BASE}/billing/addons", config.addons),
        Route("/v1/organizations/{slug}/entitlements", config.entitlements),
        Route("/v1/snippets", config.snippets),
    ]


class ProjectConfig:
    """Sections by their path. What was changed outlives a restart."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.path = Path(sandbox.folder) / "config.json"
        self.sections: dict[str, dict[str, Any]] = {}
        self.applied: list[dict[str, str]] = []
        self.reset(keep=True)

    def reset(self, keep: bool = False) -> None:
        """A new project's configuration, with the migrations that production had before; `keep` what was changed."""
        saved = _saved(self.path) if keep else {}
        self.sections = {**json.loads(_DEFAULTS.read_text()), **saved.get("sections", {})}
        given = [{"version": version, "name": name} for version, name in self.sandbox.settings.get("migrations") or ()]
        later = [each for each in saved.get("applied", []) if each not in given]
        self.applied = [*given, *later]

    def save(self) -> None:
        whole = {"sections": self.sections, "applied": self.applied}
        durable.write(self.path, json.dumps(whole, ensure_ascii=False).encode(), sync=False)

    async def section(self, request: Request) -> Response:
        name = request.url.path.split("/", 4)[4]
        held = self.sections[name]
        if request.method != "GET":
            given = await _object(request)
            if given is None:
                return problem(400, "Expected an object")
            if name == "ssl-enforcement":
                given = {"currentConfig": given.get("requestedConfig") or held["currentConfig"]}
            held |= {key: _kept(key, value) for key, value in given.items()}
            self.save()
        return JSONResponse(held)

    async def restrict(self, request: Request) -> Response:
        held = self.sections["network-restrictions"]
        given = await _object(request) or {}
        held["config"] = {"dbAllowedCidrs": given.get("dbAllowedCidrs") or [],
                          "dbAllowedCidrsV6": given.get("dbAllowedCidrsV6") or []}  # fmt: skip
        self.save()
        return JSONResponse(held, 201)

    async def whole(self, request: Request) -> Response:
        """All of it at once, as `config diff` reads it; a project's reference that is not ours is not found."""
        ref = request.path_params["ref"]
        if ref != self.sandbox.identity.project_ref:
            return problem(404, "Project not found")
        about = {"type": "project_config", "id": ref, "attributes": self._attributes()}
        return JSONResponse({"data": about})

    async def migrations(self, request: Request) -> Response:
        """https://supabase.com/docs/reference/api/v1-list-migration-history; SQL is noted, never run."""
        if request.method == "GET":
            return JSONResponse(self.applied)
        given = await _object(request)
        if not given or not isinstance(given.get("query"), str):
            return problem(400, "query: Required")
        version = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        self.applied.append({"version": version, "name": str(given.get("name") or "")})
        self.save()
        return JSONResponse({"name": given.get("name") or "", "version": version})

    async def enabled(self, _: Request) -> Response:
        return Response(status_code=201)

    async def backups(self, _: Request) -> Response:
        return JSONResponse(_BACKUPS | {"region": self.sandbox.region})

    async def pooler(self, _: Request) -> Response:
        return JSONResponse([])

    async def bans(self, _: Request) -> Response:
        return JSONResponse({"banned_ipv4_addresses": []}, 201)

    async def addons(self, _: Request) -> Response:
        return JSONResponse({"selected_addons": [], "available_addons": []})

    async def entitlements(self, _: Request) -> Response:
        return JSONResponse({"entitlements": []})

    async def snippets(self, _: Request) -> Response:
        return JSONResponse({"data": []})

    def _attributes(self) -> dict[str, Any]:
        auth = {name: self._hidden(name, value) for name, value in self.sections["config/auth"].items()}
        restrictions = self.sections["network-restrictions"]
        cidrs = [
            {"address": address, "type": kind}
            for key, kind in (("dbAllowedCidrs", "v4"), ("dbAllowedCidrsV6", "v6"))
            for address in restrictions["config"].get(key) or []
        ]
        storage = self.sections["config/storage"]
        return {
            "database": {
                "major_version": 17,
                "ssl_enforced": bool(self.sections["ssl-enforcement"]["currentConfig"].get("database")),
                "network_restrictions": {"entitlement": "allowed", "status": "applied", "allowed_cidrs": cidrs},
                "postgres_settings": self.sections["config/database/postgres"],
            },
            "pooler": {"pool_mode": "transaction", "ignore_startup_parameters": "extra_float_digits", **_POOLER},
            "auth": auth,
            "api": self.sections["postgrest"],
            "realtime": {
                name: each for name, each in self.sections["config/realtime"].items() if name != "admin_suspended_at"
            },
            "storage": _snaked({**storage, "features": {**storage["features"], "purgeCache": {"enabled": False}}}),
        }

    def _hidden(self, name: str, value: Any) -> Any:
        if not value or not _SECRET.search(name):
            return value
        return hmac.new(self.sandbox.identity.jwt_secret.encode(), str(value).encode(), hashlib.sha256).hexdigest()


def _kept(name: str, value: Any) -> Any:
    """A secret is kept as its digest: the platform does not give it back either."""
    return hashlib.sha256(str(value).encode()).hexdigest() if value and _SECRET.search(name) else value


def _snaked(value: Any) -> Any:
    """The names of storage's own API as v2 writes them."""
    if not isinstance(value, Mapping):
        return value
    moved = {"upstream_target": value["external"]["upstreamTarget"]} if "external" in value else {}
    kept = {name: each for name, each in value.items() if name not in ("external", "databasePoolMode")}
    return moved | {re.sub(r"(?=[A-Z])", "_", name).lower(): _snaked(each) for name, each in kept.items()}


async def _object(request: Request) -> dict[str, Any] | None:
    try:
        value = json.loads(await request.body() or b"{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _saved(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}
