"""One generation: its text, its tokens, its price, and the shapes of its answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from migration.rehearsal.providers import answers, catalogue
from migration.rehearsal.providers.conversation import THINKERS, Conversation, Tool, ToolCall, cached, reply, tokens
from migration.rehearsal.providers.conversation import pieces as cut_up
from migration.rehearsal.providers.meter import TokenPrice, Usage, stamp
from migration.rehearsal.providers.program import Turn

PROVIDER = "Novita"


@dataclass(frozen=True)
class Completion:
    """A finished generation; `cost` is what is charged, `priced` whether the answer names it."""

    id: str
    created: int
    model: str
    text: str
    calls: tuple[ToolCall, ...]
    thoughts: str
    finish: str
    usage: Usage
    price: TokenPrice
    priced: bool
    seconds: float
    streamed: bool

    @property
    def cost(self) -> Decimal:
        return self.usage.cost(self.price)

    def body(self) -> dict[str, Any]:
        """The answer of a call that did not stream."""
        text = None if self.calls else self.text
        message: dict[str, Any] = {"role": "assistant", "content": text, "reasoning": self.thoughts or None}
        message |= {"reasoning_details": [], "refusal": None}
        message |= {"tool_calls": called(self.calls, self.id)} if self.calls else {}
        choice = {"index": 0, "finish_reason": self.finish, "native_finish_reason": self.finish, "message": message}
        return self._head("chat.completion") | {"choices": [choice], "usage": self.charges()}

    def failed(self, error: Mapping[str, Any]) -> dict[str, Any]:
        """Form (a) of an error inside HTTP 200: part of the text, then the provider's error."""
        message = {"role": "assistant", "content": self.text[: len(self.text) // 3]}
        choice = {"index": 0, "finish_reason": "error", "message": message, "error": dict(error)}
        return self._head("chat.completion") | {"choices": [choice]}

    def chunk(self, delta: Mapping[str, Any] | None, finish: str | None = None) -> dict[str, Any]:
        """One event of a stream; without a delta its choices are empty, as in the last one."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}
        return self._head("chat.completion.chunk") | {"choices": [] if delta is None else [choice]}

    def pieces(self) -> list[str]:
        return cut_up(self.text)

    def charges(self) -> dict[str, Any]:
        """The object `usage`."""
        usage = self.usage
        cost = float(self.cost) if self.priced else None
        return {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
            "cost": cost,
            "is_byok": False,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": float(usage.input_cost(self.price)),
                "upstream_inference_completions_cost": float(usage.output_cost(self.price)),
            }
            if self.priced
            else None,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }

    def record(self) -> dict[str, Any]:
        """What `/generation` answers about it."""
        usage = self.usage
        return {
            "id": self.id,
            "total_cost": float(self.cost),
            "usage": float(self.cost),
            "model": self.model,
            "provider_name": PROVIDER,
            "finish_reason": self.finish,
            "native_finish_reason": self.finish,
            "tokens_prompt": usage.prompt,
            "tokens_completion": usage.completion,
            "native_tokens_prompt": usage.prompt,
            "native_tokens_completion": usage.completion,
            "native_tokens_reasoning": usage.reasoning,
            "native_tokens_cached": usage.cached,
            "cache_discount": float(usage.cached * (self.price.input - self.price.cached_input) / 1_000_000),
            "latency": round(self.seconds * 1000),
            "generation_time": round(self.seconds * 1000),
            "streamed": self.streamed,
            "cancelled": False,
            "is_byok": False,
            "upstream_id": f"chatcmpl-{self.id}",
            "created_at": stamp(catalogue.moment(self.created)),
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "provider": PROVIDER,
        }


def complete(
    wanted: Mapping[str, Any], price: TokenPrice, turn: Turn, prefixes: MutableMapping[str, int]
) -> Completion:
    """Generate the answer to a request."""
    talk = conversation(wanted, catalogue.most(wanted), thinks(wanted))
    answer = reply(talk, turn.outcome)
    hidden = _reasoning(wanted).get("exclude") is True
    finish = "length" if answer.cut else "tool_calls" if answer.calls else "stop"
    return Completion(
        id=f"gen-{int(time.time())}-{uuid.uuid4().hex[:20]}",
        created=int(time.time()),
        model=str(wanted["model"]),
        text=answer.text,
        calls=answer.calls,
        thoughts="" if hidden else answer.thoughts,
        finish=finish,
        usage=Usage(size(wanted), cached(talk.system, prefixes), answer.thinking + answer.written, answer.thinking),
        price=price,
        priced=turn.outcome != "null-cost",
        seconds=turn.seconds,
        streamed=bool(wanted.get("stream")),
    )


def thinks(wanted: Mapping[str, Any]) -> bool:
    """Whether the request asks for thinking, or its model thinks unless the request says no.

    https://openrouter.ai/docs/use-cases/reasoning-tokens
    """
    reasoning = _reasoning(wanted)
    if reasoning.get("enabled") is False or reasoning.get("effort") == "none":
        return False
    wants = any(reasoning.get(name) for name in ("enabled", "effort", "max_tokens"))
    return wants or bool(wanted.get("include_reasoning")) or bool(THINKERS.search(str(wanted.get("model"))))


def schema(form: Any) -> Mapping[str, Any] | None:
    """The JSON Schema of a `response_format`; empty for JSON of any shape, None where the answer is text."""
    if not isinstance(form, Mapping) or form.get("type") not in ("json_object", "json_schema"):
        return None
    return (form.get("json_schema") or {}).get("schema") or {}


def _reasoning(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    options = wanted.get("reasoning")
    return options if isinstance(options, Mapping) else {}


def conversation(wanted: Mapping[str, Any], limit: int, thinking: bool) -> Conversation:
    """A request to a chat completions endpoint, as OpenAI and those who follow it define it."""
    messages = [each for each in wanted["messages"] if isinstance(each, Mapping)]
    turns = [(each.get("role"), answers.text(each.get("content"))) for each in messages]
    prompts = [text for role, text in turns if role == "user"]
    last, said = turns[-1] if turns else ("", "")
    return Conversation(
        system="\n".join(text for role, text in turns if role in ("system", "developer")),
        prompt=prompts[-1] if prompts else "",
        limit=limit,
        schema=schema(wanted.get("response_format")),
        tools=[_tool(each.get("function") or {}) for each in wanted.get("tools") or () if isinstance(each, Mapping)],
        choice=_choice(wanted.get("tool_choice")),
        result=said if last == "tool" else None,
        start=said if last == "assistant" else "",
        thinks=thinking,
    )


def _tool(about: Mapping[str, Any]) -> Tool:
    return Tool(str(about.get("name", "")), str(about.get("description", "")), about.get("parameters") or {})


def _choice(given: Any) -> str:
    if isinstance(given, Mapping):
        return str((given.get("function") or given).get("name") or "any")
    return {"required": "any"}.get(str(given), str(given or "auto"))


def called(calls: tuple[ToolCall, ...], seed: str) -> list[dict[str, Any]]:
    """The calls as a message holds them."""
    return [
        {"id": f"call_{seed[-20:]}{number}", "index": number, "type": "function",
         "function": {"name": each.name, "arguments": each.text}}
        for number, each in enumerate(calls)
    ]  # fmt: skip


def size(wanted: Mapping[str, Any]) -> int:
    """Tokens of a request: every message costs its text and four of framing, every tool its description."""
    messages = [each for each in wanted["messages"] if isinstance(each, Mapping)]
    tools = wanted.get("tools") or []
    return sum(4 + tokens(answers.text(each.get("content"))) for each in messages) + tokens(str(tools) if tools else "")
