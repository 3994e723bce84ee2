"""The models that OpenRouter's stand-in lists, their prices and who serves them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers.errors import refuse
from migration.rehearsal.providers.meter import MILLION, TokenPrice
from migration.rehearsal.providers.shared import MODEL, Providers

CONTEXT = 262_144
NAMES = {MODEL: "MoonshotAI: Kimi K2 Thinking", "moonshotai/kimi-k2.6": "MoonshotAI: Kimi K2.6"}
SERVERS = ("Novita", "Google", "Parasail")
SUCCESSOR = TokenPrice(Decimal("0.77"), Decimal("0.19"), Decimal("3.40"))


def routes(providers: Providers, base: str) -> list[BaseRoute]:
    async def models(request: Request) -> Response:
        listed = [_entry(providers, name) for name in NAMES if providers.terms.model(name).get("listed", True)]
        first = int(request.query_params.get("offset", 0))
        size = int(request.query_params.get("limit", len(listed)))
        return JSONResponse({"data": listed[first : first + size]})

    async def endpoints(request: Request) -> Response:
        name = f"{request.path_params['author']}/{request.path_params['slug']}"
        if not known(providers, name):
            return refuse(404)
        return JSONResponse({"data": {"id": name, "name": NAMES[name], "endpoints": _endpoints(providers, name)}})

    return [
        Route(f"{base}/models", models),
        Route(f"{base}/models/{{author}}/{{slug}}/endpoints", endpoints),
    ]


def known(providers: Providers, model: str) -> bool:
    return model in NAMES and bool(providers.terms.model(model).get("listed", True))


def served(providers: Providers, model: str) -> bool:
    """Whether anybody answers for this model today: its expiry date ends it for all."""
    ends = providers.terms.model(model).get("expiration_date")
    past = ends is not None and str(ends) <= providers.meter.clock().date().isoformat()
    return known(providers, model) and not past and bool(_endpoints(providers, model))


def most(wanted: Mapping[str, Any]) -> int:
    """The most tokens a request may be answered with; its own limit, else the model's."""
    asked = wanted.get("max_completion_tokens") or wanted.get("max_tokens")
    return min(int(asked), CONTEXT) if isinstance(asked, int) and asked > 0 else CONTEXT


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _price(providers: Providers, model: str) -> TokenPrice:
    if model != MODEL:
        return SUCCESSOR
    return providers.terms.listed_price or providers.terms.price


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
        "name": NAMES[model],
        "created": 1_762_440_622,
        "context_length": CONTEXT,
        "pricing": _pricing(_price(providers, model)),
        "top_provider": {"context_length": CONTEXT, "max_completion_tokens": CONTEXT, "is_moderated": False},
        "supported_parameters": ["max_tokens", "temperature", "top_p", "reasoning", "stop", "seed", "response_format"],
        "expiration_date": str(ends) if ends is not None else None,
    }


def _endpoints(providers: Providers, model: str) -> list[dict[str, Any]]:
    count = int(providers.terms.model(model).get("endpoints", len(SERVERS)))
    price = _pricing(_price(providers, model))
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
