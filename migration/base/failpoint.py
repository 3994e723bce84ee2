"""Places where a test can kill the process: before and after every step that must survive it.

`CUTOVER_FAILPOINT=name[:n][=kill|raise|sleep]` acts at the n-th visit (1 when left out; kill when left out).
The name `*` stands for every visit to any of them. Unset, a failpoint does nothing at all.
"""

from __future__ import annotations

import os
import signal
import time

# Every name that the code visits; a test holds that the two agree.
NAMES: tuple[str, ...] = (
    "lock.take",
    "lock.taken",
    "record.lift",
    "record.lift.after",
    "record.close",
    "record.close.after",
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
    "settle.send",
    "settle.sent",
    "deploy.send",
    "deploy.sent",
    "delete.send",
    "delete.sent",
    "gate",
    "gate.after",
    "record.outcome",
    "record.outcome.after",
    "revert.make",
    "revert.tree",
    "revert.made",
    "revert.push",
    "revert.pushed",
    "rollback.outcome",
    "rollback.outcome.after",
    "record.git",
    "record.git.after",
    "emergency.save",
    "emergency.saved",
    "emergency.pushed",
    "lock.give",
    "lock.given",
)
_visits: dict[str, int] = {}


def failpoint(name: str) -> None:
    wanted = os.environ.get("CUTOVER_FAILPOINT")
    if not wanted:
        return
    where, _, action = wanted.partition("=")
    target, _, nth = where.partition(":")
    if target not in (name, "*"):
        return
    _visits[name] = _visits.get(name, 0) + 1
    if target == "*" or _visits[name] == int(nth or 1):
        _act(action or "kill", name)


def _act(action: str, name: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "sleep":
        time.sleep(3600)
    else:
        raise OSError(28, f"No space left on device (failpoint {name})")
