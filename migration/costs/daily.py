"""Daily totals in the ledger: costs of days that the platform no longer keeps logs of.

A record holds one completed UTC day of the migration's functions: {"record": "costs", "day", "functions": [{slug, …}]}.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError
from migration.costs.totals import Totals

if TYPE_CHECKING:
    from migration.context import Context

Day = Mapping[str, Totals]


def known(context: Context) -> dict[date, Day]:
    """What the ledger holds, by day and function; nothing where it cannot be read."""
    try:
        records = context.ledger.records()
    except (CutoverError, OSError):
        return {}
    days: dict[date, Day] = {}
    for record in records:
        if record.get("record") == "costs":
            days[date.fromisoformat(str(record["day"])[:10])] = _functions(record)
    return days


def _functions(record: Mapping[str, Any]) -> Day:
    return {str(row["slug"]): Totals.of(row) for row in record.get("functions") or []}


def keep(context: Context, days: Mapping[date, Day]) -> None:
    """Writes the days to the ledger. Where that fails the costs are still shown, with a warning."""
    if not days:
        return
    try:
        announced = context.ledger.announce()
        if announced:
            context.observer.note(announced)
        for day, functions in sorted(days.items()):
            rows = [{"slug": slug} | totals.record() for slug, totals in sorted(functions.items())]
            context.ledger.append({"record": "costs", "day": day.isoformat(), "functions": rows})
    except (CutoverError, OSError) as error:
        context.observer.warn(f"could not write the daily totals to the ledger: {error}")
