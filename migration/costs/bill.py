"""What the provider says it charged, by UTC day: activity for completed days, the key's own usage for today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError

if TYPE_CHECKING:
    from migration.clients.openrouter import Activity, KeyInfo
    from migration.context import Context

REPORTED_DAYS = 30  # completed days that the provider reports (https://openrouter.ai/docs/api-reference/analytics)


@dataclass(frozen=True)
class Bill:
    """USD for whole UTC days from `since` to `until` inclusive; None where the provider does not report it.

    `requests` and `tokens` are of completed days, today has none yet; `tokens_cost` is what those tokens cost.
    `others` is what the same account spent on other models, on days that activity covers.
    """

    since: date
    until: date
    cost: float | None = None
    month: float | None = None
    requests: int | None = None
    tokens: int | None = None
    tokens_cost: float = 0.0
    others: float = 0.0
    basis: str = ""
    notes: tuple[str, ...] = field(default=())


def read(context: Context, model: str, since: date, today: date) -> Bill:
    """The bill for the days from `since` to `today`. A provider that cannot be asked gives a bill with notes only."""
    try:
        provider = context.provider
        key = provider.key()
        if since == today:
            return Bill(since, today, key.usage_daily, key.usage_monthly, basis="the key's usage today")
        if provider.manages:
            return _by_activity(key, provider.activity(), model, since, today)
        return _by_key(key, since, today)
    except CutoverError as error:
        return Bill(since, today, notes=(f"could not read the provider's figure: {error.message}",))


def _by_activity(key: KeyInfo, rows: Sequence[Activity], model: str, since: date, today: date) -> Bill:
    inside = [row for row in rows if since <= row.day < today]
    own = [row for row in inside if row.model.startswith(model)]
    if since < today - timedelta(days=REPORTED_DAYS):
        return Bill(
            since, today, None, key.usage_monthly, notes=(f"the provider reports only the last {REPORTED_DAYS} days",)
        )
    return Bill(
        since,
        today,
        sum(row.usage for row in own) + (key.usage_daily or 0.0),
        key.usage_monthly,
        sum(row.requests for row in own),
        sum(row.prompt_tokens + row.completion_tokens for row in own),
        sum(row.usage for row in own),
        sum(row.usage for row in inside) - sum(row.usage for row in own),
        "activity of completed days and the key's usage today",
    )


def _by_key(key: KeyInfo, since: date, today: date) -> Bill:
    """Without a management key, the key's own week and month."""
    if since == today - timedelta(days=today.weekday()):
        return Bill(since, today, key.usage_weekly, key.usage_monthly, basis="the key's usage this week")
    if since == today.replace(day=1):
        return Bill(since, today, key.usage_monthly, key.usage_monthly, basis="the key's usage this month")
    note = "without a management key the provider reports only today, this week and this month"
    return Bill(since, today, None, key.usage_monthly, notes=(note,))
