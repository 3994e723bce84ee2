"""Uploads, activation, settings and deletion of functions, with the platform's rules and refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from migration.rehearsal.bundle import Bundler, digest
from migration.rehearsal.guard import problem
from migration.rehearsal.identity import Identity
from migration.rehearsal.multipart import BundleUpload, MalformedUpload, read_upload, source_root
from migration.rehearsal.options import PlatformOptions
from migration.rehearsal.state import Conflict, FunctionRecord, InvalidRequest, ProjectState, Version, now
from migration.rehearsal.types import Sandbox

_SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_STATUSES = ("ACTIVE", "REMOVED", "THROTTLED")
_MEGABYTE = 1 << 20
_TYPES: dict[str, type | tuple[type, ...]] = {"id": str, "slug": str, "name": str, "status": str, "version": int}


class TooLarge(Exception):
    """The platform's answer 413."""


_REFUSALS: dict[type[Exception], int] = {MalformedUpload: 400, InvalidRequest: 400, Conflict: 409, TooLarge: 413}


class Deploys:
    """Changes of one State within the options."""

    def __init__(self, state: ProjectState, identity: Identity, options: PlatformOptions, bundler: Bundler) -> None:
        self.state = state
        self.identity = identity
        self.options = options
        self.bundler = bundler

    async def deploy(self, request: Request) -> Response:
        """POST …/functions/deploy: 201 with the staged version, or the one that is live now."""
        slug = request.query_params.get("slug", "")
        only = request.query_params.get("bundleOnly") == "true"
        try:
            uploaded = await self._upload(request, slug)
            version = self._version(slug, uploaded)
            await self._bundled(uploaded.files, version)
            record, done = (self.state.stage if only else self.state.deploy)(slug, version, uploaded.files)
        except tuple(_REFUSALS) as refusal:
            return problem(_REFUSALS[type(refusal)], str(refusal))
        effect = "staged" if only else "deployed"
        request.scope["state"]["effect"] = {effect: {slug: done.version}, "digest": done.digest}
        return JSONResponse(function(self.identity, record, done), 201)

    async def _upload(self, request: Request, slug: str) -> BundleUpload:
        if not _SLUG.fullmatch(slug):
            raise InvalidRequest("slug: Invalid")
        body = await request.body()
        if len(body) > self.options.bundle_megabytes * _MEGABYTE:
            raise TooLarge("request entity too large")
        known = self.state.functions
        if slug not in known and len(known) >= self.options.max_functions:
            raise InvalidRequest("Maximum number of functions reached for the plan of this project")
        return read_upload(request.headers.get("content-type", ""), body)

    def _version(self, slug: str, uploaded: BundleUpload) -> Version:
        """The version without its number, which only the State gives."""
        metadata = uploaded.metadata
        entrypoint, verify = metadata.get("entrypoint_path"), metadata.get("verify_jwt")
        if not isinstance(entrypoint, str) or not (verify is None or isinstance(verify, bool)):
            raise InvalidRequest("metadata: entrypoint_path must be a string and verify_jwt a boolean")
        import_map = str(metadata.get("import_map_path") or "")
        for kind, path in (("Entrypoint", entrypoint), ("Import map", import_map)):
            if path not in uploaded.files and (path or kind == "Entrypoint"):
                raise InvalidRequest(f"{kind} path does not exist - {source_root('bundle')}{path}")
        content = digest(uploaded.files, entrypoint, import_map)
        wanted = self._stored_verify(slug) if verify is None else verify
        static = tuple(str(each) for each in metadata.get("static_patterns") or ())
        return Version(0, entrypoint, import_map, wanted, content, str(metadata.get("name") or slug), now(), static)

    def _stored_verify(self, slug: str) -> bool:
        known = self.state.functions.get(slug)
        return known.live.verify_jwt if known and known.live else True

    async def _bundled(self, files: Mapping[str, bytes], version: Version) -> None:
        if not self.options.bundle_check:
            return
        reason = await self.bundler.refusal(files, version.entrypoint, version.import_map)
        if reason:
            raise InvalidRequest(f"Failed to bundle the function (reason: {reason})")

    async def activate(self, request: Request) -> Response:
        """PUT …/functions: all named versions go live in one step, or none does."""
        fault = request.scope["state"].get("fault") or {}
        try:
            rows = _rows(await request.body())
            for row in rows:
                self._settles(row)
        except (InvalidRequest, Conflict) as refusal:
            return problem(_REFUSALS[type(refusal)], str(refusal))
        done = self._applied([row for row in rows if row["slug"] not in fault.get("skip", ())])
        request.scope["state"]["effect"] = {"activated": done}
        shown = [self._shown(row["slug"]) for row in rows]
        return JSONResponse({"functions": [each for each in shown if each]})

    def _settles(self, row: Mapping[str, Any]) -> None:
        """Whether this row names a version that is staged or live already; changes nothing."""
        record = self.state.functions.get(row["slug"])
        if record is None or record.id != row["id"]:
            raise InvalidRequest(f"{row['slug']}: no function with this id")
        known = [each for each in (record.staged, record.live) if each and each.version == row["version"]]
        if not known:
            raise Conflict(f"{row['slug']}: version {row['version']} is neither staged nor live")
        if self.options.harsh and known[0] is record.staged and row.get("ezbr_sha256") != known[0].digest:
            raise Conflict(f"{row['slug']}: the bundle of version {row['version']} is another one")

    def _applied(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        for row in rows:
            changes = {name: row[name] for name in ("verify_jwt", "name") if row.get(name) is not None}
            self.state.activate(row["slug"], row["version"], changes)
        self.state.save()
        return {row["slug"]: row["version"] for row in rows}

    async def update(self, request: Request) -> Response:
        """PATCH …/functions/{slug}: settings without new code."""
        row = _json(await request.body())
        known: dict[str, Callable[[Any], bool]] = {"verify_jwt": _is_bool, "name": _is_text}
        changes = {name: row[name] for name, right in known.items() if isinstance(row, dict) and right(row.get(name))}
        slug = request.path_params["slug"]
        record = self.state.update(slug, **changes)
        if record is None or record.live is None:
            return problem(404, "Function not found")
        request.scope["state"]["effect"] = {"updated": {slug: changes}}
        return JSONResponse(function(self.identity, record, record.live))

    async def delete(self, request: Request) -> Response:
        slug = request.path_params["slug"]
        if not self.state.delete(slug):
            return problem(404, "Function not found")
        request.scope["state"]["effect"] = {"deleted": slug}
        return JSONResponse({"message": "ok"})

    def _shown(self, slug: str) -> dict[str, Any] | None:
        record: FunctionRecord = self.state.functions[slug]
        return function(self.identity, record, record.live) if record.live else None


def _rows(body: bytes) -> list[dict[str, Any]]:
    rows = _json(body)
    if not isinstance(rows, list) or not all(map(_complete, rows)):
        raise InvalidRequest("Expected an array of functions with id, slug, name, status and version")
    return rows


def _complete(row: Any) -> bool:
    if not isinstance(row, dict) or isinstance(row.get("version"), bool):
        return False
    return all(isinstance(row.get(name), kind) for name, kind in _TYPES.items()) and row["status"] in _STATUSES


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_CREATED = "2026-01-01T00:00:00.000000Z"
_DATABASE = {"version": "17.4.1.054", "postgres_engine": "17", "release_channel": "ga"}


def function(identity: Identity, record: FunctionRecord, version: Version) -> dict[str, Any]:
    """A function object; without an import map it has no `import_map_path`, because null breaks the CLI."""
    root = "file://" + source_root(bundle_name(identity, record, version))
    mapped = {"import_map_path": root + version.import_map} if version.import_map else {}
    return {
        "id": record.id,
        "slug": record.slug,
        "name": version.name,
        "status": "ACTIVE",
        "version": version.version,
        "created_at": record.created_at,
        "updated_at": version.updated_at,
        "verify_jwt": version.verify_jwt,
        "import_map": bool(version.import_map),
        "entrypoint_path": root + version.entrypoint,
        **mapped,
        "ezbr_sha256": version.digest,
    }


def bundle_name(identity: Identity, record: FunctionRecord, version: Version) -> str:
    return f"{identity.project_ref}_{record.id}_{version.version}"


def project(identity: Identity, region: str) -> dict[str, Any]:
    ref = identity.project_ref
    return {
        "id": ref,
        "ref": ref,
        "organization_id": identity.organization,
        "organization_slug": identity.organization,
        "name": "Cutover sandbox",
        "region": region,
        "created_at": _CREATED,
        "status": "ACTIVE_HEALTHY",
        "database": {"host": f"db.{ref}.supabase.co", **_DATABASE},
    }


def api_keys(identity: Identity, reveal: bool = True) -> list[dict[str, str]]:
    """The four keys; without `reveal` those that open the whole project are cut after their beginning."""
    legacy = {"anon": identity.anon_key, "service_role": identity.service_role_key}
    modern = {"publishable": identity.publishable_key, "secret": identity.secret_key}
    rows = [{"name": name, "api_key": key, "id": name, "type": "legacy"} for name, key in legacy.items()]
    rows += [{"name": "default", "api_key": key, "id": kind, "type": kind} for kind, key in modern.items()]
    hidden = () if reveal else ("service_role", "secret")
    return [row | ({"api_key": row["api_key"][:15] + "·" * 15} if row["id"] in hidden else {}) for row in rows]


def presets(sandbox: Sandbox) -> dict[str, str]:
    """The platform's own names among the secrets: listed, never set by a caller."""
    return {
        "SUPABASE_URL": sandbox.url,
        "SUPABASE_ANON_KEY": sandbox.identity.anon_key,
        "SUPABASE_SERVICE_ROLE_KEY": sandbox.identity.service_role_key,
    }
