"""Which operation a request is: the words that faults, latencies and the history use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

OPERATIONS = (
    "project", "list", "get", "body", "stage", "deploy", "activate", "update", "delete",
    "secrets_list", "secrets_set", "secrets_unset", "logs", "edge", "auth", "rest", "storage", "openrouter", "gemini",
    "openai", "anthropic", "host", "route", "site",
)  # fmt: skip

_PROJECT = re.compile(r"/v1/projects/([^/]+)(/.*)?")
_PREFIXES = {
    "/auth/v1/": "auth",
    "/rest/v1/": "rest",
    "/_openrouter/": "openrouter",
    "/_gemini/": "gemini",
    "/_openai/": "openai",
    "/_anthropic/": "anthropic",
    "/_hosts/": "host",
    "/storage/v1/": "storage",
    "/graphql/v1/": "rest",
    "/_sandbox/": "control",
}
_EXACT = {
    ("GET", ""): "project",
    ("GET", "/functions"): "list",
    ("PUT", "/functions"): "activate",
    ("GET", "/secrets"): "secrets_list",
    ("POST", "/secrets"): "secrets_set",
    ("DELETE", "/secrets"): "secrets_unset",
    ("GET", "/analytics/endpoints/logs"): "logs",
}
_OF_ONE = {"GET": "get", "PATCH": "update", "DELETE": "delete"}


def operation(method: str, path: str, query: Mapping[str, list[str]]) -> tuple[str, str | None]:
    """The operation's name and the slug it is for; `other` for what no client of the platform sends."""
    if path.startswith("/functions/v1/"):
        return "edge", unquote(path.split("/")[3]) or None
    for prefix, name in _PREFIXES.items():
        if path.startswith(prefix):
            return name, None
    inside = _PROJECT.fullmatch(path)
    if inside:
        return _management(method, (inside[2] or "").rstrip("/"), query)
    return (
        ("site", path) if method == "GET" and not path.startswith(("/v1/", "/v2/", "/v0/", "/_")) else ("other", None)
    )


def query_of(raw: bytes) -> dict[str, list[str]]:
    return parse_qs(raw.decode("latin-1"), keep_blank_values=True)


def _management(method: str, path: str, query: Mapping[str, list[str]]) -> tuple[str, str | None]:
    if (method, path) in _EXACT:
        return _EXACT[method, path], None
    parts = path.split("/")[1:]
    if parts[:1] != ["functions"] or len(parts) < 2:
        return "other", None
    if (method, path) == ("POST", "/functions/deploy"):
        staged = query.get("bundleOnly", ["false"])[0] == "true"
        return ("stage" if staged else "deploy"), query.get("slug", [""])[0] or None
    slug = unquote(parts[1])
    if len(parts) == 3 and parts[2] == "body" and method == "GET":
        return "body", slug
    return (_OF_ONE.get(method, "other") if len(parts) == 2 else "other"), slug
