"""The OpenAI stand-in: chat completions, embeddings, models and images; responses lie in the module beside it.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
import time
import uuid
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import answers, asked, shared
from migration.rehearsal.providers.completion import called, conversation, size
from migration.rehearsal.providers.conversation import Reply, cached, pieces, reply, tokens
from migration.rehearsal.providers.png import draw
from migration.rehearsal.providers.program import Turn

PREFIX = "/_openai"
REASONERS = re.compile(r"^(o\d|gpt-[5-9])(?!.*chat)")
MOST = 16_384  # tokens of an answer without a limit of its own
_LISTED = ("gpt-5", "gpt-4o", "gpt-4o-mini", "text-embedding-3-small")
_SIZES = {"text-embedding-3-large": 3072}  # dimensions; others have 1536
# https://platform.openai.com/docs/guides/error-codes
ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("Invalid request.", "invalid_request_error", None),
    403: ("You are not allowed to use this model.", "invalid_request_error", "unsupported_country_region_territory"),
    404: ("The requested resource does not exist.", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached for requests. Please try again in 20s.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request. Sorry about that!", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
NO_KEY = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."


def refuse(
    status: int, message: str | None = None, *, code: str | None = None, param: str | None = None, own: bool = False,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:  # fmt: skip
    """A refusal in OpenAI's form. `own`: the account's quota, which no retry helps."""
    usual, kind, known = ERRORS.get(status, ("The server had an error.", "server_error", None))
    if own:
        usual, kind, known = QUOTA, "insufficient_quota", "insufficient_quota"
    kind = "invalid_request_error" if status == 401 else kind
    error = {"message": message or usual, "type": kind, "param": param, "code": code or known}
    return JSONResponse({"error": error}, status, {**_headers(), **(headers or {})})


class OpenAI:
    """Answers under any prefix, so that a gateway's address with a path of its own works too."""

    def __init__(self, providers: shared.Providers, name: str = "openai") -> None:
        self.providers = providers
        self.name = name
        self.prefixes: dict[str, int] = {}

    def routes(self, base: str) -> list[BaseRoute]:
        return [
            Route(f"{base}/chat/completions", self.chat, methods=["POST"]),
            Route(f"{base}/embeddings", self.embeddings, methods=["POST"]),
            Route(f"{base}/moderations", self.moderations, methods=["POST"]),
            Route(f"{base}/images/generations", self.images, methods=["POST"]),
            Route(f"{base}/models", self.models),
            Route(f"{base}/models/{{model:path}}", self.model),
        ]

    async def chat(self, request: Request) -> Response:
        wanted, refusal = await self.wanted(request)
        if refusal is not None:
            return refusal
        fault = _unfit(wanted)
        if fault is not None:
            return fault
        fate, refusal = await asked.turn(self.providers, self.name, wanted, refuse)
        if refusal is not None:
            return refusal
        limit = int(wanted.get("max_completion_tokens") or wanted.get("max_tokens") or MOST)
        spoken = reply(conversation(wanted, limit, thinks(wanted, wanted.get("reasoning_effort"))), fate.outcome)
        answer = _Chat(wanted, spoken, self.prefixes)
        if wanted.get("stream"):
            return StreamingResponse(answer.events(fate), media_type="text/event-stream", headers=_headers())
        return asked.whole(answer.body(fate.outcome), fate.outcome, _headers())

    async def embeddings(self, request: Request) -> Response:
        wanted, refusal = await self.wanted(request)
        if refusal is not None:
            return refusal
        given = wanted.get("input")
        texts = given if isinstance(given, list) and not all(isinstance(each, int) for each in given) else [given]
        if not given:
            return refuse(400, "'$.input' is invalid.", param="input")
        fate, refusal = await asked.turn(self.providers, self.name, wanted, refuse)
        if refusal is not None:
            return refusal
        length = int(wanted.get("dimensions") or _SIZES.get(str(wanted.get("model")), 1536))
        rows = [
            {"object": "embedding", "index": number, "embedding": _shown(vector(str(text), length), wanted)}
            for number, text in enumerate(texts)
        ]
        used = sum(tokens(str(text)) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        content = {"object": "list", "data": rows, "model": wanted.get("model"), "usage": usage}
        return asked.whole(content, fate.outcome, _headers())

    async def moderations(self, request: Request) -> Response:
        wanted, refusal = await self.wanted(request)
        if refusal is not None:
            return refusal
        kinds = ("harassment", "hate", "self-harm", "sexual", "violence")
        scores: dict[str, Any] = {"categories": dict.fromkeys(kinds, False)}
        result = {"flagged": False, **scores, "category_scores": dict.fromkeys(kinds, 0.0)}
        given = wanted.get("input")
        rows = [result for _ in (given if isinstance(given, list) else [given])]
        return JSONResponse({"id": f"modr-{uuid.uuid4().hex}", "model": wanted.get("model"), "results": rows})

    async def images(self, request: Request) -> Response:
        wanted, refusal = await self.wanted(request)
        if refusal is not None:
            return refusal
        fate, refusal = await asked.turn(self.providers, self.name, wanted, refuse)
        if refusal is not None:
            return refusal
        data = base64.b64encode(draw(str(wanted.get("prompt")))).decode()
        linked = wanted.get("response_format") == "url"
        row = {"url": f"data:image/png;base64,{data}"} if linked else {"b64_json": data}
        content = {"created": int(time.time()), "data": [row] * int(wanted.get("n") or 1)}
        return asked.whole(content, fate.outcome, _headers())

    async def models(self, request: Request) -> Response:
        if refusal := self.key(request):
            return refusal
        return JSONResponse({"object": "list", "data": [_entry(name) for name in _LISTED]})

    async def model(self, request: Request) -> Response:
        """Any name is known, as any is answered."""
        return self.key(request) or JSONResponse(_entry(request.path_params["model"]))

    async def wanted(self, request: Request) -> tuple[dict[str, Any], Response | None]:
        """The request's JSON, or the refusal of its key or body."""
        if refusal := self.key(request):
            return {}, refusal
        body = await asked.body(request)
        if body is None:
            text = "We could not parse the JSON body of your request."
            return {}, refuse(400, text)
        if not body.get("model") and not request.url.path.endswith(("moderations", "generations")):
            return {}, refuse(400, "you must provide a model parameter")
        return body, None

    def key(self, request: Request) -> Response | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        value = value or request.headers.get("api-key", "")  # Azure's header
        if not value or (scheme and scheme.lower() != "bearer"):
            return refuse(401, NO_KEY)
        if value not in self.providers.keys(self.name):
            text = f"Incorrect API key provided: {value[:8]}***{value[-4:]}."
            return refuse(401, text, code="invalid_api_key")
        return None


def thinks(wanted: Mapping[str, Any], effort: Any) -> bool:
    """Models that reason do so unless the request says no; their tokens are counted, never shown."""
    return effort not in ("none", "minimal") and bool(REASONERS.match(str(wanted.get("model"))))


def prompt_details(system: str, prefixes: MutableMapping[str, int]) -> int:
    """Cached tokens: of 1,024 and more, in steps of 128. https://platform.openai.com/docs/guides/prompt-caching"""
    read = cached(system, prefixes)
    return read // 128 * 128 if read >= 1024 else 0


class _Chat:
    """One completion in its two shapes."""

    def __init__(self, wanted: Mapping[str, Any], answer: Reply, prefixes: MutableMapping[str, int]) -> None:
        self.wanted = wanted
        self.made = answer
        self.id = f"chatcmpl-{uuid.uuid4().hex[:29]}"
        self.created = int(time.time())
        self.finish = "length" if answer.cut else "tool_calls" if answer.calls else "stop"
        turns = [each for each in wanted["messages"] if each.get("role") in ("system", "developer")]
        system = "\n".join(answers.text(each.get("content")) for each in turns)
        self.cached = prompt_details(system, prefixes)

    def body(self, outcome: str) -> dict[str, Any]:
        if outcome == "inside-b":
            return {"error": {"message": ERRORS[500][0], "type": "server_error", "param": None, "code": None}}
        message: dict[str, Any] = {"role": "assistant", "content": self.made.text, "refusal": None, "annotations": []}
        finish = self.finish
        if self.made.calls:
            calls = [{name: value for name, value in call.items() if name != "index"} for call in self._calls()]
            message |= {"content": None, "tool_calls": calls}
        if outcome == "inside-a":
            message, finish = message | {"content": None}, "content_filter"
        count = 0 if outcome == "inside-c" else int(self.wanted.get("n") or 1)
        choice = {"message": message, "logprobs": None, "finish_reason": finish}
        choices = [{"index": number, **choice} for number in range(count)]
        return self._head("chat.completion") | {"choices": choices, "usage": self.usage(), "service_tier": "default"}

    async def events(self, fate: Turn) -> AsyncIterator[str]:
        """The role, the text in pieces, the finish, and the usage where it is asked for."""
        yield asked.event(self._chunk({"role": "assistant", "content": "", "refusal": None}))
        if fate.outcome in ("malformed", "inside-a", "inside-b", "inside-c"):
            broken = {"error": {"message": ERRORS[500][0], "type": "server_error", "param": None, "code": None}}
            yield 'data: {"id": "chatcmpl' if fate.outcome == "malformed" else asked.event(broken)
            return
        for call in self._calls():
            about = call["function"]
            yield asked.event(self._chunk({"tool_calls": [call | {"function": about | {"arguments": ""}}]}))
            for piece in pieces(about["arguments"], 3):
                part = {"index": call["index"], "function": {"arguments": piece}}
                yield asked.event(self._chunk({"tool_calls": [part]}))
        for piece in () if self.made.calls else pieces(self.made.text):
            yield asked.event(self._chunk({"content": piece}))
        yield asked.event(self._chunk({}, self.finish))
        if (self.wanted.get("stream_options") or {}).get("include_usage"):
            yield asked.event(self._head("chat.completion.chunk") | {"choices": [], "usage": self.usage()})
        yield "data: [DONE]\n\n"

    def usage(self) -> dict[str, Any]:
        prompt, written = size(self.wanted), self.made.thinking + self.made.written
        accepted = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        return {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.made.thinking, "audio_tokens": 0, **accepted},
        }

    def _calls(self) -> list[dict[str, Any]]:
        return called(self.made.calls, self.id)

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        about = {"id": self.id, "object": kind, "created": self.created, "model": self.wanted["model"]}
        return {**about, "system_fingerprint": None}


def _unfit(wanted: Mapping[str, Any]) -> Response | None:
    """What OpenAI refuses before any model is asked."""
    messages = wanted.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, Mapping) for each in messages):
        return refuse(
            400, "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    if wanted.get("max_tokens") and REASONERS.match(str(wanted.get("model"))):
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return refuse(400, text, param="max_tokens", code="unsupported_parameter")
    form = wanted.get("response_format")
    if isinstance(form, Mapping) and form.get("type") == "json_object" and "json" not in str(messages).lower():
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        return refuse(400, text, param="messages")
    return None


def vector(text: str, length: int) -> list[float]:
    """A unit vector in which each word has its place: texts that share words lie close together."""
    values = [0.0] * length
    for word in re.findall(r"\w+", text.lower()) or [text]:
        mark = hashlib.sha256(word.encode()).digest()
        values[int.from_bytes(mark[:4]) % length] += 1.0
        values[int.from_bytes(mark[4:8]) % length] -= 0.5
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return [round(value / norm, 7) for value in values]


def _shown(values: list[float], wanted: Mapping[str, Any]) -> Any:
    if wanted.get("encoding_format") != "base64":
        return values
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "openai"}


def _headers() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex}", "openai-version": "2020-10-01", "openai-processing-ms": "20"}


async def missing(request: Request) -> Response:
    text = f"The sandbox's OpenAI has no {request.method} {request.url.path.removeprefix(PREFIX)}. {shared.DECLARE}"
    return refuse(404, text, code="not_in_sandbox")
