"""Durations as people type them: 90s, 10m, 1h30m, 2d."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from migration.errors import Refused

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


def parse(text: str | int | float) -> float:
    """Seconds of a duration; a plain number is seconds. Refuses anything else with an example."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    found = _PART.findall(str(text))
    if not found or "".join(number + unit for number, unit in found) != str(text).strip():
        raise Refused(f"{text!r} is not a duration", "write it like 90s, 10m, 1h30m or 2d")
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def show(seconds: float) -> str:
    """The shortest honest form: 0.4s, 12s, 3m20s, 2h05m, 3d4h."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{left:02d}s" if minutes else f"{left}s"


def moment(text: str, now: datetime) -> datetime:
    """A point in time: a duration back from `now`, or an ISO date or timestamp (UTC unless it says otherwise)."""
    if _PART.match(text.strip()) and not re.match(r"\d{4}-", text.strip()):
        return now - timedelta(seconds=parse(text))
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refused(f"{text!r} is neither a duration nor a time", "write it like 2h or 2026-11-22T18:30Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
