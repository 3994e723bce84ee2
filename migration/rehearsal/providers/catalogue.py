"""The models that OpenRouter's stand-in lists, their prices and who serves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers.errors import refuse
from migration.rehearsal.providers.meter import MILLION, TokenPrice
from migration.rehearsal.providers.shared import Providers

CONTEXT = 262_144
_ROUTING = re.compile(r"(:(nitro|floor|exacto|online))+$")
SERVERS = ("Novita", "Google", "Parasail")


def routes(providers: Providers, base: str) -> list[BaseRoute]:
    async def models(request: Request) -> Response:
        listed = [_entry(providers, name) for name in providers.models() if known(providers, name)]
        first = int(request.query_params.get("offset", 0))
        size = int(request.query_params.get("limit", len(listed)))
        return JSONResponse({"data": listed[first : first + size]})

    async def endpoints(request: Request) -> Response:
        name = f"{request.path_params['author']}/{request.path_params['slug']}"
        if not known(providers, name):
            return refuse(404)
        return JSONResponse({"data": {"id": name, "name": title(name), "endpoints": _endpoints(providers, name)}})

    return [
        Route(f"{base}/models", models),
        Route(f"{base}/models/{{author}}/{{slug}}/endpoints", endpoints),
    ]


def known(providers: Providers, model: str) -> bool:
    """Any model of an author is; `rehearsal.providers.openrouter.models` unlists single ones."""
    author, _, slug = model.partition("/")
    return bool(author and slug) and bool(providers.terms.model(model).get("listed", True))


def bare(model: str) -> str:
    """The model that is listed and billed, without routing suffixes. https://openrouter.ai/docs/model-variants"""
    return _ROUTING.sub("", model)


def title(model: str) -> str:
    """`Example: Large 2 Fast` for `example/large-2-fast`."""
    author, _, slug = model.partition("/")
    return f"{author.replace('-', ' ').title()}: {slug.replace('-', ' ').title()}"


def served(providers: Providers, model: str) -> bool:
    """Whether anybody answers for this model today: its expiry date ends it for all."""
    ends = providers.terms.model(model).get("expiration_date")
    past = ends is not None and str(ends) <= providers.meter.clock().date().isoformat()
    return known(providers, model) and not past and bool(_endpoints(providers, model))


def most(wanted: Mapping[str, Any]) -> int:
    """The most tokens a request may be answered with; its own limit, else the model's."""
    limit = wanted.get("max_completion_tokens") or wanted.get("max_tokens")
    return min(int(limit), CONTEXT) if isinstance(limit, int) and limit > 0 else CONTEXT


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _pricing(price: TokenPrice) -> dict[str, str]:
    """Strings, USD for one token."""
    each = {"prompt": price.input, "completion": price.output, "input_cache_read": price.cached_input}
    one = {name: _plain(value / MILLION) for name, value in each.items()}
    return one | {"request": "0", "image": "0", "web_search": "0", "internal_reasoning": "0"}


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _entry(providers: Providers, model: str) -> dict[str, Any]:
    ends = providers.terms.model(model).get("expiration_date")
    return {
        "id": model,
        "canonical_slug": model,
        "name": title(model),
        "created": 1_762_440_622,
        "context_length": CONTEXT,
        "pricing": _pricing(providers.terms.listed_price or providers.terms.price),
        "top_provider": {"context_length": CONTEXT, "max_completion_tokens": CONTEXT, "is_moderated": False},
        "supported_parameters": ["max_tokens", "temperature", "top_p", "reasoning", "stop", "seed", "response_format"],
        "expiration_date": str(ends) if ends is not None else None,
    }


def _endpoints(providers: Providers, model: str) -> list[dict[str, Any]]:
    count = int(providers.terms.model(model).get("endpoints", len(SERVERS)))
    price = _pricing(providers.terms.listed_price or providers.terms.price)
    return [
        {
            "name": f"{server} | {model}",
            "provider_name": server,
            "pricing": price,
            "context_length": CONTEXT,
            "max_completion_tokens": CONTEXT,
            "status": 0,
            "uptime_last_30m": 99.8,
        }
        for server in SERVERS[:count]
    ]
