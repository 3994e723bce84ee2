"""Proof of a rollback: an answer from the restored version everywhere, and one line of the old route in its logs.

The old route is the flaky one: its smoke results are shown, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError
from migration.logs import logs
from migration.logs.reader import LogReader
from migration.verify import proof, smoke

if TYPE_CHECKING:
    from migration.context import Context

_PATIENCE = 120.0
SIGNAL = "old_route"


@dataclass(frozen=True)
class Shown:
    """`verdict` is pass, fail or inconclusive; `why` is empty when it passed."""

    verdict: str
    details: Mapping[str, Any]
    why: str = ""
    notes: tuple[str, ...] = ()


def prove(context: Context, restored: Mapping[str, tuple[str, int]], since: datetime) -> Shown:
    """Looks until it is seen or time is up. `restored`: slug to (function id, version). Never raises for an outage."""
    if not restored:
        return Shown("pass", {})
    context.observer.step("proof")
    try:
        alive = proof.prove(context, restored, LogReader.of(context))
    except CutoverError as error:
        return Shown("inconclusive", {}, f"Whether the restored code answers could not be seen: {error.message}")
    details: dict[str, Any] = {"proof": alive.as_json()}
    if alive.verdict == "fail":
        return Shown("fail", details, f"The restored code does not answer: {alive.why}.")
    notes = _smoke(context, restored, details)
    if alive.verdict != "pass":
        return Shown("inconclusive", details, f"Not proven yet: {alive.why}. Type: inv status", notes)
    seen = _old_route(context, restored, since)
    details[SIGNAL] = seen
    if seen is False:
        return Shown("inconclusive", details, "No line of the old route was seen in time. Type: inv logs", notes)
    context.observer.done("proof")
    return Shown("pass", details, "", notes)


def _smoke(context: Context, restored: Mapping[str, Any], details: dict[str, Any]) -> tuple[str, ...]:
    """The cases of the functions put back: they also make the traffic that the old route's line comes from."""
    names = [case.name for case in context.config.smoke if case.function in restored]
    if not names:
        return ()
    try:
        found = smoke.run(context, cases=names)
    except CutoverError as error:
        return (f"The smoke cases could not be run: {error.message}",)
    good = sum(case.ok for case in found.cases)
    details["smoke"] = [{"name": case.name, "ok": case.ok, "status": case.status} for case in found.cases]
    return (f"{good} of {len(found.cases)} smoke cases pass on the old code (they decide nothing here).",)


def _old_route(context: Context, restored: Mapping[str, tuple[str, int]], since: datetime) -> bool | None:
    """Whether a line of the old route came from a restored version; None where the config names no such signal."""
    carried = tuple(slug for slug in restored if slug in context.config.migration.functions)
    if SIGNAL not in context.config.signals or not carried:
        return None
    clock, wait = context.clock, 0.5
    end = clock.monotonic() + min(context.config.gate.within, _PATIENCE)
    while True:
        if any(event.version == restored[event.function][1] for event in _lines(context, carried, since)):
            return True
        if clock.monotonic() + wait > end:
            return False
        clock.sleep(wait)
        wait = min(wait * 1.6, 10.0)


def _lines(context: Context, functions: tuple[str, ...], since: datetime) -> list[logs.Event]:
    try:
        found = logs.history(context, logs.Query(since=since, functions=functions, signal=SIGNAL))
        return [event for event in found if event.function in functions]
    except CutoverError:
        return []
