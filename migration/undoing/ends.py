"""Records of a rollback that are not its own: those that go without the lock, and the end of what was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.common.failpoint import failpoint
from migration.release.recorder import Record, Recording

if TYPE_CHECKING:
    from migration.context import Context
    from migration.release.recovery import Recovery


@dataclass(frozen=True)
class Unlocked(Recording):
    """Records of a rollback that goes without the lock: what cannot be pushed now waits in an emergency file."""

    reason: str = ""

    def intent(self, record: Record) -> None:
        super().intent({**record, "without_lock": self.reason})

    def _append(self, record: Record) -> None:
        self.context.ledger.keep(record, failures=2)


def close(context: Context, pending: Recovery, outcome: str, message: str) -> None:
    """Put the end of an interrupted deployment on record; what it may have left staged stays known."""
    name, lost = pending.deployment.id, pending.perhaps_stranded
    if lost:
        context.ledger.keep({"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": lost})
    failpoint("record.close")
    context.ledger.keep({"record": "outcome", "deployment": name, "outcome": outcome, "message": message})
    failpoint("record.close.after")
