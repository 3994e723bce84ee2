"""Who may ask and who pays: keys, limits, credit and activity of the OpenRouter stand-in."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.providers.errors import refuse
from migration.rehearsal.providers.meter import MILLION, Key
from migration.rehearsal.providers.shared import Providers

CHANGEABLE = frozenset({"name", "disabled", "limit", "limit_reset", "include_byok_in_limit"})
RESETS = (None, "daily", "weekly", "monthly")
OWNER = "user_sandbox"
ONLY_MANAGEMENT = "Only management keys can perform this operation"


def routes(providers: Providers, base: str) -> list[BaseRoute]:
    money = Money(providers)
    return [
        Route(f"{base}/key", money.key),
        Route(f"{base}/keys", money.keys, methods=["GET"]),
        Route(f"{base}/keys", money.create, methods=["POST"]),
        Route(f"{base}/keys/{{hash}}", money.one, methods=["GET", "PATCH", "DELETE"]),
        Route(f"{base}/activity", money.activity),
        Route(f"{base}/credits", money.credits),
    ]


def caller(providers: Providers, request: Request) -> tuple[Key | None, Response | None]:
    """The living key of the bearer token, or the refusal."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        return None, refuse(401, "Missing Authentication header")
    record = providers.find(value.strip())
    return record, None if record else refuse(401)


def inference(providers: Providers, request: Request) -> tuple[Key | None, Response | None]:
    """A key for completions; a management key is refused on this side."""
    record, refusal = caller(providers, request)
    if record is not None and record.management:
        return None, refuse(403, "Management keys cannot be used for this operation")
    return record, refusal


def broke(providers: Providers, key: Key, most: int) -> Response | None:
    """402 when the account cannot pay for `most` tokens of answer, 403 when the key's own limit is used up."""
    remaining = providers.meter.remaining(key)
    if remaining is not None and remaining <= 0:
        kind = f"{key.limit_reset or 'total'} limit"
        return refuse(403, f"Key limit exceeded ({kind}). Manage it using https://openrouter.ai/settings/keys")
    balance = providers.meter.balance()
    if balance <= 0:
        return refuse(402, user=OWNER)
    affordable = int(balance * MILLION / providers.terms.price.output)
    if affordable < most:
        text = "This request requires more credits, or fewer max_tokens."
        return refuse(402, f"{text} You requested up to {most} tokens, but can only afford {affordable}.", user=OWNER)
    return None


class Money:
    """The money endpoints of one account."""

    def __init__(self, providers: Providers) -> None:
        self.providers = providers
        self.meter = providers.meter

    async def key(self, request: Request) -> Response:
        """What a key may know of itself; its hash is not part of it."""
        record, refusal = caller(self.providers, request)
        if record is None:
            return refusal or refuse(401)
        shown = self._item(record)
        own = {name: shown[name] for name in shown if name in _OF_ITSELF or "usage" in name}
        more = {"is_free_tier": record.free_tier, "is_management_key": record.management}
        return JSONResponse({"data": own | more | {"rate_limit": {"requests": -1, "interval": "10s"}}})

    async def keys(self, request: Request) -> Response:
        refusal = self._manager(request)
        if refusal is not None:
            return refusal
        disabled = request.query_params.get("include_disabled", "").lower() == "true"
        first = int(request.query_params.get("offset", 0))
        shown = [each for each in reversed(self.meter.keys) if not each.management and (disabled or not each.disabled)]
        return JSONResponse({"data": [self._item(each) for each in shown[first : first + 100]]})

    async def create(self, request: Request) -> Response:
        refusal = self._manager(request)
        if refusal is not None:
            return refusal
        wanted = await _body(request)
        if not wanted.get("name") or set(wanted) - CHANGEABLE - {"expires_at"} or _bad_limit(wanted):
            return refuse(400)
        record = self.meter.create(**wanted)
        self.providers.save()
        return JSONResponse({"data": self._item(record), "key": record.value}, 201)

    async def one(self, request: Request) -> Response:
        refusal = self._manager(request)
        record = self.meter.by_hash(request.path_params["hash"])
        if refusal is not None or record is None:
            return refusal or refuse(404)
        if request.method == "DELETE":
            self.meter.keys.remove(record)
            self.providers.save()
            return JSONResponse({"deleted": True})
        if request.method == "PATCH":
            wanted = await _body(request)
            if set(wanted) - CHANGEABLE or _bad_limit(wanted):
                return refuse(400)
            record = self.meter.put(record, **wanted)
            self.providers.save()
        return JSONResponse({"data": self._item(record)})

    async def credits(self, request: Request) -> Response:
        refusal = self._manager(request)
        if refusal is not None:
            return refusal
        totals = {"total_credits": float(self.meter.credit), "total_usage": float(self.meter.spent())}
        return JSONResponse({"data": totals})

    async def activity(self, request: Request) -> Response:
        """The last 30 completed UTC days, one row per day and model."""
        refusal = self._manager(request)
        if refusal is not None:
            return refusal
        try:
            days = self._days(request.query_params.get("date"))
        except ValueError:
            return refuse(400, "Date must be within the last 30 (completed) UTC days")
        wanted = request.query_params.get("api_key_hash")
        rows = [row for row in self.meter.booked() if row.day in days and wanted in (None, row.key)]
        merged: dict[tuple[str, str], dict[str, Any]] = {}
        for row in rows:
            shown = merged.setdefault((row.day, row.model), _activity(row.day, row.model))
            shown["usage"] = float(Decimal(str(shown["usage"])) + row.usage)
            for name in ("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens"):
                shown[name] += getattr(row, name)
        return JSONResponse({"data": [merged[each] for each in sorted(merged, reverse=True)]})

    def _days(self, wanted: str | None) -> set[str]:
        today = self.meter.clock().date()
        first = 0 if self.providers.terms.activity_today else 1
        days = {(today - timedelta(days=back)).isoformat() for back in range(first, 31)}
        if wanted is None:
            return days
        if date.fromisoformat(wanted).isoformat() not in days:
            raise ValueError(wanted)
        return {wanted}

    def _manager(self, request: Request) -> Response | None:
        record, refusal = caller(self.providers, request)
        if record is not None and not record.management:
            return refuse(403, ONLY_MANAGEMENT)
        return refusal

    def _item(self, key: Key) -> dict[str, Any]:
        spent = {"usage": self.meter.spent(key)}
        for period in ("daily", "weekly", "monthly"):
            spent[f"usage_{period}"] = self.meter.spent(key, self.meter.window(period))
        remaining = self.meter.remaining(key)
        return {
            "hash": key.hash,
            "name": key.name,
            "label": key.label,
            "disabled": key.disabled,
            "limit": key.limit,
            "limit_remaining": None if remaining is None else float(max(remaining, Decimal(0))),
            "limit_reset": key.limit_reset,
            "include_byok_in_limit": key.include_byok_in_limit,
            **{name: float(value) for name, value in spent.items()},
            **{f"byok_{name}": 0.0 for name in spent},
            "created_at": key.created_at,
            "updated_at": key.updated_at,
            "expires_at": key.expires_at,
            "creator_user_id": OWNER,
            "workspace_id": "default",
        }


_OF_ITSELF = frozenset(
    {"label", "limit", "limit_remaining", "limit_reset", "include_byok_in_limit", "creator_user_id", "expires_at"}
)


def _activity(day: str, model: str) -> dict[str, Any]:
    """An empty row; the day carries a midnight, as it is seen in the wild."""
    counts = dict.fromkeys(("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens"), 0)
    names = {"date": f"{day} 00:00:00", "model": model, "model_permaslug": model, "provider_name": "Novita"}
    return {**names, "endpoint_id": "sandbox", "usage": 0.0, "byok_usage_inference": 0.0, **counts}


async def _body(request: Request) -> dict[str, Any]:
    try:
        content = await request.json()
    except ValueError:
        return {"": None}
    return content if isinstance(content, dict) else {"": None}


def _bad_limit(wanted: dict[str, Any]) -> bool:
    limit = wanted.get("limit")
    wrong = limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0)
    return wrong or wanted.get("limit_reset") not in RESETS
