"""What the stand-ins of OpenAI and Anthropic do with any request: the key, the body, the fault program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from migration.rehearsal.providers import shared
from migration.rehearsal.providers.program import Turn

Refuse = Callable[..., Response]


async def body(request: Request) -> dict[str, Any] | None:
    """The JSON object of a request; None for anything else."""
    try:
        value = json.loads(await request.body())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def turn(
    providers: shared.Providers, name: str, wanted: Mapping[str, Any], refuse: Refuse
) -> tuple[Turn, Response | None]:
    """The request's fate by the program of this provider, after its latency; the refusal where that is it."""
    dice = providers.dice[name]
    question = {key: wanted.get(key) for key in ("model", "messages", "input", "contents", "prompt")}
    fate = dice.turn(shared.fingerprint(question))
    await asyncio.sleep(fate.seconds)
    wait = dice.program.retry_after
    headers = {"retry-after": f"{wait:g}"} if wait is not None and fate.status in (429, 503, 529) else {}
    if fate.status is not None and fate.status != 200:
        return fate, refuse(fate.status, headers=headers)
    if fate.outcome == "429-own":
        return fate, refuse(429, own=True, headers=headers)
    return fate, None


def event(content: Mapping[str, Any], name: str = "") -> str:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(content, ensure_ascii=False)}\n\n"


def whole(content: Mapping[str, Any], outcome: str, headers: Mapping[str, str]) -> Response:
    """A JSON answer; half of it where the program tears it."""
    text = json.dumps(content, ensure_ascii=False)
    text = text[: len(text) // 2] if outcome == "malformed" else text
    return Response(text, media_type="application/json", headers=dict(headers))
