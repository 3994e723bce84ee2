"""The providers' stand-ins: OpenRouter and Gemini with keys, prices, and seeded fault programs."""

from __future__ import annotations

from starlette.routing import BaseRoute

from migration.rehearsal.providers import control, gemini, openrouter
from migration.rehearsal.types import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """All of them, and the control of their programs."""
    return [*openrouter.routes(sandbox), *gemini.routes(sandbox), *control.routes(sandbox)]
