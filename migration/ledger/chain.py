"""The ledger as git keeps it: a chain of empty-tree commits, one JSON record in each message.

`git log --format=%s refs/cutover/ledger/prod` reads it without Cutover.

`ChainReader` caches what this machine has read, so that only newer records come from git.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import mmap
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from migration.base import durable
from migration.base.secrets_type import mask
from migration.git import messages
from migration.git.repository import Repository
from migration.ledger.deployments import History, LazySequence, Summary
from migration.ledger.records import Record, oversized, parse

PORTION = 2_000  # commits that git is asked for at once
MANY = 500  # new records before the cache file is worth writing again
HEAD = 256  # bytes of the cache file before the records: tip, digest, form, size of the text
FORM = "4"  # of the cache file; another one is read from git again


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


def read(repository: Repository, tip: str, since: str | None = None) -> Iterator[Record]:
    """The records up to `tip`, oldest first, or those after `since`; in portions, so that memory stays flat."""
    above = [f"^{since}"] if since else []
    listed = repository.git("rev-list", "--reverse", "--first-parent", tip, *above, "--", timeout=120.0).text.split()
    for start in range(0, len(listed), PORTION):
        for message in messages.read(repository, listed[start : start + PORTION]):
            yield (
                parse(message.text, message.commit)
                if message.text is not None
                else oversized(message.commit, message.size)
            )


def landed(repository: Repository, record: Record, since: str | None, tip: str) -> bool:
    """Whether the record stands in the chain up to `tip`; `since` is a commit from before it was written."""
    known = since if since and repository.is_ancestor(since, tip) else None
    return record["id"] in {one["id"] for one in read(repository, tip, since=known)}


class Records(LazySequence[Mapping[str, Any]]):
    """Records as lines of JSON, each decoded when it is asked for: fifty thousand take the room of their text."""

    def __init__(self, text: memoryview, ends: array[int]) -> None:
        self._text = text
        self._ends = ends  # where each line ends; before the first stands 0

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, place: int) -> Record:
        record: Record = msgspec.json.decode(self._text[self._ends[place] : self._ends[place + 1]])
        return record


class ChainReader:
    """The records of one chain and their summary. `file` caches both; a damaged one is read from git again."""

    def __init__(self, repository: Repository, file: Path) -> None:
        self.repository = repository
        self.file = file
        self.history = History()
        self._tip: str | None = None
        self._ids: array[int] = array("Q")
        self._stored = 0

    def upto(self, tip: str | None) -> History:
        """The history up to `tip`; what this machine has read is not read again."""
        if tip is None:
            return History()
        if tip != self._tip:
            with _no_collection():
                self._read(tip)
        return self.history

    def _read(self, tip: str) -> None:
        if self._tip is None:
            self._load()
        if self._tip is not None and self.repository.is_ancestor(self._tip, tip):
            self._add(read(self.repository, tip, since=self._tip))
        else:
            self.history, self._ids, self._stored = History(), array("Q"), 0
            self._add(read(self.repository, tip))
        self._tip = tip
        if len(self.history.records) - self._stored >= MANY:
            self._store()

    def _add(self, newer: Iterator[Record]) -> None:
        """Each record once; thousands are kept as text."""
        known = set(self._ids)
        text, ends = bytearray(), array("Q", [0])
        for record in newer:
            key = _key(record["id"])
            if key not in known:
                known.add(key)
                self._ids.append(key)
                text += msgspec.json.encode(record)
                ends.append(len(text))
        if len(ends) > 1:
            self.history = self.history.plus(Records(memoryview(text), ends))

    def _load(self) -> None:
        """The cached history, where the file is intact."""
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            with self.file.open("rb") as file:
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            tip, digest, form, size = bytes(data[:HEAD]).decode().split()
            if form == FORM and _digest(data[HEAD:]) == digest and self.repository.revision(tip):
                text, rest = data[HEAD : HEAD + int(size)], data[HEAD + int(size) :]
                cached = msgspec.msgpack.decode(rest, type=_Cached)
                ends = array("Q", [0])
                ends.frombytes(cached.ends)
                self._ids.frombytes(cached.ids)
                self.history = History(Records(text, ends), cached.summary)
                self._tip, self._stored = tip, len(self.history.records)

    def _store(self) -> None:
        """Written from one buffer, because that is as large as the ledger."""
        data, ends = bytearray(HEAD), array("Q")
        for record in self.history.records:
            data += msgspec.json.encode(record)
            ends.append(len(data) - HEAD)
        size = len(data) - HEAD
        data += msgspec.msgpack.encode(_Cached(self.history.summary, ends.tobytes(), self._ids.tobytes()))
        data[:HEAD] = f"{self._tip} {_digest(memoryview(data)[HEAD:])} {FORM} {size}".ljust(HEAD).encode()
        with contextlib.suppress(OSError):  # reading works without the cache
            durable.write(self.file, data, sync=False)
            self._stored = len(ends)


class _Cached(Struct):
    """What stands in the cache after the records' text: `ends` of the lines, `ids` as numbers."""

    summary: Summary
    ends: bytes
    ids: bytes


def _key(name: str) -> int:
    """A record's id as a number of 64 bits."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _digest(data: memoryview) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


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
