"""The providers' stand-ins: OpenRouter, OpenAI, Anthropic and Gemini with own keys and seeded fault programs."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers import anthropic, control, gemini, openai, openrouter, shared
from migration.rehearsal.providers.responses import Responses
from migration.rehearsal.types import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """All of them, and the control of their programs."""
    return [*openrouter.routes(sandbox), *gemini.routes(sandbox), *_others(sandbox), *control.routes(sandbox)]


def _others(sandbox: Sandbox) -> list[BaseRoute]:
    """OpenAI and Anthropic under any prefix of their addresses, and OpenAI's form as Gemini speaks it.

    https://ai.google.dev/gemini-api/docs/openai
    """
    providers = shared.of(sandbox)
    api, messages = openai.OpenAI(providers), anthropic.Anthropic(providers)
    compatible = openai.OpenAI(providers, "gemini.flash")
    bases = [f"{openai.PREFIX}/{{base:path}}", openai.PREFIX]
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return [
        *compatible.routes("/_gemini/{version}/openai"),
        *(route for base in bases for route in (*Responses(api).routes(base), *api.routes(base))),
        *messages.routes(f"{anthropic.PREFIX}/{{base:path}}"),
        *messages.routes(anthropic.PREFIX),
        Route(f"{openai.PREFIX}/{{path:path}}", openai.missing, methods=methods),
        Route(f"{anthropic.PREFIX}/{{path:path}}", anthropic.missing, methods=methods),
    ]
