"""The kinds of providers by what names them: hosts, packages, words in a text, variables that hold their keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Kind:
    """How one kind of provider is recognized, and the names of its models."""

    name: str
    host: str
    words: re.Pattern[str]
    keys: re.Pattern[str]
    models: re.Pattern[str]
    packages: tuple[str, ...] = ()
    url: str = ""

    @property
    def speaks(self) -> str:
        """The kind in config.yaml: a service with an address speaks OpenAI's API."""
        return "openai" if self.url else self.name


def _kind(name: str, host: str, words: str, keys: str, models: str, *packages: str) -> Kind:
    found = re.compile(rf"(?i)\b(?:{words})"), re.compile(rf"(?i)(?:{keys})"), re.compile(rf"^(?:{models})")
    return Kind(name, host, *found, packages)


_VENDOR = r"[a-z][\w.-]*[a-z]/[a-z][\w.:-]*[\d-][\w.:-]*$"  # vendor/model
KINDS = (
    _kind("openrouter", "openrouter.ai", r"open\s?router\b", "OPENROUTER", _VENDOR, "@openrouter/ai-sdk-provider"),
    _kind(
        "anthropic",
        "api.anthropic.com",
        r"anthropic\b|claude\b",
        "ANTHROPIC|CLAUDE",
        "claude-",
        "@anthropic-ai/sdk",
        "@ai-sdk/anthropic",
    ),
    _kind(
        "gemini",
        "generativelanguage.googleapis.com",
        r"gemini\b|google ai\b",
        "GEMINI|GOOGLE",
        "gemini-|gemma-|imagen-",
        "@google/generative-ai",
        "@google/genai",
        "@ai-sdk/google",
    ),
    _kind(
        "openai",
        "api.openai.com",
        r"open\s?ai\b|gpt-\w+|chatgpt\b",
        "OPENAI|OPEN_AI",
        "gpt-|o[134](?:-|$)|text-embedding|chatgpt|whisper|dall-e|tts-|ft:gpt",
        "openai",
        "@ai-sdk/openai",
    ),
)
# Services that speak OpenAI's API, by the address that each documents for it.
SERVICES = tuple(
    Kind(name, urlsplit(url).hostname or "", re.compile(rf"(?i)(?<![/\w])(?:{words})"), re.compile(rf"(?i)(?:{keys})"),
         re.compile(rf"^(?:{models})"), packages, url)
    for name, url, words, keys, models, packages in (
        ("groq", "https://api.groq.com/openai/v1", r"groq\b", "GROQ", "llama|gemma|qwen|mixtral|openai/gpt-oss",
         ("groq-sdk", "@ai-sdk/groq")),
        ("mistral", "https://api.mistral.ai/v1", r"mistral\b(?! ?7b)", "MISTRAL",
         "mistral-|magistral-|ministral-|codestral-|pixtral-|open-mi", ("@ai-sdk/mistral",)),
        ("deepseek", "https://api.deepseek.com/v1", r"deep ?seek\b", "DEEPSEEK", "deepseek-", ("@ai-sdk/deepseek",)),
        ("xai", "https://api.x.ai/v1", r"x\.?ai\b|grok\b", "XAI|GROK", "grok-", ("@ai-sdk/xai",)),
        ("together", "https://api.together.xyz/v1", r"together\.?ai\b", "TOGETHER", _VENDOR, ("@ai-sdk/togetherai",)),
        ("fireworks", "https://api.fireworks.ai/inference/v1", r"fireworks(?: ?ai)?\b", "FIREWORKS", "accounts/", ()),
        ("cerebras", "https://api.cerebras.ai/v1", r"cerebras\b", "CEREBRAS", "llama|qwen|gpt-oss",
         ("@ai-sdk/cerebras",)),
        ("perplexity", "https://api.perplexity.ai", r"perplexity\b", "PERPLEXITY|PPLX", "sonar",
         ("@ai-sdk/perplexity",)),
        ("lovable", "https://ai.gateway.lovable.dev/v1", r"lovable(?: ai)?(?: gateway)?\b", "LOVABLE", _VENDOR, ()),
    )
)  # fmt: skip
# Packages that call one host of their own, which the functions' text does not name.
HOSTS = {
    "stripe": "api.stripe.com",
    "resend": "api.resend.com",
    "replicate": "api.replicate.com",
    "@sendgrid/mail": "api.sendgrid.com",
    "@slack/web-api": "slack.com",
    "@mistralai/mistralai": "api.mistral.ai",
    "cohere-ai": "api.cohere.com",
}
ALL = (*KINDS, *SERVICES)
BY_NAME = {kind.name: kind for kind in ALL}


def of_host(host: str) -> Kind | None:
    """The kind that has a host of its own; a service that speaks OpenAI's API is found by its address."""
    return next((kind for kind in KINDS if host == kind.host), None)


def of_package(name: str) -> Kind | None:
    return next((kind for kind in ALL if name in kind.packages), None)


def of_variable(name: str) -> Kind | None:
    """The kind whose key a variable of this name is likely to hold."""
    return next((kind for kind in ALL if kind.keys.search(name)), None)


def in_text(text: str) -> list[Kind]:
    """The kinds that a text names, in its order. `OpenRouter` alone is not OpenAI, nor is a model's vendor/name."""
    places = [(match.start(), kind) for kind in ALL for match in kind.words.finditer(text)]
    return list(dict.fromkeys(kind for _, kind in sorted(places, key=lambda each: each[0])))


def key_of(kind: Kind, names: Iterable[str]) -> str:
    """The variable that holds the kind's key: one that names it, best one that ends like a key."""
    fitting = [name for name in names if of_variable(name) is kind]
    return next((name for name in fitting if re.search(r"(?i)key|token", name)), next(iter(fitting), ""))
