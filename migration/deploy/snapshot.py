"""What was live before, and how it can be made live again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.command import inv
from migration.base.errors import CutoverError, Refused
from migration.base.parallel import every
from migration.clients.supabase_types import Function
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
    found = every(list(functions), lambda function: context.supabase.function(function.slug))
    return [function for function in found if function is not None]


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
    base = deployment.base_revision
    found = reader.reader(context).at(base, from_git) if from_git else {}
    for slug in wanted:
        if kinds[slug] == "snapshot":
            found[slug] = snapshots.stored(context, deployment.snapshots[slug]["digest"])
        _proven(deployment, slug, found.get(slug))
    return found


def _proven(deployment: Deployment, slug: str, found: Source | None) -> None:
    change = deployment.change(slug)
    recorded = change.before.get("source_digest") if change and change.before else None
    if found is None and deployment.kind == "rollback":
        text = f"{slug}: the rollback {deployment.id} took that code back. Only git has it: deploy a commit with it."
        raise Refused(text, inv("deploy", lift_hold="why it is good now"))
    if found is None or (recorded and found.digest != recorded):
        what = "cannot be found" if found is None else "differs from the recorded digest"
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
