"""Queued records: those that could not be pushed, a file each, until a later command pushes them to the ledger."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from migration.base import durable
from migration.base.failpoint import failpoint
from migration.base.filename import filename
from migration.ledger.chain import encode
from migration.ledger.records import Record, parse


class Emergency:
    """The queued records of one environment on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, record: Record) -> Path:
        """Write the record to a file of its own, synced."""
        path = (
            self.folder
            / f"{filename(record['at'].replace(':', ''), 'the time')}-{filename(record['id'], 'the id')}.json"
        )
        failpoint("emergency.save")
        durable.write(path, encode(record).encode())
        failpoint("emergency.saved")
        return path

    def waiting(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def records(self) -> list[Record]:
        """The queued records, oldest first; a file that cannot be read is skipped."""
        return list(self._read().values())

    def _read(self) -> dict[Path, Record]:
        found = {}
        for path in self.waiting():
            with contextlib.suppress(OSError):
                record = parse(path.read_bytes(), "")
                if record["record"] != "unreadable" and record["id"]:
                    found[path] = record
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
        for path, record in self._read().items():
            if record["id"] in known:
                path.unlink(missing_ok=True)
