"""The Management API's log endpoint over the sandbox's store, with the hosted limits.

Settings (section `rehearsal.logs` of the config): `queries_per_minute` (0 for no limit), `quote_counts` (64-bit counts
as strings), and those of `logstore.Ingest`. The fault `error` (operation `logs`) fails a query inside HTTP 200.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.logrules import SqlError
from migration.rehearsal.types import Sandbox

LONGEST = timedelta(hours=24)
SHORTEST = timedelta(minutes=1)
BACKEND = "Backend error! Retry your query. Please contact support if this continues."
BASE = "/v1/projects/{ref}/analytics/endpoints"


class SpanError(Exception):
    """A time range that the endpoint does not take."""


@dataclass
class Throttle:
    """So many queries in each minute that begins with a query; 0 lets everything through."""

    limit: int
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(default=float("-inf"))
    _used: int = 0

    def wait(self) -> int:
        """Counts a query: 0 if it may run, else the seconds until the next minute begins."""
        now = self.clock()
        if now - self._begun >= 60:
            self._begun, self._used = now, 0
        self._used += 1
        return max(1, round(60 - (now - self._begun))) if 0 < self.limit < self._used else 0

    def headers(self) -> dict[str, str]:
        if not self.limit:
            return {}
        left = max(0, self.limit - self._used)
        return {"x-ratelimit-limit": str(self.limit), "x-ratelimit-remaining": str(left)}


def span(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The range that a query sees, rounded outwards to whole minutes; SpanError for more than 24 hours."""
    begin, stop = _given(start, end, now)
    if begin >= stop:
        raise SpanError("iso_timestamp_start must lie before iso_timestamp_end.")
    if stop - begin > LONGEST:
        raise SpanError("The time range must not be longer than 24 hours.")
    return _floor(begin), _floor(stop + SHORTEST - timedelta(microseconds=1))


def _given(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    begin, stop = _time(start), _time(end)
    if begin and stop:
        return begin, stop
    if begin:
        return begin, begin + SHORTEST
    return (stop or now) - SHORTEST, stop or now


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SpanError(f"{text} is not an ISO 8601 time.") from None
    return at.replace(tzinfo=at.tzinfo or UTC)


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


class LogsApi:
    """The endpoint of one sandbox; who may call it is decided before it is reached."""

    def __init__(self, sandbox: Sandbox) -> None:
        settings = sandbox.settings.get("logs") or {}
        self.sandbox = sandbox
        self.throttle = Throttle(int(settings.get("queries_per_minute", 0)))

    async def logs(self, request: Request) -> Response:
        wait = self.throttle.wait()
        if wait:
            return _throttled(wait, self.throttle.headers())
        fault = self.sandbox.faults.take("logs")
        if fault is not None:
            return _failed(fault.get("error") or BACKEND)
        return await asyncio.to_thread(self._answer, request.query_params)

    def _answer(self, query: Mapping[str, str]) -> Response:
        try:
            start, end = span(query.get("iso_timestamp_start"), query.get("iso_timestamp_end"), datetime.now(UTC))
            rows = self.sandbox.logs.query(query.get("sql", ""), start, end)
        except SpanError as error:
            return JSONResponse({"message": str(error)}, 400)
        except SqlError as error:
            return _failed(str(error))
        return JSONResponse({"result": rows, "error": None}, headers=self.throttle.headers())


def _throttled(wait: int, headers: dict[str, str]) -> Response:
    headers = headers | {"retry-after": str(wait), "x-ratelimit-reset": str(wait)}
    return JSONResponse({"message": "ThrottlerException: Too Many Requests"}, 429, headers)


def _failed(error: Any) -> Response:
    """The hosted endpoint's way to fail: HTTP 200 with an error inside."""
    return JSONResponse({"result": None, "error": error})


async def gone(_: Request) -> Response:
    """The endpoint for BigQuery SQL that was removed on 2026-09-23."""
    return JSONResponse({"message": "This endpoint was removed: use analytics/endpoints/logs."}, 410)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The log endpoint, and the old one's farewell."""
    return [Route(f"{BASE}/logs", LogsApi(sandbox).logs), Route(f"{BASE}/logs.all", gone)]
