"""One capped request that proves a model: no list does, since a name may be answered by another model or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from migration.base.command import Do, Steps
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding
from migration.base.numbers import count, dollars
from migration.clients import reading
from migration.clients.http import Answer, Http
from migration.clients.models import APIS
from migration.clients.openrouter import MILLION
from migration.config.environment import Environment, ProviderAccess
from migration.config.settings import Config

MOST = 32  # tokens of the answer
_ASKED = 40  # tokens that the question has at most, whatever the tokenizer
QUESTION = "Answer with the word ok."
_SECONDS = 60.0
_OWN = "https://api.openai.com/v1"  # refuses max_tokens for models that reason; others who speak its API know no other
# What vendors add to a model's name in their answers: a date, a version, a route.
_BUILD = re.compile(r"[-@:](?:\d[\d.-]*|latest|free|nitro|floor|online|exacto)")


@dataclass(frozen=True)
class LiveRequest:
    """How one kind is asked: the path below its address, headers and body."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


def offers(config: Config, environment: Environment) -> Iterator[Finding]:
    """One for each end of the migration that can be asked: `apply` sends the request."""
    for name in dict.fromkeys(filter(None, (config.migration.to, config.migration.from_))):
        access = environment.providers.get(name)
        if access and access.url and access.key and access.kind != "none" and access.settings.model:
            yield _offer(access)


def _offer(access: ProviderAccess) -> Finding:
    text = (
        f"send one request for an answer of at most {count(MOST, 'token')}{_dearest(access)} to {access.settings.model}"
    )
    fix = Steps((Do(text),))
    name = f"providers.{access.name}.model"
    return Finding("live_request", name, "no list proves that a model answers", fix, "warning", access.name, safe=True,
                   apply=lambda: prove(access))  # fmt: skip


def _dearest(access: ProviderAccess) -> str:
    price = access.settings.price
    return f" ({dollars((_ASKED * price.input + MOST * price.output) / MILLION)})" if price else ""


def prove(access: ProviderAccess) -> str:
    """Send the one request, once, and say what answered. ServiceFailed where nothing did, or another model."""
    title = APIS[access.kind].title if access.kind in APIS else "OpenRouter"
    request, model = question(access), access.settings.model or ""
    http = Http(access.url, name=title)
    answer = http.request("POST", request.path, json=request.body, headers=request.headers, deadline=_SECONDS)
    content = _content(answer)
    if not answer.ok or content.get("error"):
        raise ServiceFailed(f"{title} answered {answer.status} for {model}: {_message(content, answer)}")
    named, tokens = _answered(content)
    if not named:
        raise ServiceFailed(f"{title} answered, and did not say with which model.")
    if not means(named, access.settings.listed):
        raise ServiceFailed(f"{named} answered, where {model} was asked for.")
    return f"{named} answered{f', {tokens} tokens' if tokens else ''}"


def question(access: ProviderAccess) -> LiveRequest:
    """The request for a kind.

    https://openrouter.ai/docs/api-reference/chat-completion, https://platform.openai.com/docs/api-reference/chat,
    https://docs.anthropic.com/en/api/messages, https://ai.google.dev/api/generate-content
    """
    key, model = access.key.reveal() if access.key else "", access.settings.model or ""
    messages = [{"role": "user", "content": QUESTION}]
    if access.kind == "gemini":
        limit = {"maxOutputTokens": MOST}
        body = {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}], "generationConfig": limit}
        path = f"/models/{quote(model.removeprefix('models/'), safe='')}:generateContent"
        return LiveRequest(path, APIS["gemini"].header(key), body)
    if access.kind == "anthropic":
        whole = {"model": model, "max_tokens": MOST, "messages": messages}
        return LiveRequest("/messages", APIS["anthropic"].header(key), whole)
    limited = "max_completion_tokens" if access.kind == "openai" and access.url == _OWN else "max_tokens"
    return LiveRequest(
        "/chat/completions", {"Authorization": f"Bearer {key}"}, {"model": model, limited: MOST, "messages": messages}
    )


def means(model: str, name: str) -> bool:
    """Whether a model's name in an answer means the configured one: `openai/gpt-4o-mini-2024-07-18` is a build of
    `gpt-4o-mini`, and `gpt-4o-mini` is none of `gpt-4o`."""
    for each in {model.removeprefix("models/"), model.rpartition("/")[2]}:
        for known in {name.removeprefix("models/"), name.rpartition("/")[2]}:
            if each == known or (each.startswith(known) and _BUILD.fullmatch(each[len(known) :])):
                return True
    return False


def _content(answer: Answer) -> dict[str, Any]:
    try:
        body = reading.decoded(answer)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(content: Mapping[str, Any], answer: Answer) -> str:
    error = content.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return reading.cut(str(message), 200) if message else reading.short(answer)


def _answered(content: Mapping[str, Any]) -> tuple[str, int]:
    """The model that answered, and the tokens of the whole request (0 where the answer does not say)."""
    usage = content.get("usage") or content.get("usageMetadata") or {}
    total = usage.get("total_tokens") or usage.get("totalTokenCount")
    if total is None:
        total = sum(each for name in ("input_tokens", "output_tokens") if isinstance(each := usage.get(name), int))
    named = content.get("model") or content.get("modelVersion") or ""
    return str(named), total if isinstance(total, int) else 0
