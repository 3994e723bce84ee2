"""What a record and a lock may hold: the one place where text from the git remote becomes data.

Anyone who may push to the remote writes there: another version of Cutover, a person by hand, a broken script. A record
that does not fit is kept as `unreadable` with the reason, so that it stops nothing else; keys that are not listed here
pass. Sizes and depths are bounded.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from migration.base.filename import LONGEST, PATTERN

Record = dict[str, Any]

_NOT_BEFORE, _NOT_AFTER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
SCHEMA = 1  # records without `schema` are of this one
LARGEST = 4_000_000  # bytes of a record
SHOWN = 500  # characters of an unreadable record that are kept

Name = Annotated[str, Meta(pattern=PATTERN, max_length=LONGEST)]
Digest = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]*\Z", max_length=LONGEST)]
Revision = Annotated[str, Meta(pattern=r"\A([A-Za-z0-9][A-Za-z0-9._/@^~+-]*)?\Z", max_length=200)]  # no option of git
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Line = Annotated[str, Meta(max_length=4_000)]
Text = Annotated[str, Meta(max_length=200_000)]
MANY = Meta(max_length=10_000)


class Place(Struct):
    class_: Line | None = msgspec.field(default=None, name="class")
    host: Line | None = None
    run_url: Line | None = None


class Before(Struct):
    version: Count
    source_digest: Digest | None = None
    snapshot_digest: Digest | None = None
    verify_jwt: bool | None = None
    entrypoint_path: Line | None = None
    import_map_path: Line | None = None
    function_id: Name | None = None


class WantedSource(Struct):
    source_digest: Digest | None = None
    verify_jwt: bool | None = None
    of: Name | None = None


class After(Struct):
    version: Count | None = None
    source_digest: Digest | None = None


class FunctionChange(Struct):
    slug: Name
    action: Line | None = None
    before: Before | None = None
    wanted: WantedSource | None = None
    after: After | None = None


class StagedAnswer(Struct):
    """The platform's answer to staging: sent back when it is activated."""

    slug: Name
    version: Count
    id: Name | None = None
    name: Line | None = None
    status: Line | None = None
    verify_jwt: bool | None = None
    import_map: bool | None = None
    entrypoint_path: Line | None = None
    import_map_path: Line | None = None
    ezbr_sha256: Line | None = None


class SnapshotRecord(Struct):
    digest: Digest | None = None
    restorable: Line | None = None


class HoldRecord(Struct):
    tip: Revision | None = None
    base: Revision | None = None
    digests: Annotated[dict[Name, Digest], MANY] | None = None


class Revert(Struct):
    commit: Revision | None = None
    pushed: bool | None = None
    branch: Line | None = None
    reverts: Annotated[list[Revision], MANY] | None = None
    state: Line | None = None
    revert: Revision | None = None
    lacks: Line | None = None


class StepRecord(Struct):
    name: Line
    seconds: Seconds | None = None
    waited: Seconds | None = None
    detail: Text | None = None


class E2eRecord(Struct):
    """What the ledger keeps of the steps in the browser; for people, so that nothing else of it is read."""

    verdict: Line | None = None


class GateRecord(Struct):
    verdict: Line | None = None
    why: Text | None = None
    artifacts: dict[str, Count] | None = None
    e2e: E2eRecord | None = None


class FormerHolder(Struct):
    id: Line | None = None
    who: Line | None = None


class Common(Struct, kw_only=True):
    """What every record carries; a record of a kind that is not listed below is read for nothing else."""

    record: Line
    id: Name
    at: Annotated[datetime, Meta(tz=True)] | None = None
    environment: Line | None = None
    project_ref: Line | None = None
    who: Line | None = None
    where: Place | None = None
    deployment: Name | None = None
    functions: Annotated[list[FunctionChange], MANY] | None = None
    answers: Annotated[list[StagedAnswer], MANY] | None = None


class Intent(Common, kw_only=True):
    deployment: Name
    kind: Line | None = None
    revision: Revision | None = None
    base_revision: Revision | None = None
    plan_hash: Digest | None = None
    partial: bool | None = None
    to: Name | None = None
    without_lock: Text | None = None
    hold: HoldRecord | None = None
    secrets: Annotated[dict[Line, Line], MANY] | None = None
    snapshots: Annotated[dict[Name, SnapshotRecord], MANY] | None = None


class Staged(Common, kw_only=True):
    deployment: Name
    restoring: bool | None = None
    perhaps_stranded: Annotated[list[Name], MANY] | None = None


class OutcomeRecord(Common, kw_only=True):
    deployment: Name
    outcome: Line | None = None
    message: Text | None = None
    hold: HoldRecord | None = None
    steps: Annotated[list[StepRecord], MANY] | None = None
    gate: GateRecord | None = None
    new_code_seconds: Seconds | None = None


class Git(Common, kw_only=True):
    deployment: Name
    revert: Revert | None = None


class Lift(Common, kw_only=True):
    hold: Name  # a record that names none must not lift them all
    reason: Text | None = None


class Note(Common, kw_only=True):
    text: Text
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None


class WatchRecord(Common, kw_only=True):
    """A watch that is over: its verdict, what it counted of each function as [failed, answers], and its alarms."""

    deployment: Name
    watch: Name | None = None
    verdict: Line | None = None
    ended: Line | None = None
    rounds: Count | None = None
    counts: Annotated[dict[Name, Annotated[list[Count], Meta(min_length=2, max_length=2)]], MANY] | None = None
    alarms: Annotated[list[Line], MANY] | None = None
    figures: dict[Line, Count | Seconds | None] | None = None


class Unlock(Common, kw_only=True):
    lock: Line | None = None
    robbed: FormerHolder | None = None
    stale: bool | None = None


class Costs(Common, kw_only=True):
    day: date
    functions: Annotated[list[CostRow], MANY] | None = None  # type: ignore[assignment]


Number = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Digits = Annotated[str, Meta(pattern=r"\A-?[0-9]{1,18}\Z")]


class CostRow(Struct):
    """One function's day; the other keys are counts, as numbers or digits, and `sizes`."""

    slug: Name
    sizes: dict[Digits, Number | Digits] | list[tuple[Number | Digits, Number | Digits]] | None = None


KINDS: dict[str, type[Common]] = {
    "intent": Intent, "staged": Staged, "outcome": OutcomeRecord, "git": Git, "lift": Lift, "note": Note,
    "unlock": Unlock, "watch": WatchRecord,
    "costs": Costs,
}  # fmt: skip


def stamped(record: Record, at: datetime, place: Record, author: Record) -> Record:
    """A record with what every record carries: its kind, an id, the time, where it belongs and who wrote it."""
    written = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"record": record["record"], "id": secrets.token_hex(8), "at": written, **place, **author, **record}


def parse(message: bytes, commit: str) -> Record:
    """The record in a commit's message, or an `unreadable` one that says why it is none."""
    line = message.split(b"\n", 1)[0]
    if len(line) > LARGEST:
        return _unreadable(line, commit, f"it has {len(line)} bytes")
    try:
        record = msgspec.json.decode(line)
        if not isinstance(record, dict) or not isinstance(record.get("record"), str):
            return _unreadable(line, commit, "it is not a record")
        record = {"id": commit, "at": "", **record}
        if problem := _problem(record):
            return _unreadable(line, commit, problem)
    except msgspec.ValidationError as error:
        return _unreadable(line, commit, _misfit(str(error)))
    except (ValueError, RecursionError):
        return _unreadable(line, commit, "it is not JSON")
    return record


def oversized(commit: str, size: int) -> Record:
    """The record of a commit that is too large to be read."""
    return _unreadable(b"", commit, f"it has {size} bytes")


def _misfit(words: str) -> str:
    """What msgspec found, without its regular expressions."""
    place = re.search(r" - at (?:`key` in )?`\$\.?([^`]*)`", words)
    if missing := re.search(r"missing required field `([^`]+)`", words):
        return f"it lacks {missing[1]}" + (f" in {place[1]}" if place and place[1] else "")
    return f"its {place[1] or 'shape'} does not fit" if place else words


def _problem(record: Record) -> str:
    """What does not fit, in a clause; empty when all does."""
    schema = record.get("schema", SCHEMA)
    if schema != SCHEMA:
        return f"a newer Cutover wrote it (schema {schema!r:.40}): upgrade to read it"
    kind = KINDS.get(record["record"], Common)
    msgspec.convert({**record, "at": record["at"] or None}, kind)
    if record["at"] and not _NOT_BEFORE <= datetime.fromisoformat(record["at"]) <= _NOT_AFTER:
        return f"its time is {record['at'][:40]}"
    if kind is Costs:
        _counts(record)
    return ""


def _counts(record: Record) -> None:
    for row in record.get("functions") or ():
        msgspec.convert(
            [value for key, value in row.items() if key not in ("slug", "sizes")], list[Number | Digits | None]
        )


def _unreadable(line: bytes, commit: str, why: str) -> Record:
    text = line[:SHOWN].decode("utf-8", "replace")
    return {"record": "unreadable", "id": commit, "at": "", "text": text, "why": why}


class LockCard(Struct):
    """What the commit of a lock says of its holder; each field that does not fit counts as absent."""

    id: Name = ""
    who: Line = ""
    where: Place = msgspec.field(default_factory=Place)
    machine: Line = ""
    pid: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    started: Line = ""
    since: Line = ""
    doing: Line = ""
    deployment: Line = ""
    environment: Line = ""
    project_ref: Line = ""
    heartbeat: Annotated[float, Meta(ge=0.01, le=60)] = 15.0  # seconds; a lock must not claim to stay fresh for days
    released: bool = False

    @classmethod
    def parse(cls, message: bytes) -> LockCard:
        """The card in the message of a lock's commit."""
        line = message.split(b"\n", 1)[0]
        try:
            card = msgspec.json.decode(line) if len(line) <= LARGEST else None
        except (ValueError, RecursionError):
            card = None
        return cls(**_fitting(card, cls)) if isinstance(card, dict) else cls()


def _fitting(values: Record, kind: type[Struct]) -> Record:
    """The values that fit their fields."""
    kept: Record = {}
    for known in msgspec.structs.fields(kind):
        try:
            kept[known.name] = msgspec.convert(values[known.encode_name], known.type)
        except (KeyError, msgspec.ValidationError):
            continue
    return kept
