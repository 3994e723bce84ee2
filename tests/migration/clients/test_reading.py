"""Any answer of any service is either read or one of our errors: hypothesis looks for the one that is neither."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.base.errors import CutoverError, Unknown
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients import reading
from migration.clients.edge import Edge
from migration.clients.http import Answer, Http
from migration.clients.models import APIS, Models
from migration.clients.openrouter import KeyInfo, Model, OpenRouter
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Function, SecretDigest, Upload
from migration.logs.reader import LogReader
from tests.support.clock import VirtualClock

NOW = datetime(2026, 11, 27, tzinfo=UTC)
FUNCTION = {"id": "i", "slug": "s", "name": "n", "status": "ACTIVE", "version": 3, "created_at": 1, "updated_at": 2,
            "verify_jwt": True, "entrypoint_path": "file:///x", "ezbr_sha256": "a" * 64}  # fmt: skip
KEY = {"label": "sk-or-v1-abc...123", "limit": 5, "limit_remaining": 3.5, "limit_reset": "daily", "usage": 1.5,
       "usage_daily": 0.5, "is_free_tier": False, "expires_at": "2030-01-01T00:00:00Z"}  # fmt: skip
MODEL = {"id": "a/b", "name": "B", "pricing": {"prompt": "0.0000006", "completion": "0.0000025"},
         "expiration_date": "2027-01-31"}  # fmt: skip
ACTIVITY = {"date": "2026-11-01 00:00:00", "model": "a/b", "usage": 0.5, "requests": 3, "prompt_tokens": 5}
CREDITS = {"total_credits": 10.5, "total_usage": 3}
GOOD: list[Any] = [
    FUNCTION, [FUNCTION], [{"name": "A", "value": "a" * 64, "updated_at": "2026-01-01T00:00:00Z"}],
    {"result": [{"id": "1", "us": "5"}], "error": None}, {"data": KEY}, {"data": [MODEL]}, {"data": [ACTIVITY]},
    {"data": CREDITS}, {"data": {"endpoints": [{"provider_name": "P", "status": 0}]}},
    {"data": [{"hash": "h", "label": "sk-or-v1-abc...123"}]}, {"access_token": "t"},
    {"error": {"code": 401, "message": "User not found."}}, {"message": "no", "missing_permissions": ["x"]},
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["", "NaN", "1e999", 10**400, -(10**30), 1e308, "\ud800", "\x00", "../..", "2026-99-99"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A good answer with one part replaced, left out, or added."""
    content = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    node, parent, key = content, None, None
    for _ in range(draw(st.integers(0, 3))):
        places = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not places:
            break
        parent, key = node, draw(st.sampled_from(places))
        node = parent[key]
    if parent is None:
        return draw(JSON)
    if draw(st.booleans()) or isinstance(parent, list):
        parent[key] = draw(JSON)
    else:
        del parent[key]
    return content


def _encoded(content: Any) -> bytes:
    return json.dumps(content).encode("utf-8", "surrogatepass")


BODIES = spoilt().map(_encoded) | JSON.map(_encoded) | st.binary(max_size=40) | st.sampled_from(
    [b"", b"{", b"[" * 3000, b"[" * 3000 + b"]" * 3000, b'{"data":' * 999, b"\xff\xfe", b"null", b"<html>"]
)  # fmt: skip
STATUSES = st.sampled_from([200, 201, 204, 206, 301, 400, 401, 402, 403, 404, 409, 413, 429, 500, 503, 599])
HEADERS = st.sampled_from(
    [{}, {"retry-after": "5"}, {"retry-after": "nan"}, {"retry-after": "9" * 400}, {"x-ratelimit-limit": "9" * 5000},
     {"content-type": "multipart/form-data; boundary=b"}, {"content-type": "multipart/"}, {"date": "x"}]
)  # fmt: skip


def calls(http: Http) -> list[Callable[[], Any]]:
    """Every question that the clients ask."""
    retry, key = Retry(VirtualClock()), Secret("k" * 20)
    api, account = Supabase(http, "ref", retry), OpenRouter(http, key, key, retry)
    upload = Upload("s", {"entrypoint_path": "x"}, [("x", b"y")])
    models = [Models(http, each, key, retry) for each in APIS.values()]
    return [
        api.functions, lambda: api.function("s"), lambda: api.body("s"), api.secrets, lambda: api.logs("x", NOW, NOW),
        api.migrations, api.upload_limit,
        lambda: api.stage(upload), lambda: api.deploy(upload), lambda: api.activate([FUNCTION]),
        lambda: api.delete("s"), lambda: api.set_secrets({"A": key}),
        account.key, account.keys, account.models, lambda: _read(account), account.activity, account.credits,
        lambda: account.endpoints("a/b"),
        *(each.list for each in models), *(lambda m=each: m.has("x") for each in models),
        lambda: Edge(http, key, "a@b", key).sign_in(),
    ]  # fmt: skip


def _read(account: OpenRouter) -> Any:
    return [(each.price, each.expires) for each in account.models()]


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODIES, status=STATUSES, headers=HEADERS)
def test_no_answer_is_a_traceback(body: bytes, status: int, headers: dict[str, str]) -> None:
    survives(body, status, headers)


def survives(body: bytes, status: int, headers: dict[str, str], only: int | None = None) -> None:
    """Every call of every client (or the one of that number, counted round) meets this answer: a result, or an error
    with a message."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body, headers=headers))
    http = Http("https://x.example", transport=transport)
    asked = calls(http)
    for call in asked if only is None else [asked[only % len(asked)]]:
        try:
            call()
        except CutoverError as error:
            assert error.message
    http.close()


@pytest.mark.parametrize(
    "name,value", [("created_at", "yesterday"), ("verify_jwt", "yes?"), ("import_map", {}), ("ezbr_sha256", 5),
     ("new", [])],
)  # fmt: skip
def test_what_we_can_do_without_never_fails(name: str, value: Any) -> None:
    """A deploy must not stop because the platform changed a field that it does not need; the raw object keeps it."""
    found = Function.of(FUNCTION | {name: value})
    assert (found.slug, found.version, found.raw[name]) == ("s", 3, value)
    if name in Function.__dataclass_fields__:
        assert getattr(found, name) is None


@pytest.mark.parametrize("name", ["id", "slug", "status", "version"])
def test_what_we_need_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Function.of({key: value for key, value in FUNCTION.items() if key != name})


def test_fields_have_their_names_in_json() -> None:
    info = reading.row(KeyInfo, KEY | {"limit_reset": 5, "is_provisioning_key": True})
    assert (info.remaining, info.reset, info.management, info.expires_at) == (
        3.5,
        None,
        True,
        datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert reading.rows(SecretDigest, [{"name": "A", "value": "d", "x": 1}]) == [SecretDigest("A", "d")]


@pytest.mark.parametrize("price", ["free", "NaN", "", None, {}])
def test_unreadable_price_is_none(price: Any) -> None:
    assert Model("m", pricing={"prompt": price, "completion": "0.1"}).price is None


def test_deep_json_is_refused() -> None:
    answer = Answer(200, {}, b"[" * 100_000 + b"]" * 100_000, 0.0)
    with pytest.raises(ValueError, match="not JSON"):
        reading.decoded(answer)
    with pytest.raises(ValueError, match="nested too deeply"):
        answer.json()


@pytest.mark.parametrize("row", [{}, {"id": "1"}, {"us": "5"}, {"id": "1", "us": "soon"}, {"id": "1", "us": None}])
def test_log_rows_without_columns_are_the_platforms_failure(row: dict[str, Any]) -> None:
    http = Http(
        "https://x.example", transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"result": [row]}))
    )
    reader = LogReader(Supabase(http, "ref"), VirtualClock())
    with pytest.raises(Unknown, match="The platform sent a log row"):
        [dict(each)["id"] for each in reader.rows("1 = 1", NOW - timedelta(minutes=5), NOW)]


def test_endless_pages_end() -> None:
    """A list of keys that is always full is read so far and no further."""
    page = {"data": [{"hash": str(number)} for number in range(100)]}
    http = Http("https://x.example", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=page)))
    assert len(OpenRouter(http, Secret("k" * 20), Secret("m" * 20)).keys()) == 5_000
