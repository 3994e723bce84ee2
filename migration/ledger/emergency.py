"""Queued records: those that could not be pushed, a file each, until a later command pushes them to the ledger."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from migration.base import durable
from migration.base.failpoint import failpoint
from migration.ledger.chain import Record, encode


class Emergency:
    """The queued records of one environment on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, record: Record) -> Path:
        """Write the record to a file of its own, synced."""
        path = self.folder / f"{record['at'].replace(':', '')}-{record['id']}.json"
        failpoint("emergency.save")
        durable.write(path, encode(record).encode())
        failpoint("emergency.saved")
        return path

    def waiting(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def records(self) -> list[Record]:
        """The queued records, oldest first; a file that cannot be read is skipped."""
        found = []
        for path in self.waiting():
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(path.read_bytes())
                if isinstance(record, dict) and "id" in record and "record" in record:
                    found.append(record)
        return found

    def deliver(self, known: Callable[[], Sequence[Record]], write: Callable[[Sequence[Record]], None]) -> int:
        """Write the records that are not known yet and delete the files; returns how many records were written."""
        if not self.waiting():
            return 0
        with self._claim() as waiting:
            there = {record["id"] for record in known()}
            late = [record for record in waiting if record["id"] not in there]
            if late:
                write(late)
            self._clear(waiting)
            return len(late)

    @contextlib.contextmanager
    def _claim(self) -> Iterator[list[Record]]:
        """The records, while no other process of this machine pushes them too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self.records()

    def _clear(self, records: Sequence[Record]) -> None:
        """Delete the files of records that are in the ledger now."""
        failpoint("emergency.pushed")
        known = {record["id"] for record in records}
        for path in self.waiting():
            with contextlib.suppress(OSError, ValueError):
                if json.loads(path.read_bytes()).get("id") in known:
                    path.unlink()
