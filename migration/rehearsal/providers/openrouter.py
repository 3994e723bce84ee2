"""The OpenRouter stand-in: completions here, money and catalogue in the modules beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import catalogue, money, shared
from migration.rehearsal.providers.completion import Completion, called, complete
from migration.rehearsal.providers.errors import body, refuse, unavailable
from migration.rehearsal.providers.meter import Key
from migration.rehearsal.providers.program import OK, Turn
from migration.rehearsal.types import Sandbox

BASE = "/_openrouter/api/v1"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Everything under `/_openrouter/api/v1`."""
    providers = shared.of(sandbox)
    completions = Completions(providers)
    return [
        Route(f"{BASE}/chat/completions", completions.answer, methods=["POST"]),
        Route(f"{BASE}/generation", completions.generation),
        *money.routes(providers, BASE),
        *catalogue.routes(providers, BASE),
    ]


@dataclass
class _Generation:
    completion: Completion
    lookups: int = 0


class Completions:
    """Answers `/chat/completions` and remembers the last thousand generations."""

    def __init__(self, providers: shared.Providers) -> None:
        self.providers = providers
        self.generations: dict[str, _Generation] = {}
        self.prefixes: dict[str, int] = {}

    async def answer(self, request: Request) -> Response:
        key, refusal = money.inference(self.providers, request)
        if key is None or refusal is not None:
            return refusal or refuse(401)
        try:
            wanted = await request.json()
        except ValueError:
            wanted = None
        if isinstance(wanted, dict):
            wanted["model"] = catalogue.bare(str(wanted.get("model", "")))
        if not isinstance(wanted, dict) or not isinstance(wanted.get("messages"), list) or not wanted["messages"]:
            return refuse(400)
        return self._unfit(key, wanted) or await self._play(key, wanted)

    def _unfit(self, key: Key, wanted: Mapping[str, Any]) -> Response | None:
        """What is refused before any model is asked."""
        model = str(wanted.get("model", ""))
        if not catalogue.served(self.providers, model):
            return unavailable(model, "no_endpoints" if catalogue.known(self.providers, model) else "model_deprecated")
        return money.broke(self.providers, key, catalogue.most(wanted))

    async def _play(self, key: Key, wanted: Mapping[str, Any]) -> Response:
        dice = self.providers.dice["openrouter"]
        turn = dice.turn(shared.fingerprint([wanted.get("model"), wanted["messages"]]))
        await asyncio.sleep(turn.seconds)
        if turn.status is not None and turn.status != 200:
            return refuse(turn.status, headers=_wait(turn.status, dice.program.retry_after))
        if turn.outcome == "429-own":
            limits = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60"}
            return refuse(429, "Rate limit exceeded", headers=limits | _wait(429, dice.program.retry_after))
        completion = complete(wanted, self.providers.terms.price, turn, self.prefixes)
        if not turn.outcome.startswith("inside-"):
            self._book(key, completion, turn)
        return _stream(completion, turn) if wanted.get("stream") else _whole(completion, turn)

    def _book(self, key: Key, completion: Completion, turn: Turn) -> None:
        """Charge what was generated; an error inside 200 costs nothing."""
        self.providers.meter.charge(key, completion.model, completion.usage, completion.cost)
        self.providers.save()
        if turn.outcome != "malformed":
            self.generations[completion.id] = _Generation(completion)
        while len(self.generations) > 1000:
            del self.generations[next(iter(self.generations))]

    async def generation(self, request: Request) -> Response:
        """404 for the first look-ups, as the hosted one answers right after the call."""
        key, refusal = money.inference(self.providers, request)
        if key is None or refusal is not None:
            return refusal or refuse(401)
        generation = self.generations.get(request.query_params.get("id", ""))
        if generation is None:
            return refuse(404)
        generation.lookups += 1
        if generation.lookups <= self.providers.terms.generation_delay:
            return refuse(404)
        return JSONResponse({"data": generation.completion.record()})


def _wait(status: int, seconds: float | None) -> dict[str, str]:
    return {"Retry-After": f"{seconds:g}"} if seconds is not None and status in (429, 503) else {}


def _whole(completion: Completion, turn: Turn) -> Response:
    if turn.outcome == "inside-b":
        return JSONResponse(body(502))
    if turn.outcome == "inside-c":
        return JSONResponse(
            {"id": completion.id, "object": "chat.completion", "model": completion.model, "choices": []}
        )
    if turn.outcome == "inside-a":
        return JSONResponse(completion.failed(body(502)["error"]))
    whole = json.dumps(completion.body(), ensure_ascii=False)
    if turn.outcome == "malformed":
        whole = whole[: len(whole) // 2]
    return Response(whole, media_type="application/json")


def _stream(completion: Completion, turn: Turn) -> Response:
    return StreamingResponse(_events(completion, turn), media_type="text/event-stream")


async def _events(completion: Completion, turn: Turn) -> AsyncIterator[str]:
    """Comment lines, the text in pieces, the usage in a last chunk of its own; or an error in the middle."""
    yield ": OPENROUTER PROCESSING\n\n"
    pieces = completion.pieces()
    if turn.outcome not in (OK, "null-cost", "length", "torn"):
        yield _event(completion.chunk({"role": "assistant", "content": pieces[0]}))
        if turn.outcome == "malformed":
            yield 'data: {"id": "gen-'
            return
        yield _event(completion.chunk({"content": ""}, finish="error") | body(502))
        return
    for piece in () if completion.calls else pieces:
        yield _event(completion.chunk({"role": "assistant", "content": piece}))
        yield ": OPENROUTER PROCESSING\n\n"
    if completion.calls:
        yield _event(
            completion.chunk(
                {"role": "assistant", "content": None, "tool_calls": called(completion.calls, completion.id)}
            )
        )
    yield _event(completion.chunk({"content": ""}, finish=completion.finish))
    yield _event(completion.chunk(None) | {"usage": completion.charges()})
    yield "data: [DONE]\n\n"


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
