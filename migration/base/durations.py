"""Durations as people type them: 90s, 10m, 1h30m, 2d."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from migration.base.command import Do
from migration.base.errors import Refused

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|[dhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_MOST = 40  # characters
_LONGEST = 3660 * 86400.0
_USE = Do("use for example 30s, 10m or 24h")


def parse(text: str | int | float) -> float:
    """Seconds of a duration, 0 to ten years; a plain number is seconds. Refused for anything else."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return _bounded(text, str(text))
    plain = str(text).strip()
    if len(plain) > _MOST or not _WHOLE.fullmatch(plain):
        raise Refused(f"{_cut(str(text))!r} is not a duration.", _USE)
    return _bounded(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(plain)), plain)


def _bounded(seconds: float, text: str) -> float:
    if 0 <= seconds <= _LONGEST:
        return float(seconds)
    raise Refused(f"{_cut(text)!r} is not a duration between 0s and ten years.", _USE)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


def show(seconds: float) -> str:
    """As people write them: 0.4s, 12s, 3m20s, 5m, 2h05m, 24h, 3d4h; the rest is left out."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    whole = round(seconds)
    if whole < 3600:
        minutes, left = divmod(whole, 60)
        return f"{minutes}m{left:02d}s" if minutes and left else f"{minutes}m" if minutes else f"{left}s"
    hours, minutes = divmod(whole // 60, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    days, left = divmod(hours, 24)
    return f"{days}d{left}h" if left else f"{days}d"


def moment(text: str, now: datetime) -> datetime:
    """A point in time: a duration back from `now`, or an ISO date or timestamp (UTC unless it says otherwise)."""
    plain = text.strip()
    if _PART.match(plain) and not re.match(r"\d{4}-", plain):
        return now - timedelta(seconds=parse(plain))
    use = Do("use for example 2h or 2026-11-22T18:30Z")
    try:
        at = datetime.fromisoformat(plain[: _MOST + 1])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if len(plain) > _MOST:
            raise ValueError(plain)
        if at.year >= 1971 and at <= now + timedelta(days=366):
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(f"{_cut(text)!r} is neither a duration nor a time.", use) from None
    raise Refused(f"{_cut(text)!r} is not between 1971 and a year from now.", use)
