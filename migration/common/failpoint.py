"""Places where a test can pull the plug: before and after every step that must survive it.

`CUTOVER_FAILPOINT=name[:n][=kill|raise|sleep]` acts at the n-th visit (1 when left out; kill when left out).
Unset, a failpoint does nothing at all.
"""

from __future__ import annotations

import os
import signal
import time

# Every name that the code visits; a test holds that the two agree.
NAMES: tuple[str, ...] = (
    "snapshot.keep",
    "snapshot.kept",
    "record.intent",
    "record.intent.after",
    "journal.sending",
    "stage.send",
    "journal.answered",
    "journal.answered.after",
    "record.staged",
    "record.staged.after",
    "activate.send",
    "activate.sent",
    "deploy.send",
    "deploy.sent",
    "delete.send",
    "delete.sent",
    "gate",
    "gate.after",
    "record.outcome",
    "record.outcome.after",
    "revert.make",
    "revert.made",
    "revert.push",
    "revert.pushed",
    "rollback.outcome",
    "rollback.outcome.after",
)
_visits: dict[str, int] = {}


def failpoint(name: str) -> None:
    wanted = os.environ.get("CUTOVER_FAILPOINT")
    if not wanted:
        return
    where, _, action = wanted.partition("=")
    target, _, nth = where.partition(":")
    if target != name:
        return
    _visits[name] = _visits.get(name, 0) + 1
    if _visits[name] == int(nth or 1):
        _act(action or "kill", name)


def _act(action: str, name: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "sleep":
        time.sleep(3600)
    else:
        raise OSError(28, f"No space left on device (failpoint {name})")
