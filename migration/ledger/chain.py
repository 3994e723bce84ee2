"""The ledger as git keeps it: a chain of empty-tree commits, one JSON record in each message.

`git log --format=%s refs/cutover/ledger/prod` reads it without us.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from migration.base.secrets_type import mask
from migration.git.repository import Repository

Record = dict[str, Any]


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
        record = _decode(message, commit)
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


def _decode(message: bytes, commit: str) -> Record:
    """A record; what somebody wrote there by hand is kept as `unreadable`, never dropped."""
    line = message.split(b"\n", 1)[0].decode("utf-8", "replace")
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("record"), str):
        return {"record": "unreadable", "id": commit, "at": "", "text": line}
    return {"id": commit, "at": "", **record}
