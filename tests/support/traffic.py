"""Log rows of requests, as the platform writes them: the gateway's when a request ends, the function's before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from migration.rehearsal.types import SandboxLogRow
from tests.support.logs import row

IDS = {"artifact": ("f-a", 8), "fix": ("f-f", 4), "chat": ("f-c", 3)}


def request(
    start: float,
    *,
    slug: str = "artifact",
    status: int = 200,
    seconds: float = 2.0,
    version: int | None = None,
    region: str = "eu-west-1",
    usage: bool = True,
    lines: bool = True,
    error: bool = False,
    cost: float = 0.0018,
    agent: str = "deno",
    ids: Mapping[str, tuple[str, int]] = IDS,
) -> list[SandboxLogRow]:
    """All rows of one request that starts so many seconds after noon."""
    id_, live = ids[slug]
    execution = str(uuid.uuid4())
    own = {"execution_id": execution, "function_id": id_, "version": str(version or live)}
    end = start + seconds
    found = [
        row(
            f"POST | {status} | https://x/functions/v1/{slug}", end, source="function_edge_logs",
            response__status_code=str(status), execution_time_ms=str(round(seconds * 1000)), request__method="POST",
            request__pathname=f"/functions/v1/{slug}", request__headers__user_agent=agent,
            response__headers__x_sb_edge_region=region, **own,
        )
    ]  # fmt: skip
    if lines:
        found.append(row(f"[{execution[:8]}] Routing to Kimi", start + 0.01, **own))
    if usage:
        text = (
            f"[{execution[:8]}] 💰 Token usage: {{ input: 1234, output: 567, total: 1801, estimatedCost: '${cost}' }}"
        )
        found.append(row(text, end - 0.01, **own))
    if error:
        found.append(row(f"[{execution[:8]}] ❌ failed", end - 0.005, **{**own, "level": "error"}))
    return found
