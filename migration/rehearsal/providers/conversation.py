"""What a request asks of a model, in no provider's own words, and the reply: text or a call of a tool."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from migration.rehearsal.providers import answers

THOUGHT = "The request says what the answer must look like. I keep to that and leave out the rest. "
FULL = 1000  # cached prefixes that are remembered
# Names of models that think unasked.
THINKERS = re.compile(r"think|reason|(^|[/-])(o\d|r\d|qwq)\b", re.I)
_WORD = re.compile(r"[a-z]{3,}")
_COMMON = frozenset({"the", "and", "for", "get", "set", "with", "from", "this", "that", "what", "which", "you", "use"})
_QUOTED = re.compile(r"[\"“']([^\"”'\n]{1,80})[\"”']")
_NAMED = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w-]*(?: [A-Z][\w-]*)*")


@dataclass(frozen=True)
class Tool:
    """A function that the model may call; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class Conversation:
    """`prompt` is the last message of the user, `result` what a tool answered after it, `start` the beginning of the
    answer where the request gives one. `choice`: auto, none, any, or the tool to call. `schema`: JSON is demanded.
    """

    system: str
    prompt: str
    limit: int
    schema: Mapping[str, Any] | None = None
    tools: Sequence[Tool] = ()
    choice: str = "auto"
    result: str | None = None
    start: str = ""
    thinks: bool = False


@dataclass(frozen=True)
class Reply:
    """`thinking` and `written` are tokens; `cut`: the limit ended it."""

    text: str
    calls: tuple[ToolCall, ...]
    thoughts: str
    thinking: int
    written: int
    cut: bool


def reply(conversation: Conversation, outcome: str) -> Reply:
    """Thinking is spent from the limit before the text is. `outcome` is that of the fault program."""
    call = None if outcome == "length" else _call(conversation)
    text = "" if call else _text(conversation)
    text = answers.torn(text) if outcome == "torn" else text
    thoughts = _thoughts(conversation.prompt) if conversation.thinks else ""
    if outcome == "length":
        thoughts, text = THOUGHT * (conversation.limit * 4 // len(THOUGHT) + 1), ""
    thinking = min(tokens(thoughts), conversation.limit)
    wanted = tokens(text) + (tokens(call.name + call.text) if call else 0)
    written = min(wanted, conversation.limit - thinking)
    cut = outcome == "length" or written < wanted
    calls = (call,) if call and not cut else ()
    thoughts = thoughts if conversation.thinks else ""  # what ran out unasked is counted, not shown
    return Reply(text[: written * 4], calls, thoughts[: thinking * 4], thinking, written, cut)


def tokens(text: str) -> int:
    """About four characters a token, the same for the same text."""
    return (len(text) + 3) // 4


def cached(prefix: str, prefixes: MutableMapping[str, int]) -> int:
    """Tokens of an instruction that was sent before: a provider caches a prefix without being prompted."""
    mark = hashlib.sha256(prefix.encode()).hexdigest()
    seen = prefixes.get(mark, 0)
    if len(prefixes) < FULL:
        prefixes[mark] = seen + 1
    return tokens(prefix) if seen and prefix else 0


def pieces(text: str, count: int = 8) -> list[str]:
    """A text as a stream sends it; one empty piece for an empty text."""
    size = max(1, len(text) // count)
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def _text(conversation: Conversation) -> str:
    if conversation.start.lstrip().startswith(("{", "[")) and conversation.schema is None:
        answer = answers.answer(conversation.system, conversation.prompt, {})
    else:
        answer = answers.answer(conversation.system, conversation.prompt, conversation.schema)
    answer = answer.removeprefix(conversation.start.rstrip())
    return (
        answer
        if conversation.result is None or conversation.schema is not None
        else f"{answer.rstrip()}\n\n{conversation.result}"
    )


def _call(conversation: Conversation) -> ToolCall | None:
    """The call that the request demands, or, before any result, that of the tool whose words the prompt has."""
    if conversation.choice == "none" or not conversation.tools:
        return None
    named = [tool for tool in conversation.tools if tool.name == conversation.choice]
    fitting = sorted(conversation.tools, key=lambda tool: -_shared(tool, conversation.prompt))
    if named or conversation.choice == "any":
        tool = (named or fitting)[0]
    elif conversation.result is None and _shared(fitting[0], conversation.prompt):
        tool = fitting[0]
    else:
        return None
    return ToolCall(tool.name, _arguments(tool.schema, conversation.prompt))


def _shared(tool: Tool, prompt: str) -> int:
    """How many words of the tool's name and description the prompt has; those of the name count twice."""
    said = _words(prompt)
    return 2 * len(said & _words(tool.name)) + len(said & _words(tool.description))


def _words(text: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ").lower()
    return {word.removesuffix("s") for word in _WORD.findall(spaced)} - _COMMON


def _arguments(schema: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    """Values that fit the schema: what the prompt quotes or names comes before words of our own."""
    filled: dict[str, Any] = answers.filled({"type": "object", **schema}, prompt)
    names = _QUOTED.findall(prompt) + _NAMED.findall(prompt)
    numbers = re.findall(r"-?\d+(?:\.\d+)?", prompt)
    for name, about in (schema.get("properties") or {}).items():
        kind = about.get("type") if isinstance(about, Mapping) else None
        if kind == "string" and not about.get("enum") and "const" not in about:
            filled[name] = names.pop(0) if names else filled[name]
        elif kind in ("number", "integer") and numbers:
            number = float(numbers.pop(0))
            filled[name] = int(number) if kind == "integer" or number.is_integer() else number
    return filled


def _thoughts(prompt: str) -> str:
    length = 2 + hashlib.sha256(prompt.encode()).digest()[0] % 10
    return THOUGHT * length
