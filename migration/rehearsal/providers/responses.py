"""OpenAI's responses: one request, output items, and a stream of named events.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import answers, asked
from migration.rehearsal.providers.conversation import Conversation, Reply, Tool, pieces, reply, tokens
from migration.rehearsal.providers.openai import ERRORS, MOST, OpenAI, prompt_details, refuse, thinks
from migration.rehearsal.providers.program import Turn

KEPT = 1000  # responses that can be read again


class Responses:
    """Answers `/responses` and remembers them, for `previous_response_id` and to be read."""

    def __init__(self, api: OpenAI) -> None:
        self.api = api
        self.known: dict[str, tuple[list[Any], dict[str, Any]]] = {}  # id -> items of the conversation, response

    def routes(self, base: str) -> list[BaseRoute]:
        return [
            Route(f"{base}/responses", self.answer, methods=["POST"]),
            Route(f"{base}/responses/{{id}}", self.one, methods=["GET", "DELETE"]),
        ]

    async def answer(self, request: Request) -> Response:
        wanted, refusal = await self.api.wanted(request)
        if refusal is not None:
            return refusal
        items = self._items(wanted)
        if isinstance(items, Response):
            return items
        fate, refusal = await asked.turn(self.api.providers, self.api.name, wanted, refuse)
        if refusal is not None:
            return refusal
        response = _Response(wanted, items, reply(_conversation(wanted, items), fate.outcome), self.api.prefixes)
        body = response.body()
        if wanted.get("store") is not False:
            self.known[response.id] = ([*items, *body["output"]], body)
            while len(self.known) > KEPT:
                del self.known[next(iter(self.known))]
        if wanted.get("stream"):
            return StreamingResponse(response.events(fate), media_type="text/event-stream")
        if fate.outcome.startswith("inside-"):
            error = {"code": "server_error", "message": ERRORS[500][0]}
            body |= {"status": "failed", "error": error, "output": []}
        return asked.whole(body, fate.outcome, {"x-request-id": f"req_{uuid.uuid4().hex}"})

    async def one(self, request: Request) -> Response:
        if refusal := self.api.key(request):
            return refusal
        name = request.path_params["id"]
        if name not in self.known:
            return refuse(404, f"Response with id '{name}' not found.")
        if request.method == "DELETE":
            del self.known[name]
            return JSONResponse({"id": name, "object": "response", "deleted": True})
        return JSONResponse(self.known[name][1])

    def _items(self, wanted: Mapping[str, Any]) -> list[Any] | Response:
        """The whole conversation: what the former response knew, then what this one brings."""
        given = wanted.get("input")
        if not given and not wanted.get("previous_response_id"):
            return refuse(400, "Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
        own = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())
        before = wanted.get("previous_response_id")
        if before is None:
            return own
        if before not in self.known:
            text = f"Previous response with id '{before}' not found."
            return refuse(400, text, param="previous_response_id", code="previous_response_not_found")
        return [*self.known[before][0], *own]


def _conversation(wanted: Mapping[str, Any], items: list[Any]) -> Conversation:
    turns = [(each.get("role"), answers.text(each.get("content"))) for each in items if isinstance(each, Mapping)]
    system = [text for role, text in turns if role in ("system", "developer")]
    prompts = [text for role, text in turns if role == "user"]
    last = items[-1] if items and isinstance(items[-1], Mapping) else {}
    choice = wanted.get("tool_choice") or "auto"
    return Conversation(
        system="\n".join(filter(None, [str(wanted.get("instructions") or ""), *system])),
        prompt=prompts[-1] if prompts else "",
        limit=int(wanted.get("max_output_tokens") or MOST),
        schema=_schema((wanted.get("text") or {}).get("format")),
        tools=[
            Tool(str(each.get("name")), str(each.get("description") or ""), each.get("parameters") or {})
            for each in wanted.get("tools") or ()
            if each.get("type") == "function"
        ],
        choice=str(choice.get("name") or "any") if isinstance(choice, Mapping) else choice.replace("required", "any"),
        result=answers.text(last.get("output")) if last.get("type") == "function_call_output" else None,
        thinks=thinks(wanted, (wanted.get("reasoning") or {}).get("effort")),
    )


def _schema(form: Any) -> Mapping[str, Any] | None:
    if not isinstance(form, Mapping) or form.get("type") not in ("json_object", "json_schema"):
        return None
    return form.get("schema") or {}


class _Response:
    """One response in its two shapes."""

    def __init__(
        self, wanted: Mapping[str, Any], items: list[Any], answer: Reply, prefixes: dict[str, int]
    ) -> None:  # fmt: skip
        self.wanted = wanted
        self.made = answer
        self.id = f"resp_{uuid.uuid4().hex}"
        self.created = int(time.time())
        asked_for = str(wanted.get("instructions") or "")
        self.prompt = tokens(asked_for) + sum(4 + tokens(str(each.get("content") or each)) for each in items)
        self.cached = prompt_details(asked_for, prefixes)

    def body(self, status: str = "") -> dict[str, Any]:
        wanted, running = self.wanted, status == "in_progress"
        cut = {"reason": "max_output_tokens"} if self.made.cut and not running else None
        named = ("instructions", "max_output_tokens", "previous_response_id", "user")
        return {
            "id": self.id, "object": "response", "created_at": self.created, "error": None, "background": False,
            "status": status or ("incomplete" if cut else "completed"), "incomplete_details": cut,
            "model": wanted["model"], "output": [] if running else self.output(),
            **{name: wanted.get(name) for name in named}, "parallel_tool_calls": True,
            "reasoning": {"effort": None, "summary": None, **(wanted.get("reasoning") or {})},
            "store": wanted.get("store") is not False, "temperature": wanted.get("temperature", 1.0),
            "text": wanted.get("text") or {"format": {"type": "text"}}, "tools": wanted.get("tools") or [],
            "tool_choice": wanted.get("tool_choice") or "auto", "top_p": wanted.get("top_p", 1.0),
            "truncation": "disabled", "metadata": wanted.get("metadata") or {},
            "usage": None if running else self.usage(),
        }  # fmt: skip

    def usage(self) -> dict[str, Any]:
        written = self.made.thinking + self.made.written
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": self.made.thinking},
            "total_tokens": self.prompt + written,
        }

    def output(self) -> list[dict[str, Any]]:
        """Reasoning without its text, then a message or the calls."""
        tail = self.id[5:]
        parts: list[dict[str, Any]] = []
        if self.made.thinking:
            parts.append({"id": f"rs_{tail}", "type": "reasoning", "summary": []})
        for number, call in enumerate(self.made.calls):
            about = {"call_id": f"call_{tail[:20]}{number}", "name": call.name, "arguments": call.text}
            parts.append({"id": f"fc_{tail}{number}", "type": "function_call", "status": "completed", **about})
        if not self.made.calls and (self.made.text or not self.made.cut):
            part = {"type": "output_text", "text": self.made.text, "annotations": [], "logprobs": []}
            state = "incomplete" if self.made.cut else "completed"
            parts.append(
                {"id": f"msg_{tail}", "type": "message", "status": state, "role": "assistant", "content": [part]}
            )
        return parts

    async def events(self, fate: Turn) -> AsyncIterator[str]:
        for number, (name, content) in enumerate(self._events(fate.outcome)):
            if name == "torn":
                yield 'event: response.output_text.delta\ndata: {"type":'
                return
            yield asked.event({"type": name, "sequence_number": number, **content}, name)

    def _events(self, outcome: str) -> list[tuple[str, dict[str, Any]]]:
        running = self.body("in_progress")
        events: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": running}),
            ("response.in_progress", {"response": running}),
        ]
        if outcome == "malformed":
            return [*events, ("torn", {})]
        if outcome.startswith("inside-"):
            error = {"code": "server_error", "message": ERRORS[500][0]}
            failed = {**running, "status": "failed", "error": error}
            return [*events, ("response.failed", {"response": failed})]
        for place, item in enumerate(self.output()):
            blank: dict[str, Any] = {"status": "in_progress", "content": [], "arguments": ""}
            empty = item | {name: value for name, value in blank.items() if name in item}
            events.append(("response.output_item.added", {"output_index": place, "item": empty}))
            events += _parts(place, item)
            events.append(("response.output_item.done", {"output_index": place, "item": item}))
        end = "response.incomplete" if self.made.cut else "response.completed"
        return [*events, (end, {"response": self.body()})]


def _parts(place: int, item: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The events of one output item between its beginning and its end."""
    at = {"item_id": item["id"], "output_index": place}
    if item["type"] == "function_call":
        name = "response.function_call_arguments"
        deltas = [(f"{name}.delta", {**at, "delta": piece}) for piece in pieces(item["arguments"], 3)]
        return [*deltas, (f"{name}.done", {**at, "arguments": item["arguments"], "name": item["name"]})]
    if item["type"] != "message":
        return []
    at |= {"content_index": 0}
    part, name = item["content"][0], "response.output_text"
    return [
        ("response.content_part.added", {**at, "part": {**part, "text": ""}}),
        *[(f"{name}.delta", {**at, "delta": piece, "logprobs": []}) for piece in pieces(part["text"])],
        (f"{name}.done", {**at, "text": part["text"], "logprobs": []}),
        ("response.content_part.done", {**at, "part": part}),
    ]
