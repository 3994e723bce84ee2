"""Queued records: those that could not be pushed, a file each, until a later command pushes them to the ledger."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from migration.base import durable
from migration.base.clock import Clock
from migration.base.durations import show
from migration.base.errors import ServiceFailed
from migration.base.failpoint import failpoint
from migration.base.filename import filename
from migration.ledger.chain import encode
from migration.ledger.records import Record, parse

PATIENCE = 10.0  # seconds to wait for another process that pushes the same records


class QueueBusy(ServiceFailed):
    """Another process of this machine is pushing the queued records and does not finish."""


class Emergency:
    """The queued records of one environment on this machine."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock = clock or Clock()

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
        queued = {}
        for path in self.waiting():
            with contextlib.suppress(OSError):
                record = parse(path.read_bytes(), "")
                if record["record"] != "unreadable" and record["id"]:
                    queued[path] = record
        return queued

    def deliver(self, known: Callable[[], Sequence[Mapping[str, Any]]], write: Callable[[Sequence[Record]], None],
                patience: float = PATIENCE) -> int:  # fmt: skip
        """Write the records that are not known yet and delete the files; returns how many records were written.

        QueueBusy when another process has been at it for longer than `patience` seconds: it may be suspended.
        """
        if not self.waiting():
            return 0
        with self._claim(patience) as waiting:
            there = {record["id"] for record in known()}
            late = [record for record in waiting if record["id"] not in there]
            if late:
                write(late)
            self._clear(waiting)
            return len(late)

    @contextlib.contextmanager
    def _claim(self, patience: float) -> Iterator[list[Record]]:
        """The records, while no other process of this machine pushes them too."""
        with (self.folder / "lock").open("a+") as handle:
            until = self.clock.monotonic() + patience
            while not _locked(handle):
                if self.clock.monotonic() >= until:
                    raise QueueBusy(_busy(handle, patience))
                self.clock.sleep(0.1)
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield self.records()

    def _clear(self, records: Sequence[Record]) -> None:
        """Delete the files of records that are in the ledger now."""
        failpoint("emergency.pushed")
        known = {record["id"] for record in records}
        for path, record in self._read().items():
            if record["id"] in known:
                path.unlink(missing_ok=True)


def _locked(handle: IO[str]) -> bool:
    """Whether the lock on the file is ours now; the kernel releases it when its process ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(handle: IO[str], patience: float) -> str:
    handle.seek(0)
    pid = handle.read(20).strip()
    who = f"Process {pid}" if pid.isdecimal() else "Another process"
    return f"{who} is still pushing the queued records after {show(patience)}; it may be suspended. They stay queued."
