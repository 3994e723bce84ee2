"""The code of one function as it was at a deployment: from git, else from a snapshot that a later deploy kept."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.command import inv
from migration.base.errors import CutoverError, Refused
from migration.base.numbers import count
from migration.deploy import snapshot
from migration.ledger.deployments import Change, Deployment, History
from migration.source import reader
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context


@dataclass(frozen=True)
class FunctionCode:
    """The files of one function by path; `binary` are those that are not UTF-8, in base64.

    `deployment` is the one after which it was so; `kept` is where it was read: git or snapshot.
    """

    slug: str
    deployment: str
    revision: str
    version: int | None
    source_digest: str
    kept: str
    entrypoint: str
    files: dict[str, str]
    binary: dict[str, str]
    message: str
    exit_code: int = 0


def run(context: Context, history: History, slug: str, shown: Deployment | None) -> FunctionCode:
    """The code that `shown` sent of this function; where it did not change it, and for None, what was left live until
    then. Refused where there was none, and where it is not kept."""
    wanted = _wanted(history, slug, shown)
    source, kept, revision = _read(context, history, wanted)
    texts, binary = _texts(source)
    place = f"git at {revision[:12]}" if kept == "git" else "a snapshot of what was live"
    version = f" v{wanted.version}" if wanted.version else ""
    text = f"{slug}{version}, {wanted.of}: {count(len(source.files), 'file')}, from {place}."
    if shown is not None and shown.id != wanted.deployment.id:
        text += f" {shown.id} did not change it."
    head = slug, wanted.deployment.id, revision, wanted.version
    return FunctionCode(*head, source.digest, kept, source.entrypoint, texts, binary, text)


@dataclass(frozen=True)
class _Wanted:
    """Which code: of which deployment, with its digest, and the version where it was left live."""

    change: Change
    deployment: Deployment
    version: int | None
    digest: str | None
    sent: bool

    @property
    def of(self) -> str:
        """`as deployment 20261127-… sent it`, and so on."""
        one = self.deployment
        back = one.kind == "rollback" or (one.outcome == "restored" and not self.sent)
        return (
            f"as {'rollback' if one.kind == 'rollback' else 'deployment'} {one.id} {'restored' if back else 'sent'} it"
        )


def _wanted(history: History, slug: str, shown: Deployment | None) -> _Wanted:
    change = shown.change(slug) if shown else None
    if shown is not None and change is not None and shown.kind == "deploy":
        version = (change.after or {}).get("version") if shown.stayed else None
        return _Wanted(change, shown, version, change.wanted.get("source_digest"), sent=True)
    end = history.place(shown.id) + bool(change) if shown else len(history.deployments)
    left = history.left(slug, before=history.deployments[end].id if end < len(history.deployments) else "")
    by = history.find(left.deployment) if left else None
    if left is None or by is None or (taken := by.change(slug)) is None:
        known = ", ".join(history.slugs) or "none"
        until = f" up to {shown.id}" if shown else ""
        raise Refused(f"No deployment{until} left {slug} live. Functions in the ledger: {known}.", inv("history"))
    if left.version is None:
        raise Refused(f"{slug} did not exist after {by.id}.", inv("history", show=by.id))
    return _Wanted(taken, by, left.version, left.source_digest, sent=False)


def _read(context: Context, history: History, wanted: _Wanted) -> tuple[Source, str, str]:
    """The source, whether it comes from git or from a snapshot, and the revision in git."""
    one, slug = wanted.deployment, wanted.change.slug
    former = history.find(wanted.change.wanted.get("of")) if one.kind == "rollback" else one
    tries: list[Callable[[], tuple[Source | None, str, str]]] = [lambda: _former(context, former, slug)]
    tries.insert(one.kind == "rollback", lambda: _in_git(context, one, slug))
    tries.append(lambda: _downloaded(context, history, wanted))
    missing: CutoverError | None = None
    for each in tries:
        try:
            source, kept, revision = each()
        except CutoverError as error:
            missing = missing or error
            continue
        if source is not None and wanted.digest in (None, source.digest):
            return source, kept, revision
    why = f": {missing.message}" if missing else "."
    raise Refused(f"The code of {slug}, {wanted.of}, is not kept{why}", *(missing.steps if missing else ()))


def _in_git(context: Context, one: Deployment, slug: str) -> tuple[Source | None, str, str]:
    """What was deployed is what its revision holds; for a rollback, that is what it took back."""
    revision = one.revision if one.kind == "deploy" else one.base_revision
    return (reader.reader(context).at(revision, [slug]).get(slug) if revision else None), "git", revision


def _former(context: Context, one: Deployment | None, slug: str) -> tuple[Source | None, str, str]:
    """What a deployment replaced, as a restore makes it live again."""
    if one is None or (change := one.change(slug)) is None or not change.before:
        return None, "", ""
    kept = (one.snapshots.get(slug) or {}).get("restorable", "")
    return snapshot.restorer(context, one, [slug])[slug], kept, one.base_revision


def _downloaded(context: Context, history: History, wanted: _Wanted) -> tuple[Source | None, str, str]:
    """What the next deployment downloaded before it replaced this very version."""
    for place in range(history.place(wanted.deployment.id) + 1, len(history.deployments)):
        later = history.deployments[place]
        change = later.change(wanted.change.slug)
        if change is None:
            continue
        if change.before and change.before.get("version") == wanted.version:
            return _former(context, later, change.slug)
        break
    return None, "", ""


def _texts(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    texts: dict[str, str] = {}
    binary: dict[str, str] = {}
    for path, data in sorted(source.files.items()):
        try:
            texts[path] = data.decode()
        except UnicodeDecodeError:
            binary[path] = base64.b64encode(data).decode()
    return texts, binary
