"""The Anthropic stand-in: messages, with tools, thinking and streams; counting of tokens; models.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import answers, asked, shared
from migration.rehearsal.providers.conversation import Conversation, Reply, Tool, pieces, reply, tokens
from migration.rehearsal.providers.program import Turn

PREFIX = "/_anthropic"
PICTURE = 1600  # tokens of an image
_LISTED = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5")
# https://docs.anthropic.com/en/api/errors
ERRORS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource"),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit of requests per minute."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to purchase credits."


def refuse(
    status: int, message: str | None = None, *, own: bool = False, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A refusal in Anthropic's form. `own`: no credit, which is its 400 and no 429."""
    if own:
        status, message = 400, CREDIT
    number = f"req_{uuid.uuid4().hex[:24]}"
    content = {"type": "error", "error": _error(status, message), "request_id": number}
    return JSONResponse(content, status, {"request-id": number, **(headers or {})})


def _error(status: int, message: str | None = None) -> dict[str, str]:
    kind, usual = ERRORS.get(status, ("api_error", "Internal server error"))
    return {"type": kind, "message": message or usual}


class Anthropic:
    """Answers under any prefix, so that a gateway's address with a path of its own works too."""

    def __init__(self, providers: shared.Providers) -> None:
        self.providers = providers
        self.seen: set[str] = set()  # prefixes that are cached

    def routes(self, base: str) -> list[BaseRoute]:
        return [
            Route(f"{base}/messages/count_tokens", self.count, methods=["POST"]),
            Route(f"{base}/messages", self.answer, methods=["POST"]),
            Route(f"{base}/models", self.models),
            Route(f"{base}/models/{{model:path}}", self.model),
        ]

    async def answer(self, request: Request) -> Response:
        wanted, refusal = await self._wanted(request)
        if refusal is not None:
            return refusal
        if not isinstance(wanted.get("max_tokens"), int):
            return refuse(400, "max_tokens: Field required")
        fate, refusal = await asked.turn(self.providers, "anthropic", wanted, refuse)
        if refusal is not None:
            return refusal
        message = Message(wanted, reply(_conversation(wanted), fate.outcome), *self._cached(wanted))
        headers = {"request-id": f"req_{uuid.uuid4().hex[:24]}"}
        if wanted.get("stream"):
            return StreamingResponse(message.events(fate), media_type="text/event-stream", headers=headers)
        if fate.outcome == "inside-b":
            return JSONResponse({"type": "error", "error": _error(529)}, headers=headers)
        body = message.body()
        if fate.outcome.startswith("inside-"):
            body |= {"content": [], "stop_reason": "refusal" if fate.outcome == "inside-a" else "end_turn"}
        return asked.whole(body, fate.outcome, headers)

    async def count(self, request: Request) -> Response:
        wanted, refusal = await self._wanted(request)
        return refusal or JSONResponse({"input_tokens": _size(wanted)})

    async def models(self, request: Request) -> Response:
        rows = [_entry(name) for name in _LISTED]
        listed = {"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
        return self._key(request) or JSONResponse(listed)

    async def model(self, request: Request) -> Response:
        """Any name is known, as any is answered."""
        return self._key(request) or JSONResponse(_entry(request.path_params["model"]))

    def _key(self, request: Request) -> Response | None:
        value = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if not value:
            return refuse(401, "x-api-key header is required")
        if value not in self.providers.keys("anthropic"):
            return refuse(401)
        if "anthropic-version" not in request.headers:
            return refuse(400, "anthropic-version: header is required")
        return None

    async def _wanted(self, request: Request) -> tuple[dict[str, Any], Response | None]:
        if refusal := self._key(request):
            return {}, refusal
        body = await asked.body(request)
        if body is None:
            return {}, refuse(400, "The request body is not valid JSON")
        for name in ("model", "messages"):
            if not body.get(name):
                return {}, refuse(400, f"{name}: Field required")
        first = body["messages"][0]
        if not isinstance(first, Mapping) or first.get("role") not in ("user", "assistant"):
            return {}, refuse(400, "messages.0.role: Input should be 'user' or 'assistant'")
        return body, None

    def _cached(self, wanted: Mapping[str, Any]) -> tuple[int, int]:
        """Tokens written to and read from the cache: of all up to the last mark that the request sets.

        https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
        """
        blocks = [*(wanted.get("tools") or ()), *_blocks(wanted.get("system"))]
        blocks += [block for each in wanted["messages"] for block in _blocks(each.get("content"))]
        marks = [number for number, block in enumerate(blocks) if block.get("cache_control")]
        if not marks:
            return 0, 0
        prefix = json.dumps(blocks[: marks[-1] + 1], sort_keys=True)
        mark = hashlib.sha256(prefix.encode()).hexdigest()
        held = sum(_tokens(block) for block in blocks[: marks[-1] + 1])
        known = mark in self.seen
        self.seen.add(mark)
        return (0, held) if known else (held, 0)


@dataclass
class Message:
    """One message in its two shapes; `written` and `read` are tokens of the cache."""

    wanted: Mapping[str, Any]
    made: Reply
    written: int
    read: int

    def __post_init__(self) -> None:
        self.id = f"msg_{uuid.uuid4().hex[:24]}"
        self.stop, self.sequence = self._stopped()

    def body(self) -> dict[str, Any]:
        usage = self.usage(self.made.thinking + self.made.written)
        return self._head() | {"content": self.content(), "stop_reason": self.stop, "stop_sequence": self.sequence,
                               "usage": usage}  # fmt: skip

    def content(self) -> list[dict[str, Any]]:
        """Thinking only where the request asks for it; then text or the call of a tool."""
        blocks: list[dict[str, Any]] = []
        if self.made.thoughts:
            signature = hashlib.sha256(self.made.thoughts.encode()).hexdigest()
            blocks.append({"type": "thinking", "thinking": self.made.thoughts, "signature": signature})
        for number, call in enumerate(self.made.calls):
            name = f"toolu_{self.id[4:]}{number}"
            blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": dict(call.arguments)})
        text = self.made.text.partition(self.sequence)[0] if self.sequence else self.made.text
        return blocks if self.made.calls or not text else [*blocks, {"type": "text", "text": text}]

    def usage(self, output: int) -> dict[str, Any]:
        kept = {"ephemeral_5m_input_tokens": self.written, "ephemeral_1h_input_tokens": 0}
        return {
            "input_tokens": max(_size(self.wanted) - self.written - self.read, 1),
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": kept,
            "output_tokens": output,
            "service_tier": "standard",
        }

    async def events(self, fate: Turn) -> AsyncIterator[str]:
        for name, content in self._events(fate.outcome):
            if name == "torn":
                yield 'event: content_block_delta\ndata: {"type":"content_bl'
                return
            yield asked.event({"type": name, **content}, name)

    def _events(self, outcome: str) -> Iterator[tuple[str, dict[str, Any]]]:
        start = self._head() | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": self.usage(1)}
        yield "message_start", {"message": start}
        yield "ping", {}
        if outcome == "malformed":
            yield "torn", {}
        if outcome.startswith("inside-"):
            yield "error", {"error": _error(529)}
            return
        for place, block in enumerate(self.content()):
            yield "content_block_start", {"index": place, "content_block": _emptied(block)}
            for delta in _deltas(block):
                yield "content_block_delta", {"index": place, "delta": delta}
            yield "content_block_stop", {"index": place}
        usage = {"output_tokens": self.made.thinking + self.made.written}
        yield "message_delta", {"delta": {"stop_reason": self.stop, "stop_sequence": self.sequence}, "usage": usage}
        yield "message_stop", {}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "type": "message", "role": "assistant", "model": self.wanted["model"]}

    def _stopped(self) -> tuple[str, str | None]:
        stops = [each for each in self.wanted.get("stop_sequences") or () if each and each in self.made.text]
        if stops and not self.made.calls:
            return "stop_sequence", min(stops, key=self.made.text.index)
        return ("max_tokens" if self.made.cut else "tool_use" if self.made.calls else "end_turn"), None


def _emptied(block: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""}, "tool_use": {"input": {}}, "thinking": {"thinking": "", "signature": ""},
    }  # fmt: skip
    return {**block, **empty[block["type"]]}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "tool_use":
        for piece in ["", *pieces(json.dumps(block["input"], ensure_ascii=False), 3)]:
            yield {"type": "input_json_delta", "partial_json": piece}
    elif block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    else:
        for piece in pieces(block["thinking"], 3):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}


def _conversation(wanted: Mapping[str, Any]) -> Conversation:
    messages = [each for each in wanted["messages"] if isinstance(each, Mapping)]
    prompts = [text for each in messages if each.get("role") == "user" and (text := answers.text(each.get("content")))]
    last = _blocks(messages[-1].get("content")) if messages else []
    results = [answers.text(block.get("content")) for block in last if block.get("type") == "tool_result"]
    choice = wanted.get("tool_choice") or {}
    thinking = (wanted.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return Conversation(
        system=answers.text(wanted.get("system")),
        prompt=prompts[-1] if prompts else "",
        limit=int(wanted["max_tokens"]),
        schema=_schema(wanted),
        tools=[
            Tool(str(each.get("name")), str(each.get("description") or ""), each["input_schema"])
            for each in wanted.get("tools") or ()
            if "input_schema" in each
        ],
        choice=str(choice.get("name") or choice.get("type") or "auto"),
        result="\n".join(results) if results else None,
        start=answers.text(messages[-1].get("content")) if messages[-1].get("role") == "assistant" else "",
        thinks=thinking,
    )


def _schema(wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs"""
    form = wanted.get("output_format") or (wanted.get("output_config") or {}).get("format") or {}
    return form.get("schema") or {} if form.get("type") == "json_schema" else None


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content or () if isinstance(each, Mapping)]


def _tokens(block: Mapping[str, Any]) -> int:
    return PICTURE if block.get("type") in ("image", "document") else tokens(str(block.get("text") or dict(block)))


def _size(wanted: Mapping[str, Any]) -> int:
    """Tokens of a request: every block, and four of framing a message."""
    blocks = [*_blocks(wanted.get("system")), *(wanted.get("tools") or ())]
    blocks += [block for each in wanted["messages"] for block in _blocks(each.get("content"))]
    return sum(_tokens(block) for block in blocks) + 4 * len(wanted["messages"])


def _entry(name: str) -> dict[str, Any]:
    title = name.replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": title, "created_at": "2026-01-01T00:00:00Z"}


async def missing(request: Request) -> Response:
    text = f"The sandbox's Anthropic has no {request.method} {request.url.path.removeprefix(PREFIX)}. {shared.DECLARE}"
    return refuse(404, text)
