"""What a deployment writes while it goes on: records in the ledger, and a journal on this machine."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base.command import inv
from migration.base.errors import Unfinished, Unreachable
from migration.base.failpoint import failpoint
from migration.base.filename import filename
from migration.base.files import keep_newest

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment, History
    from migration.ledger.lock import LockHold

Record = dict[str, Any]
CONFIRMED = 10.0  # the oldest confirmed renewal with which a changing request is sent
MARGIN = 1.0  # seconds between the end of a request and the moment from which others may take the lock over
KEPT = 20  # journals on this machine, of the newest deployments
_JOURNALS = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}\.jsonl")  # named by `new_id`


class Journal:
    """One deployment's file, `.cutover/journal/<environment>/<deployment>.jsonl`. Safe from several threads."""

    def __init__(self, state: Path, environment: str, deployment: str) -> None:
        self.path = state / "journal" / environment / f"{filename(deployment, 'The deployment id')}.jsonl"
        self._guard, self._syncing = threading.Lock(), threading.Lock()
        self._handle: FileIO | None = None
        self._written = self._synced = 0

    def sending(self, slugs: Sequence[str]) -> None:
        """Uploads of these functions are about to leave."""
        failpoint("journal.sending")
        self._append({"sending": list(slugs)})

    def answered(self, slug: str, answer: dict[str, Any]) -> None:
        """The platform's answer to staging, kept word for word: activation needs it."""
        failpoint("journal.answered")
        self._append({"answered": slug, "answer": answer})
        failpoint("journal.answered.after")

    def sent(self) -> set[str]:
        return {slug for line in self._lines() for slug in line.get("sending", ())}

    def answers(self) -> dict[str, dict[str, Any]]:
        """The newest answer of each function."""
        return {line["answered"]: line["answer"] for line in self._lines() if "answered" in line}

    def exists(self) -> bool:
        return self.path.exists()

    def _append(self, line: dict[str, Any]) -> None:
        """Write, then sync. Answers come all at once, so whoever syncs does it for all that have been written."""
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._guard:
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                keep_newest(self.path.parent, _JOURNALS, KEPT)
                self._handle = self.path.open("ab", buffering=0)
            self._handle.write(data)
            self._written += 1
            mine = self._written
        with self._syncing:
            if self._synced < mine:
                upto = self._written
                os.fsync(self._handle.fileno())
                self._synced = upto

    def _lines(self) -> list[dict[str, Any]]:
        """Every whole line; a torn last one, cut by a kill or a full disk, is not there."""
        try:
            text = self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.split("\n")[:-1] if _whole(line)]


def _whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def new_id(now: datetime) -> str:
    """A deployment's id: when it began (UTC), and four hex digits that keep two apart."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def require_ledger(context: Context) -> None:
    """Raises unless the ledger was just read from the remote: what this clone last knew may be older."""
    if outage := context.ledger.outage:
        text = f"Nothing was changed: the ledger could not be read again. {outage.message}"
        raise Unreachable(text, *(outage.steps or (inv("status"),)))


def begin(context: Context, deployment: str, lock: LockHold, history: History) -> Recording:
    """The records of a deployment that acts on this history, read under the lock."""
    require_ledger(context)
    return Recording(context, deployment, lock, history)


@dataclass(frozen=True)
class Recording:
    """The records of one deployment. `lock` is None only for a rollback with --without-lock."""

    context: Context
    deployment: str
    lock: LockHold | None
    history: History
    restores: bool = False
    _written: list[Record] = field(default_factory=list, repr=False, compare=False)

    @property
    def journal(self) -> Journal:
        return Journal(self.context.state, self.context.environment.name, self.deployment)

    def restoring(self) -> Recording:
        return replace(self, restores=True)

    def staged(self, answers: Sequence[Mapping[str, Any]], lost: Sequence[str]) -> None:
        """One record with all staging answers, before the activation."""
        failpoint("record.staged")
        record: Record = {"record": "staged", "deployment": self.deployment, "restoring": self.restores}
        self._append({**record, "answers": [dict(answer) for answer in answers], "perhaps_stranded": list(lost)})
        failpoint("record.staged.after")

    def intent(self, record: Record) -> None:
        """Before the first change."""
        failpoint("record.intent")
        whole = {"record": "intent", "deployment": self.deployment, **record}
        self._written.append(self._append(whole) or whole)
        failpoint("record.intent.after")

    def begun(self) -> Deployment:
        """The deployment as its intent describes it."""
        deployment = self.history.plus(self._written).find(self.deployment)
        if deployment is None:
            raise Unfinished("The ledger has lost the record of this deployment.", inv("status"))
        return deployment

    def outcome(self, record: Record) -> None:
        """What has already happened: it is kept in a file where the ledger cannot be written. Releases the lock."""
        failpoint("record.outcome")
        whole = {"record": "outcome", "deployment": self.deployment, **record}
        lost = self.lock is None or self.lock.lost
        self.context.ledger.keep(whole, release=not lost)
        failpoint("record.outcome.after")

    def confirm(self) -> float:
        """Raises unless the lock was surely ours within the last 10 seconds. Returns the seconds that a request may
        take, so that it has ended before the lock can be stale for others; without the lock, any."""
        if self.lock is None:
            return math.inf
        self.lock.fresh(CONFIRMED)
        return 3 * self.lock.heartbeat - self.lock.confirmed_age() - MARGIN

    def explained(self, slug: str) -> bool:
        """Whether an earlier deployment of ours left, or may have left, a staged version of this function."""
        return bool(self.left_by(slug)) or self._own(slug)

    def left_by(self, slug: str) -> str:
        """The newest earlier deployment that left, or may have left, a staged version of this function."""
        earlier = [one for one in self.history.deployments if one.id != self.deployment]
        return next((one.id for one in reversed(earlier) if left_waiting(one, slug)), "")

    def _own(self, slug: str) -> bool:
        """This very deployment, begun by a process that died."""
        mine = self.history.find(self.deployment)
        return mine is not None and mine.change(slug) is not None

    def _append(self, record: Record) -> Record | None:
        return self.context.ledger.append(record)


def left_waiting(deployment: Deployment, slug: str) -> bool:
    """Ended without activating what it staged of this function, or without saying whether it staged anything."""
    if slug in deployment.perhaps_stranded:
        return True
    staged = next((answer["version"] for answer in deployment.answers if answer.get("slug") == slug), None)
    change = deployment.change(slug)
    after = change.after.get("version") if change and change.after else None
    if staged is not None:
        return deployment.interrupted and (after is None or after < staged)
    return deployment.interrupted and change is not None


@dataclass(frozen=True)
class LocklessRecording(Recording):
    """Records of a rollback that goes without the lock: what cannot be pushed now waits in an emergency file."""

    reason: str = ""

    def intent(self, record: Record) -> None:
        super().intent({**record, "without_lock": self.reason})

    def _append(self, record: Record) -> None:
        self.context.ledger.keep(record)
