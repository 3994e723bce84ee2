"""How the Management API shows the project and its functions."""

from __future__ import annotations

from typing import Any

from .multipart import source_root
from .state import Record, Version
from .types import Identity, Sandbox

_CREATED = "2026-01-01T00:00:00.000000Z"
_DATABASE = {"version": "17.4.1.054", "postgres_engine": "17", "release_channel": "ga"}


def function(identity: Identity, record: Record, version: Version) -> dict[str, Any]:
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


def bundle_name(identity: Identity, record: Record, version: Version) -> str:
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


def api_keys(identity: Identity) -> list[dict[str, str]]:
    legacy = {"anon": identity.anon_key, "service_role": identity.service_role_key}
    modern = {"publishable": identity.publishable_key, "secret": identity.secret_key}
    rows = [{"name": name, "api_key": key, "id": name, "type": "legacy"} for name, key in legacy.items()]
    return rows + [{"name": "default", "api_key": key, "id": kind, "type": kind} for kind, key in modern.items()]


def presets(sandbox: Sandbox) -> dict[str, str]:
    """The platform's own names among the secrets: listed, never set by a caller."""
    return {
        "SUPABASE_URL": sandbox.url,
        "SUPABASE_ANON_KEY": sandbox.identity.anon_key,
        "SUPABASE_SERVICE_ROLE_KEY": sandbox.identity.service_role_key,
    }
