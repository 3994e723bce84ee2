"""Records of a rollback that are not its own: those that go without the lock, and the end of what was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.failpoint import failpoint
from migration.deploy import recorder, recovery
from migration.deploy.recorder import Record, Recording
from migration.deploy.recovery import Recovery

if TYPE_CHECKING:
    from migration.context import Context


@dataclass(frozen=True)
class Unlocked(Recording):
    """Records of a rollback that goes without the lock: what cannot be pushed now waits in an emergency file."""

    reason: str = ""

    def intent(self, record: Record) -> None:
        super().intent({**record, "without_lock": self.reason})

    def _append(self, record: Record) -> None:
        self.context.ledger.keep(record)


def abandon(context: Context, pending: Recovery, wait: float) -> None:
    """Close what went nowhere, after another look under the lock; Unfinished when it went somewhere meanwhile."""
    with context.lock.held("closing an interrupted deployment", wait, pending.deployment.id):
        live = {function.slug: function for function in context.supabase.functions()}
        found = recovery.look(context, context.ledger.history(), live)
        recorder.heard(context)
        if found is not None and found.verdict != "abandoned":
            raise found.unfinished()
        if found is not None:
            close(context, found, "abandoned", "nothing of it had gone live")


def close(context: Context, pending: Recovery, outcome: str, message: str) -> None:
    """Put the end of an interrupted deployment on record; what it may have left staged stays known."""
    name, lost = pending.deployment.id, pending.perhaps_stranded
    if lost:
        context.ledger.keep({"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": lost})
    failpoint("record.close")
    context.ledger.keep({"record": "outcome", "deployment": name, "outcome": outcome, "message": message})
    failpoint("record.close.after")
