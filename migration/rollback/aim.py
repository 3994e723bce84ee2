"""What a rollback makes of each function: which source of it is live again, or that it goes away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError, Refused
from migration.clients.supabase_types import Function
from migration.deploy import drift, snapshot
from migration.deploy.recovery import Recovery
from migration.deploy.staging import FunctionSpec
from migration.ledger.deployments import Deployment, History
from migration.rollback.target import Target

if TYPE_CHECKING:
    from migration.context import Context
    from migration.source.source import Source


@dataclass(frozen=True)
class Aim:
    """One function. `action`: restore, delete (it did not exist before) or same; `of`: the deployment whose
    `before` it is. `version` is the one whose code is live again, None for a deletion. `foreign`: what is live now is
    somebody else's, deployed since."""

    slug: str
    action: str
    live: Function | None = field(repr=False)
    before: Mapping[str, Any] | None = field(repr=False)
    source: Source | None = field(repr=False)
    of: str
    foreign: bool = False

    @property
    def version(self) -> int | None:
        return int(self.before["version"]) if self.before else None

    def wanted(self) -> FunctionSpec:
        jwt = self.before.get("verify_jwt") if self.before else None
        return FunctionSpec(self.slug, self.source, self.live, jwt)

    def as_json(self) -> dict[str, Any]:
        live = {"version": self.live.version} if self.live else None
        restored = {"version": self.version} if self.version is not None else None
        head = {"slug": self.slug, "action": self.action, "live": live, "restored": restored}
        return {**head, "of": self.of, "foreign": self.foreign}

    def record(self) -> dict[str, Any]:
        """Its entry in the intent."""
        wanted = {
            "source_digest": self.source.digest if self.source else None,
            "verify_jwt": self.before.get("verify_jwt") if self.before else None,
            "of": self.of,
        }
        return {"slug": self.slug, "action": self.action, "before": _live(self.live), "wanted": wanted}


def aims(context: Context, history: History, live: Mapping[str, Function], target: Target) -> list[Aim]:
    """Each function with the source that will be live. Refused for what cannot be restored or must not be deleted."""
    sources: dict[str, Source] = {}
    for deployment in {one.id: one for one in target.origins.values()}.values():
        slugs = [slug for slug, origin in target.origins.items() if origin.id == deployment.id]
        sources.update(snapshot.restorer(context, deployment, slugs))
    return [
        _aim(history, slug, live.get(slug), origin, sources.get(slug), target)
        for slug, origin in target.origins.items()
    ]


def _aim(
    history: History, slug: str, live: Function | None, origin: Deployment, source: Source | None, target: Target
) -> Aim:
    change = origin.change(slug)
    before = change.before if change else None
    if before is None:
        _deletable(history, slug, live, target)
        there = live is not None or (target.pending is not None and slug in target.pending.answers)
        return Aim(slug, "delete" if there else "same", live, None, None, origin.id)
    left = history.left(slug)
    same = bool(live and left and left.version == live.version and source and left.source_digest == source.digest)
    if target.pending and (state := _state(target.pending, slug)):
        return Aim(slug, "same" if _done(state, target) else "restore", live, before, source, origin.id)
    foreign = live is not None and drift.foreign(history, live)
    return Aim(slug, "same" if same else "restore", live, before, source, origin.id, foreign)


def _done(state: str, target: Target) -> bool:
    """Whether an interrupted deployment left this function as it shall be."""
    return state in ("before", "restored") if target.resumes is None else state == "live"


def _state(pending: Recovery, slug: str) -> str:
    """How far an interrupted deployment came with this function."""
    return next((one.state for one in pending.functions if one.slug == slug), "")


def _deletable(history: History, slug: str, live: Function | None, target: Target) -> None:
    left = history.left(slug)
    ours = {left.version} if left else set()
    ours |= {one.version for one in target.pending.functions if one.slug == slug} if target.pending else set()
    if live is not None and live.version not in ours:
        raise Refused(
            f"{slug} did not exist before, and version {live.version} of it is not the one that we left: "
            "it is not deleted.",
            "inv status",
        )


def _live(live: Function | None) -> dict[str, Any] | None:
    if live is None:
        return None
    names = ("version", "verify_jwt", "entrypoint_path", "import_map_path")
    return {**{name: getattr(live, name) for name in names}, "function_id": live.id}


def refuse(aims: Sequence[Aim], to: str) -> None:
    """Refused where such code would be replaced and nobody has said that it may be; `to` names what shall be live."""
    found = {one.slug: one.live.version for one in aims if one.foreign and one.live}
    if found:
        raise Refused(
            f"Not rolled back: {drift.named(found)} is live, which somebody else deployed since. It is replaced "
            "only where the project ref is typed, or --to names what shall be live.",
            f"inv plan --diff\ninv rollback --to {to}",
        )


def keep(context: Context, aims: Sequence[Aim]) -> tuple[dict[str, Any], list[str]]:
    """Downloads such code and puts it where every machine finds it: what the intent says of it, and what a person is
    told. A service that must go back does not wait for a git remote: this machine's copy is there at least."""
    strangers = [one.live for one in aims if one.foreign and one.live]
    told: dict[str, Any] = {}
    notes: list[str] = []
    for slug, one in snapshot.take(context, strangers, dict).items():
        said = f"{slug}: version {one.function.version}, which somebody else deployed,"
        if one.restorable == "no":
            notes.append(f"{said} is replaced and could not be kept: {one.why}.")
            continue
        told[slug] = {"digest": one.digest, "restorable": one.restorable}
        notes.append(f"{said} is replaced; {_kept(context, one)}.")
    return told, notes


def _kept(context: Context, one: snapshot.Snapshot) -> str:
    try:
        snapshot.keep(context, [one])
    except CutoverError:
        return f"its code is kept in {context.state / 'bodies'} alone, since the git remote did not take it"
    return f"its code is kept as {context.ledger.prefix}/snapshots/{context.environment.name}/{one.digest}"


def restored(history: History, aims: Iterable[Aim]) -> dict[str, int]:
    """What a rollback would put back that was not Cutover's, with its version."""
    found: dict[str, int] = {}
    for one in aims:
        origin = history.find(one.of)
        version = drift.stranger(history, origin, one.slug, one.source.digest) if origin and one.source else None
        found |= {one.slug: version} if version is not None else {}
    return found
