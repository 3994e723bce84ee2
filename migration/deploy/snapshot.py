"""What was live before, and how it can be made live again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.command import Do, inv
from migration.base.errors import CutoverError, Refused
from migration.base.parallel import every
from migration.clients.supabase_types import Function
from migration.deploy import hold
from migration.deploy.staging import FunctionSpec
from migration.source import reader, snapshots
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment


@dataclass(frozen=True)
class Snapshot:
    """One live function. `source` is what a restore sends: git's where it is file for file the download, else the
    download itself; None when neither can run, and `why` says so. `digest` names the download."""

    slug: str
    function: Function
    body: Source = field(repr=False)
    source: Source | None = field(repr=False)
    restorable: str
    digest: str
    why: str = ""

    def before(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        live = self.function
        return {
            "version": live.version,
            "source_digest": self.source.digest if self.source else None,
            "snapshot_digest": self.digest,
            "verify_jwt": live.verify_jwt,
            "entrypoint_path": live.entrypoint_path,
            "import_map_path": live.import_map_path,
            "function_id": live.id,
        }

    def spec(self, live: Function | None) -> FunctionSpec:
        """What a restore sends; it always names `verify_jwt`, because silence would keep the new value."""
        if self.source is None:
            raise Refused(f"{self.slug} cannot be restored: {self.why}", inv("plan"))
        return FunctionSpec(self.slug, self.source, live, self.function.verify_jwt)


def take(
    context: Context, functions: Iterable[Function], base: Callable[[], Mapping[str, Source]]
) -> dict[str, Snapshot]:
    """Downloads what is live, all at once, and judges it; `base` gives git's source before the change, by slug, and
    is asked when the download is there."""
    taken = every(list(functions), lambda function: _take(context, function, base))
    return {one.slug: one for one in taken}


def details(context: Context, functions: Iterable[Function]) -> list[Function]:
    """Each function as the platform describes it alone: the list may leave settings out."""
    described = every(list(functions), lambda function: context.supabase.function(function.slug))
    return [function for function in described if function is not None]


def keep(context: Context, taken: Iterable[Snapshot]) -> None:
    """Put what git cannot give back where every machine finds it."""
    for one in taken:
        if one.restorable == "snapshot" and one.source is not None:
            snapshots.keep(context, one.digest, one.source)


def restorer(context: Context, deployment: Deployment, slugs: Iterable[str]) -> dict[str, Source]:
    """The sources that were live before a recorded deployment, from git or from the kept snapshot.

    Refused for a function that the record says cannot be restored, or whose source has another digest than recorded.
    """
    wanted = [slug for slug in slugs if (change := deployment.change(slug)) and change.before]
    kinds = {slug: deployment.snapshots.get(slug, {}).get("restorable", "no") for slug in wanted}
    from_git = [slug for slug in wanted if kinds[slug] == "git"]
    sources = _from_git(context, deployment.base_revision, from_git) if from_git else {}
    for slug in wanted:
        if kinds[slug] == "snapshot" or slug not in sources:
            sources |= _kept(context, deployment, slug, strict=kinds[slug] == "snapshot")
        _refuse_other(context, deployment, slug, sources.get(slug))
    return sources


def _from_git(context: Context, base: str, slugs: list[str]) -> dict[str, Source]:
    """The sources at base; nothing where git no longer has that commit."""
    own = reader.reader(context)
    own.bring(base)
    if context.repository.revision(base) is None and not context.repository.shallow() and not context.ledger.outage:
        return {}
    return own.at(base, slugs)


def _kept(context: Context, deployment: Deployment, slug: str, strict: bool) -> dict[str, Source]:
    """The snapshot of what was live, from the ledger's remote or as this machine once downloaded it; else the checkout,
    where that has the very same source. `strict`: there must be one, so that its absence is an error."""
    change = deployment.change(slug)
    before = (change.before if change else None) or {}
    digest = str(deployment.snapshots.get(slug, {}).get("digest") or before.get("snapshot_digest") or "")
    try:
        return {slug: snapshots.stored(context, digest)}
    except Refused:
        local = snapshots.downloaded(context, slug, before, digest)
        now = local or reader.reader(context).at(context.repository.head(), [slug]).get(slug)
        if now is not None and (local or now.digest == before.get("source_digest")):
            return {slug: now}
        if strict:
            raise
        return {}


def _refuse_other(context: Context, deployment: Deployment, slug: str, source: Source | None) -> None:
    """Refused unless this is the source that the record names."""
    change = deployment.change(slug)
    before = (change.before if change else None) or {}
    recorded = before.get("source_digest")
    downloaded = source is not None and source.digest == before.get("snapshot_digest")
    if source is None and deployment.kind == "rollback":
        text = f"{slug}: the rollback {deployment.id} took that code back. Only git has it: deploy a commit with it."
        raise Refused(text, hold.lift_command())
    if source is None and context.repository.revision(deployment.base_revision) is None:
        text = f"{slug}: the source that was live before {deployment.id} cannot be found: commit "
        text += (
            f"{deployment.base_revision[:9]}, which had it, is no longer in git, and no snapshot of it was kept here."
        )
        raise Refused(
            text, Do("check out a commit with the code that is wanted, and deploy it:"), inv("plan", diff=True)
        )
    if source is None or (recorded and source.digest != recorded and not downloaded):
        what = "cannot be found" if source is None else "differs from the recorded digest"
        raise Refused(f"{slug}: the source that was live before {deployment.id} {what}.", inv("status"))


def _take(context: Context, function: Function, past: Callable[[], Mapping[str, Source]]) -> Snapshot:
    try:
        body = snapshots.from_body(snapshots.download(context, function), function)
    except CutoverError as error:
        empty = Source(function.slug, "", {})
        return Snapshot(
            function.slug, function, empty, None, "no", empty.digest, f"its source cannot be read: {error.message}"
        )
    base = past().get(function.slug)
    if base is not None and snapshots.same_files(base, body):
        return Snapshot(function.slug, function, body, base, "git", body.digest)
    usable, why = snapshots.usable(body, context.state)
    if usable is None:
        return Snapshot(function.slug, function, body, None, "no", body.digest, why)
    return Snapshot(function.slug, function, usable, usable, "snapshot", usable.digest)
