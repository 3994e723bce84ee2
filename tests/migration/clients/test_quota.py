from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from migration.clients.quota import Metered, Quota, endpoint


def service(*headers: dict[str, str]) -> Metered:
    """Answers with these headers, one after another."""
    answers: Iterator[dict[str, str]] = iter(headers)
    return Metered("https://s", transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=next(answers))))


def said(left: object, limit: object = 120, reset: object = 30) -> dict[str, str]:
    return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(reset)}


def test_what_others_used_is_told_from_what_we_did() -> None:
    """In one window our own calls are given back; a new one counts anew."""
    http = service(said(11), said(10), said(9), said(119))
    for _ in range(3):
        http.request("GET", "/v1/projects/abc/functions")
    (found,) = http.quotas.values()
    assert found == Quota("GET /v1/projects/…/functions", 120, 9, 30, own=3)
    assert found.others == 12
    http.request("GET", "/v1/projects/abc/functions")
    (found,) = http.quotas.values()
    assert (found.left, found.own, found.others) == (119, 1, 120)


def test_each_endpoint_has_a_limit_of_its_own_whatever_function_it_is_about() -> None:
    http = service(said(50), said(49), said(7), said(80))
    for method, path in (
        ("GET", "/functions/a"),
        ("GET", "/functions/b?x=1"),
        ("GET", "/functions"),
        ("PUT", "/functions"),
    ):
        http.request(method, f"/v1/projects/abc{path}")
    left = {name: (each.left, each.own) for name, each in http.quotas.items()}
    base = "/v1/projects/…/functions"
    assert left == {f"GET {base}/…": (49, 2), f"GET {base}": (7, 1), f"PUT {base}": (80, 1)}
    assert endpoint("/v1/projects/abc/secrets") == "/v1/projects/…/secrets"


@pytest.mark.parametrize("headers", [{}, said("soon"), said(-1), {"X-RateLimit-Remaining": "3"}])
def test_a_service_that_says_nothing_usable_has_no_quota(headers: dict[str, str]) -> None:
    http = service(headers)
    assert http.request("GET", "/").ok and http.quotas == {}
