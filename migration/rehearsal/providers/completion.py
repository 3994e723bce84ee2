"""One generation: its text, its tokens, its price, and the shapes of its answers."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from migration.rehearsal.providers import answers, catalogue
from migration.rehearsal.providers.meter import TokenPrice, Usage, stamp
from migration.rehearsal.providers.program import Turn

PROVIDER = "Novita"
THOUGHT = "The request says what the answer must look like. I keep to that and leave out the rest. "
_REASONS = re.compile(r"think|reason|(^|[/-])(o\d|r\d|qwq)\b", re.I)  # names of models that think unasked
FULL = 1000  # cached prefixes that are remembered


@dataclass(frozen=True)
class Completion:
    """A finished generation; `cost` is what is charged, `priced` whether the answer names it."""

    id: str
    created: int
    model: str
    text: str
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
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "reasoning": self.thoughts or None}
        message |= {"reasoning_details": [], "refusal": None}
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
        size = max(1, len(self.text) // 8)
        return [self.text[at : at + size] for at in range(0, len(self.text), size)] or [""]

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
    """Generate the answer to a request; thinking is spent from max_tokens before the text is."""
    system, prompt = _parts(wanted["messages"])
    text = answers.answer(system, prompt, schema(wanted.get("response_format")))
    if turn.outcome == "torn":
        text = answers.torn(text)
    thoughts = _thoughts(prompt) if thinks(wanted) else ""
    limit = catalogue.most(wanted)
    if turn.outcome == "length":
        thoughts, text = THOUGHT * (limit * 4 // len(THOUGHT) + 1), ""
    thinking = min(tokens(thoughts), limit)
    written = min(tokens(text), limit - thinking)
    cut = turn.outcome == "length" or written < tokens(text)
    hidden = _reasoning(wanted).get("exclude") is True
    return Completion(
        id=f"gen-{int(time.time())}-{uuid.uuid4().hex[:20]}",
        created=int(time.time()),
        model=str(wanted["model"]),
        text=text[: written * 4],
        thoughts="" if hidden else thoughts[: thinking * 4],
        finish="length" if cut else "stop",
        usage=Usage(_prompt(wanted), _cached(system, prefixes), thinking + written, thinking),
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
    asked = any(reasoning.get(name) for name in ("enabled", "effort", "max_tokens"))
    return asked or bool(wanted.get("include_reasoning")) or bool(_REASONS.search(str(wanted.get("model"))))


def schema(form: Any) -> Mapping[str, Any] | None:
    """The JSON Schema of a `response_format`; empty for JSON of any shape, None where the answer is text."""
    if not isinstance(form, Mapping) or form.get("type") not in ("json_object", "json_schema"):
        return None
    return (form.get("json_schema") or {}).get("schema") or {}


def _reasoning(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    found = wanted.get("reasoning")
    return found if isinstance(found, Mapping) else {}


def tokens(text: str) -> int:
    """About four characters a token, the same for the same text."""
    return (len(text) + 3) // 4


def _parts(messages: list[Any]) -> tuple[str, str]:
    turns = [(each.get("role"), answers.text(each.get("content"))) for each in messages if isinstance(each, Mapping)]
    system = "\n".join(text for role, text in turns if role in ("system", "developer"))
    prompts = [text for role, text in turns if role == "user"]
    return system, prompts[-1] if prompts else ""


def _prompt(wanted: Mapping[str, Any]) -> int:
    """Every message costs its text and four tokens of framing."""
    messages = [each for each in wanted["messages"] if isinstance(each, Mapping)]
    return sum(4 + tokens(answers.text(each.get("content"))) for each in messages)


def _cached(system: str, prefixes: MutableMapping[str, int]) -> int:
    """Tokens of a system instruction that was sent before: the provider caches a prefix without being prompts."""
    mark = hashlib.sha256(system.encode()).hexdigest()
    seen = prefixes.get(mark, 0)
    if len(prefixes) < FULL:
        prefixes[mark] = seen + 1
    return tokens(system) if seen and system else 0


def _thoughts(prompt: str) -> str:
    length = 2 + hashlib.sha256(prompt.encode()).digest()[0] % 10
    return THOUGHT * length
