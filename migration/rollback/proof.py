"""Proof of a rollback: an answer from the restored version everywhere, and one line of the old route in its logs.

The old route is the flaky one: its smoke results are shown, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration.base.command import Step, inv
from migration.base.errors import CutoverError
from migration.clients.edge import Purpose
from migration.logs import logs
from migration.verify import described, rounds

if TYPE_CHECKING:
    from migration.context import Context

_PATIENCE = 120.0  # seconds for a line of the old route
SIGNAL = "old_route"
Restored = Mapping[str, tuple[str, int]]  # slug to (function id, live version)


@dataclass(frozen=True)
class RollbackProof:
    """`verdict` is pass, fail or inconclusive; `why` is empty when it passed, and `steps` are what to type."""

    verdict: str
    details: Mapping[str, Any]
    why: str = ""
    notes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


def prove(
    context: Context, restored: Restored, since: datetime, base: bool = True, strangers: Collection[str] = ()
) -> RollbackProof:
    """Sends the smoke cases of the restored functions, once each, and waits for their log rows. Never raises for an
    outage: that is inconclusive. Their traffic also brings the line of the old route.

    `base`: the restored code is the one from before the migration; after a hotfix it is not, and has the new route.
    `strangers`: functions whose restored code was deployed outside Cutover, and need not log the old route.
    """
    if not restored:
        return RollbackProof("pass", {})
    context.observer.step("proof")
    code = described.BEFORE if base else described.AFTER
    names = described.named(context.config.smoke, restored, code)
    try:
        sent = rounds.run(context, restored, names, Purpose.ROLLBACK, tolerated=names)
    except CutoverError as error:
        return RollbackProof("inconclusive", {}, f"Not proven: {error.message}", steps=(inv("status"),))
    alive, cases = sent.proof, sent.smoke.cases
    details: dict[str, Any] = {"proof": alive.as_json()}
    if alive.verdict == "fail":
        return RollbackProof("fail", details, f"The restored code does not answer: {alive.why}.")
    notes: tuple[str, ...] = ()
    if cases:
        details["smoke"] = [{"name": case.name, "ok": case.ok, "status": case.status} for case in cases]
        passed = sum(case.ok for case in cases)
        notes = (f"{passed} of {len(cases)} smoke cases pass on the old code (they decide nothing here).",)
    if alive.verdict != "pass":
        return RollbackProof("inconclusive", details, f"Not proven yet: {alive.why}.", notes, (inv("status"),))
    details[SIGNAL] = _old_route(context, restored, since, strangers) if base else None
    if details[SIGNAL] is False:
        why = "Not proven yet: no log line of the old route (they can arrive minutes late)."
        return RollbackProof("inconclusive", details, why, notes, (inv("logs", signal=SIGNAL),))
    context.observer.done("proof")
    return RollbackProof("pass", details, "", notes)


def _old_route(context: Context, restored: Restored, since: datetime, strangers: Collection[str]) -> bool | None:
    """Whether a line of the old route came from a restored version; None where none is due."""
    own = context.config.migration.functions
    carried = tuple(slug for slug in restored if slug in own and slug not in strangers)
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
        events = logs.history(context, logs.LogQuery(since=since, functions=functions, signal=SIGNAL))
        return [event for event in events if event.function in functions]
    except CutoverError:
        return []
