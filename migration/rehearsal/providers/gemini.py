"""The Gemini stand-in: text from Pro and Flash, pictures from the image models, each by a program of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import answers, asked, shared
from migration.rehearsal.providers.conversation import THOUGHT, Conversation, Reply, Tool, reply, tokens
from migration.rehearsal.providers.openai import vector
from migration.rehearsal.providers.png import draw
from migration.rehearsal.types import Sandbox

BASE = "/_gemini/{version:str}/models"
LISTED = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-image")
_EXTRA = frozenset({"countTokens", "embedContent", "batchEmbedContents"})
IMAGE_TOKENS = 1290  # what a picture costs at any size
STATUS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token."),
    403: ("PERMISSION_DENIED", "Method doesn't allow unregistered callers."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 34.28s."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
TYPE = "type.googleapis.com/google.rpc."
BAD_KEY = [{"@type": f"{TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Everything under `/_gemini`."""
    gemini = Gemini(shared.of(sandbox))
    return [
        Route(f"{BASE}/{{model}}:{{method}}", gemini.answer, methods=["POST"]),
        Route(BASE, gemini.models, methods=["GET"]),
        Route(f"{BASE}/{{model}}", gemini.model, methods=["GET"]),
    ]


class Gemini:
    """Answers `generateContent` and `streamGenerateContent`."""

    def __init__(self, providers: shared.Providers) -> None:
        self.providers = providers

    async def answer(self, request: Request) -> Response:
        model, method = request.path_params["model"], request.path_params["method"]
        refusal = self._key(request)
        if refusal is not None:
            return refusal
        if method in _EXTRA:
            return await self._extra(model, method, request)
        if method not in ("generateContent", "streamGenerateContent"):
            return refuse(404, f"models/{model} is not found for API version v1beta, or is not supported for {method}.")
        wanted = await _wanted(request)
        if wanted is None:
            return refuse(400)
        streaming = method.startswith("stream")
        return await self._play(model, wanted, streaming, request.query_params.get("alt") == "sse")

    async def _extra(self, model: str, method: str, request: Request) -> Response:
        """Tokens and embeddings: https://ai.google.dev/api/tokens and https://ai.google.dev/api/embeddings"""
        wanted = await asked.body(request) or {}
        if method == "countTokens":
            inner = wanted.get("generateContentRequest") or wanted
            return JSONResponse(
                {"totalTokens": sum(tokens(answers.text(each.get("parts"))) for each in inner["contents"])}
            )
        fate, refusal = await asked.turn(self.providers, f"gemini.{kind(model)}", wanted, _refused)
        if refusal is not None:
            return refusal
        rows = [_embedding(each) for each in wanted.get("requests") or [wanted]]
        content = {"embedding": rows[0]} if method == "embedContent" else {"embeddings": rows}
        return asked.whole(content, fate.outcome, {})

    async def models(self, request: Request) -> Response:
        """The list of models, for whoever has a key."""
        return self._key(request) or JSONResponse({"models": [_entry(name) for name in LISTED]})

    async def model(self, request: Request) -> Response:
        """One model by its name: any is known, as any is answered."""
        name = request.path_params["model"]
        return self._key(request) or JSONResponse(_entry(name))

    def _key(self, request: Request) -> Response | None:
        """Exactly one credential, and one of the project's own."""
        given = [request.headers.get("x-goog-api-key"), request.query_params.get("key")]
        keys = [each for each in given if each]
        if len(keys) + ("authorization" in request.headers) > 1:
            return refuse(400, "Multiple authentication credentials received. Please pass only one.")
        if "authorization" in request.headers:
            return refuse(401)
        if not keys:
            return refuse(403)
        if keys[0] not in self.providers.keys("gemini"):
            return refuse(400, "API key not valid. Please pass a valid API key.", BAD_KEY)
        return None

    async def _play(self, model: str, wanted: Mapping[str, Any], streaming: bool, sse: bool) -> Response:
        dice = self.providers.dice[f"gemini.{kind(model)}"]
        turn = dice.turn(shared.fingerprint([model, wanted.get("contents")]))
        await asyncio.sleep(turn.seconds)
        if turn.status is not None and turn.status != 200:
            return refuse(turn.status, details=_delay() if turn.status == 429 else None, listed=streaming and not sse)
        answer = _answer(model, wanted, turn.outcome)
        if turn.outcome == "malformed":
            return Response(json.dumps(answer)[:40], media_type="application/json")
        if not streaming:
            return JSONResponse(answer)
        media = "text/event-stream" if sse else "application/json"
        return StreamingResponse(_stream(answer, sse), media_type=media)


def _entry(name: str) -> dict[str, Any]:
    return {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent", "countTokens"]}


def kind(model: str) -> str:
    """Which program a model follows: image, pro or flash."""
    if "image" in model:
        return "image"
    return "pro" if "pro" in model else "flash"


def refuse(
    status: int, message: str | None = None, details: list[dict[str, Any]] | None = None, *, listed: bool = False
) -> JSONResponse:
    """A refusal in Google's form; in a list where the answer would have been one. Never a Retry-After."""
    name, usual = STATUS.get(status, ("UNKNOWN", "Unknown error."))
    error: dict[str, Any] = {"code": status, "message": message or usual, "status": name}
    if details:
        error["details"] = details
    return JSONResponse([{"error": error}] if listed else {"error": error}, status)


def _delay() -> list[dict[str, Any]]:
    quota = {"quotaMetric": "generativelanguage.googleapis.com/generate_requests", "quotaValue": "500"}
    violation = quota | {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel", "quotaDimensions": {}}
    return [
        {"@type": f"{TYPE}QuotaFailure", "violations": [violation]},
        {"@type": f"{TYPE}RetryInfo", "retryDelay": "34.28s"},
    ]


async def _wanted(request: Request) -> Mapping[str, Any] | None:
    try:
        content = await request.json()
    except ValueError:
        return None
    right = isinstance(content, dict) and isinstance(content.get("contents"), list) and content["contents"]
    return content if right else None


def _texts(wanted: Mapping[str, Any]) -> tuple[str, str]:
    instruction = wanted.get("systemInstruction") or wanted.get("system_instruction") or {}
    turns = [each for each in wanted["contents"] if isinstance(each, Mapping) and each.get("role", "user") == "user"]
    said = [text for each in turns if (text := answers.text(each.get("parts")))]
    prompt = said[-1] if said else ""
    return answers.text(instruction.get("parts")), prompt


def _answer(model: str, wanted: Mapping[str, Any], outcome: str) -> dict[str, Any]:
    system, prompt = _texts(wanted)
    if outcome == "inside-b":
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    if kind(model) == "image":
        return _picture(model, wanted, prompt, refused=outcome == "length" or not prompt.strip())
    config = wanted.get("generationConfig") or {}
    thinking = _thoughts(model, config)
    limit = config.get("maxOutputTokens") or 65_536
    if outcome == "length" or thinking >= limit:
        return _body(model, [], "MAX_TOKENS", tokens(prompt + system), 0, limit)
    answer = reply(_conversation(wanted, system, prompt, limit - thinking), outcome)
    finish = "MAX_TOKENS" if answer.cut else "STOP"
    return _body(model, _parts(answer, config, thinking), finish, tokens(prompt + system), answer.written, thinking)


def _conversation(wanted: Mapping[str, Any], system: str, prompt: str, limit: int) -> Conversation:
    """https://ai.google.dev/gemini-api/docs/function-calling"""
    declared = [each for tool in wanted.get("tools") or () for each in _either(tool, "functionDeclarations") or ()]
    calling = _either(_either(wanted, "toolConfig") or {}, "functionCallingConfig") or {}
    allowed = _either(calling, "allowedFunctionNames") or [each.get("name") for each in declared]
    last = [each for each in wanted["contents"] if isinstance(each, Mapping)][-1].get("parts") or []
    results = [
        response for part in last if isinstance(part, Mapping) and (response := _either(part, "functionResponse"))
    ]
    tools = [
        Tool(str(each.get("name")), str(each.get("description") or ""),
             _lower(_either(each, "parametersJsonSchema") or each.get("parameters") or {}))
        for each in declared if each.get("name") in allowed
    ]  # fmt: skip
    return Conversation(
        system=system,
        prompt=prompt,
        limit=limit,
        schema=_schema(wanted.get("generationConfig") or {}),
        tools=tools,
        choice=str(calling.get("mode") or "auto").lower(),
        result="\n".join(json.dumps(each.get("response"), ensure_ascii=False) for each in results) or None,
    )


def _either(about: Mapping[str, Any], name: str) -> Any:
    """Google reads names in camel case and with underscores."""
    return about.get(name, about.get(re.sub(r"(?=[A-Z])", "_", name).lower()))


def _parts(answer: Reply, config: Mapping[str, Any], thinking: int) -> list[dict[str, Any]]:
    """Thoughts only where the request asks to see them, then text or calls."""
    shown = thinking and (config.get("thinkingConfig") or {}).get("includeThoughts")
    thoughts = [{"text": THOUGHT, "thought": True}] if shown else []
    if answer.calls:
        return [
            *thoughts,
            *({"functionCall": {"name": each.name, "args": dict(each.arguments)}} for each in answer.calls),
        ]
    return [*thoughts, {"text": answer.text}]


def _embedding(wanted: Mapping[str, Any]) -> dict[str, Any]:
    text = answers.text((wanted.get("content") or {}).get("parts"))
    return {"values": vector(text, int(wanted.get("outputDimensionality") or 768))}


def _refused(status: int, *, headers: Mapping[str, str] | None = None, own: bool = False) -> Response:  # noqa: ARG001
    """Never a Retry-After: the wait stands in the body."""
    return refuse(status, details=_delay() if status == 429 else None)


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What JSON the request demands: https://ai.google.dev/gemini-api/docs/structured-output"""
    if config.get("responseMimeType") != "application/json":
        return None
    return _lower(config.get("responseJsonSchema") or config.get("responseSchema") or {})  # type: ignore[no-any-return]


def _lower(schema: Any) -> Any:
    """Google writes types in capitals, JSON Schema does not."""
    if isinstance(schema, list):
        return [_lower(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {name: value.lower() if name == "type" and isinstance(value, str) else _lower(value)
            for name, value in schema.items()}  # fmt: skip


def _thoughts(model: str, config: Mapping[str, Any]) -> int:
    """Tokens of thinking: pro models always think, others where the request gives them a budget."""
    budget = (config.get("thinkingConfig") or {}).get("thinkingBudget")
    return tokens(THOUGHT) * 4 if kind(model) == "pro" or (budget is not None and budget != 0) else 0


def _picture(model: str, wanted: Mapping[str, Any], prompt: str, *, refused: bool) -> dict[str, Any]:
    if refused:
        return _body(model, [], "NO_IMAGE", tokens(prompt), 0, 0)
    data = base64.b64encode(draw(prompt)).decode()
    picture = {"inlineData": {"mimeType": "image/png", "data": data}}
    alone = (wanted.get("generationConfig") or {}).get("responseModalities") == ["IMAGE"]
    parts: list[dict[str, Any]] = [picture] if alone else [{"text": "Here is your image: "}, picture]
    return _body(model, parts, "STOP", tokens(prompt), IMAGE_TOKENS, 0)


def _body(
    model: str, parts: list[dict[str, Any]], finish: str, prompt: int, written: int, thoughts: int
) -> dict[str, Any]:
    """A candidate and its usage; without parts the content is empty, as when thoughts used the budget up."""
    content = {"role": "model", "parts": parts} if parts else {"role": "model"}
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "totalTokenCount": prompt + written + thoughts,
    }
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return {
        "candidates": [{"index": 0, "finishReason": finish, "content": content}],
        "usageMetadata": usage | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]},
        "modelVersion": model,
        "responseId": uuid.uuid4().hex[:22],
    }


async def _stream(answer: Mapping[str, Any], sse: bool) -> AsyncIterator[str]:
    """Events without an end mark, or one JSON array in pieces."""
    chunks = list(_chunks(answer))
    for number, chunk in enumerate(chunks):
        text = json.dumps(chunk, ensure_ascii=False)
        if sse:
            yield f"data: {text}\r\n\r\n"
        else:
            yield ("[" if number == 0 else ",\n") + text + ("]" if number == len(chunks) - 1 else "")


def _chunks(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    candidate = (answer.get("candidates") or [{}])[0]
    parts = (candidate.get("content") or {}).get("parts") or []
    if len(parts) != 1 or "text" not in parts[0]:
        return [dict(answer)]
    text = parts[0]["text"]
    size = max(1, len(text) // 4 + 1)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [dict(answer) | {"candidates": [_piece(candidate, piece, piece is pieces[-1])]} for piece in pieces]


def _piece(candidate: Mapping[str, Any], text: str, last: bool) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"index": 0, "content": content} | ({"finishReason": candidate["finishReason"]} if last else {})
