"""Every request of the CLI has a name that faults, latencies and the history use."""

from __future__ import annotations

import pytest

from migration.rehearsal.operations import operation, query_of

BASE = "/v1/projects/abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", BASE, "", ("project", None)),
        ("GET", f"{BASE}/functions", "", ("list", None)),
        ("GET", f"{BASE}/functions/chat", "", ("get", "chat")),
        ("GET", f"{BASE}/functions/chat/body", "", ("body", "chat")),
        ("POST", f"{BASE}/functions/deploy", "slug=chat", ("deploy", "chat")),
        ("POST", f"{BASE}/functions/deploy", "slug=chat&bundleOnly=true", ("stage", "chat")),
        ("POST", f"{BASE}/functions/deploy", "slug=chat&bundleOnly=false", ("deploy", "chat")),
        ("PUT", f"{BASE}/functions", "", ("activate", None)),
        ("PATCH", f"{BASE}/functions/chat", "", ("update", "chat")),
        ("DELETE", f"{BASE}/functions/chat", "", ("delete", "chat")),
        ("GET", f"{BASE}/functions/deploy", "", ("get", "deploy")),
        ("GET", f"{BASE}/secrets", "", ("secrets_list", None)),
        ("POST", f"{BASE}/secrets", "", ("secrets_set", None)),
        ("DELETE", f"{BASE}/secrets", "", ("secrets_unset", None)),
        ("GET", f"{BASE}/analytics/endpoints/logs", "sql=x", ("logs", None)),
        ("GET", f"{BASE}/analytics/endpoints/logs.all", "", ("other", None)),
        ("POST", "/functions/v1/chat", "", ("edge", "chat")),
        ("OPTIONS", "/functions/v1/chat/deep/er", "", ("edge", "chat")),
        ("POST", "/functions/v1/", "", ("edge", None)),
        ("POST", "/auth/v1/token", "", ("auth", None)),
        ("POST", "/_openrouter/api/v1/chat/completions", "", ("openrouter", None)),
        ("GET", "/_sandbox/health", "", ("control", None)),
        ("GET", "/favicon.ico", "", ("site", "/favicon.ico")),
        ("GET", "/v1/projects", "", ("other", None)),
    ],
)
def test_a_request_has_its_name_and_its_function(
    method: str, path: str, query: str, expected: tuple[str, str | None]
) -> None:
    assert operation(method, path, query_of(query.encode())) == expected
