"""What the provider booked on our key since a moment, from readings of its counters that each run leaves behind."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migration.clients.openrouter import KeyInfo
    from migration.context import Context

_KEPT = 500


def read(context: Context) -> KeyInfo:
    """The key's counters now; the reading is kept, so that a later run can tell what was booked since."""
    info = context.provider.key()
    known = [*_readings(context), (context.clock.now(), info.usage, info.label)]
    path = _file(context)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps([(at.isoformat(), spent, label) for at, spent, label in known[-_KEPT:]]))
        new.replace(path)
    return info


def since(context: Context, start: datetime) -> tuple[float, str]:
    """(USD, where from) booked in a span that covers start to now, as tight as the readings allow."""
    known = _readings(context)
    info = read(context)
    earlier = [(at, spent) for at, spent, label in known if at <= start and label == info.label]
    if earlier:
        at, spent = earlier[-1]
        return max(info.usage - spent, 0.0), f"since our reading of {at:%H:%M:%S} UTC"
    now = context.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spans = (
        (midnight, info.usage_daily, "today, UTC"),
        (midnight - timedelta(days=now.weekday()), info.usage_weekly, "this week"),
        (midnight.replace(day=1), info.usage_monthly, "this month"),
    )
    for begins, spent_, words in spans:
        if begins <= start and spent_ is not None:
            return spent_, words
    return info.usage, "in the key's lifetime"


def _file(context: Context) -> Path:
    return context.state / "usage" / f"{context.environment.name}.json"


def _readings(context: Context) -> list[tuple[datetime, float, str]]:
    """(when, USD since ever, the key's label), oldest first."""
    try:
        found = json.loads(_file(context).read_text())
        return [(datetime.fromisoformat(at), float(spent), str(label)) for at, spent, label in found]
    except (OSError, ValueError, TypeError):
        return []
