"""Reading a long ledger fast: what this machine has read before is kept in a file, and only the rest comes from git."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from migration.base import durable
from migration.git.repository import Repository
from migration.ledger import chain
from migration.ledger.chain import Record

MANY = 500  # records that git has to tell before the file is worth writing again


class Reading:
    """The records of one chain, oldest first, each once. `file` is a cache: whatever is wrong with it, git is asked."""

    def __init__(self, repository: Repository, file: Path) -> None:
        self.repository = repository
        self.file = file
        self._tip: str | None = None
        self._records: list[Record] = []
        self._kept = 0

    def upto(self, tip: str | None) -> list[Record]:
        """All records up to `tip`; what this process has read before is not read again."""
        if tip is None:
            return []
        if tip != self._tip:
            with _no_collection():
                self._read(tip)
        return list(self._records)

    def _read(self, tip: str) -> None:
        if self._tip is None:
            self._tip, self._records = self._stored()
            self._kept = len(self._records)
        if self._tip is None or not self.repository.is_ancestor(self._tip, tip):
            self._records, self._kept = chain.read(self.repository, tip), 0
        elif self._tip != tip:
            ids = {record["id"] for record in self._records}
            newer = chain.read(self.repository, tip, since=self._tip)
            self._records = [*self._records, *(record for record in newer if record["id"] not in ids)]
        self._tip = tip
        if len(self._records) - self._kept >= MANY:
            self._store()

    def _stored(self) -> tuple[str | None, list[Record]]:
        """What the file holds, if that is what was written into it."""
        with contextlib.suppress(OSError, ValueError):
            head, _, body = self.file.read_bytes().partition(b"\n")
            tip, digest = head.decode().split(" ")
            if hashlib.sha256(body).hexdigest() == digest and self.repository.revision(tip):
                return tip, json.loads(body)
        return None, []

    def _store(self) -> None:
        body = json.dumps(self._records, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        head = f"{self._tip} {hashlib.sha256(body).hexdigest()}\n".encode()
        with contextlib.suppress(OSError):  # a cache that cannot be written is no reason to stop
            durable.write(self.file, head + body, sync=False)
            self._kept = len(self._records)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Thousands of new objects and no garbage: looking for some takes as long as reading them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
