"""The ledger as git keeps it: a chain of empty-tree commits, one JSON record in each message.

`git log --format=%s refs/cutover/ledger/prod` reads it without Cutover.

`ChainReader` caches what this machine has read, so that only newer records come from git.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from migration.base import durable
from migration.base.secrets_type import mask
from migration.git.repository import Repository
from migration.ledger.records import Record, parse

MANY = 500  # new records before the cache file is worth writing again
FORM = "2"  # of the cache file; another one is read from git again


def encode(record: Record) -> str:
    """One line of JSON, with every known secret masked."""
    return mask(json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str))


def write(repository: Repository, records: Sequence[Record], parent: str | None, ending: str = "") -> str:
    """Write the records as commits on top of `parent`, oldest first; returns the new tip. No ref moves."""
    tip = parent
    for record in records:
        tip = repository.commit(encode(record) + "\n" + ending, parents=[tip] if tip else [])
    if tip is None:
        raise ValueError("there is no record to write")
    return tip


def read(repository: Repository, tip: str, since: str | None = None) -> list[Record]:
    """The records up to `tip`, oldest first, or those after `since`. A record is listed once."""
    commits = repository.git("rev-list", "--first-parent", tip, *([f"^{since}"] if since else []), "--").out
    batch = repository.git("cat-file", "--batch", "--buffer", stdin=commits, timeout=120.0).out
    unique: dict[str, Record] = {}
    for commit, message in reversed(_messages(batch)):
        record = parse(message, commit)
        unique.setdefault(record["id"], record)
    return list(unique.values())


def landed(repository: Repository, record: Record, since: str | None, tip: str) -> bool:
    """Whether the record stands in the chain up to `tip`; `since` is a commit from before it was written."""
    known = since if since and repository.is_ancestor(since, tip) else None
    return record["id"] in {one["id"] for one in read(repository, tip, since=known)}


def _messages(batch: bytes) -> list[tuple[str, bytes]]:
    """(commit, message) of each object in the answer of `cat-file --batch`."""
    found, position = [], 0
    while position < len(batch):
        end = batch.index(b"\n", position)
        commit, _, size = batch[position:end].partition(b" commit ")
        body = batch[end + 1 : end + 1 + int(size)]
        found.append((commit.decode(), body.partition(b"\n\n")[2]))
        position = end + 2 + int(size)
    return found


class ChainReader:
    """The records of one chain, oldest first, each once. `file` caches them; a damaged one is read from git again."""

    def __init__(self, repository: Repository, file: Path) -> None:
        self.repository = repository
        self.file = file
        self._tip: str | None = None
        self._records: list[Record] = []
        self._kept = 0

    def upto(self, tip: str | None) -> list[Record]:
        """All records up to `tip`; those this process has read are not read again."""
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
            self._records, self._kept = read(self.repository, tip), 0
        elif self._tip != tip:
            ids = {record["id"] for record in self._records}
            newer = read(self.repository, tip, since=self._tip)
            self._records = [*self._records, *(record for record in newer if record["id"] not in ids)]
        self._tip = tip
        if len(self._records) - self._kept >= MANY:
            self._store()

    def _stored(self) -> tuple[str | None, list[Record]]:
        """The cached tip and records, where the file is intact."""
        with contextlib.suppress(OSError, ValueError):
            head, _, body = self.file.read_bytes().partition(b"\n")
            tip, digest, form = head.decode().split(" ")
            if form == FORM and hashlib.sha256(body).hexdigest() == digest and self.repository.revision(tip):
                return tip, json.loads(body)
        return None, []

    def _store(self) -> None:
        body = json.dumps(self._records, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        head = f"{self._tip} {hashlib.sha256(body).hexdigest()} {FORM}\n".encode()
        with contextlib.suppress(OSError):  # reading works without the cache
            durable.write(self.file, head + body, sync=False)
            self._kept = len(self._records)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector: its passes over thousands of new records take as long as reading them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
