"""What a rollback would do: which deployments it takes back, and which source of each function is live again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migration import snapshot
from migration.clients.supabase_types import Function
from migration.errors import Refused
from migration.release import recovery
from migration.release.recovery import Recovery
from migration.release.staging import Wanted
from migration.repo.deployments import LIVE, UNDONE, Deployment, History, agrees, undoes

if TYPE_CHECKING:
    from migration.context import Context
    from migration.source import Source


@dataclass(frozen=True)
class Aim:
    """One function. `action`: restore, delete (it did not exist before) or same; `of`: the deployment whose
    `before` it is. `version` is the one whose code is live again, None for a deletion."""

    slug: str
    action: str
    live: Function | None = field(repr=False)
    before: Mapping[str, Any] | None = field(repr=False)
    source: Source | None = field(repr=False)
    of: str

    @property
    def version(self) -> int | None:
        return int(self.before["version"]) if self.before else None

    def wanted(self) -> Wanted:
        jwt = self.before.get("verify_jwt") if self.before else None
        return Wanted(self.slug, self.source, self.live, jwt)

    def as_json(self) -> dict[str, Any]:
        live = {"version": self.live.version} if self.live else None
        restored = {"version": self.version} if self.version is not None else None
        return {"slug": self.slug, "action": self.action, "live": live, "restored": restored, "of": self.of}

    def record(self) -> dict[str, Any]:
        """Its entry in the intent."""
        wanted = {
            "source_digest": self.source.digest if self.source else None,
            "verify_jwt": self.before.get("verify_jwt") if self.before else None,
            "of": self.of,
        }
        return {"slug": self.slug, "action": self.action, "before": _live(self.live), "wanted": wanted}


@dataclass(frozen=True)
class Target:
    """`work`: service (restore, then git), git (only that half is left) or none, and `message` says why.

    `undone`: the deployments taken back, newest first; `to`: the one live again, None for the code before the first.
    `base`..`revision` is the range that git takes back.
    """

    work: str
    undone: tuple[Deployment, ...]
    to: Deployment | None
    base: str
    revision: str
    origins: Mapping[str, Deployment]
    pending: Recovery | None = None
    resumes: Deployment | None = None
    message: str = ""

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(self.origins)


def choose(context: Context, history: History, live: Mapping[str, Function], to: str | None) -> Target:
    """Which deployments to take back. Refused without any, or for an unknown `to`; Unfinished when what is live is
    somebody else's."""
    newest = history.newest
    if newest is None:
        raise Refused("There is nothing to roll back: nothing was ever deployed here by Cutover.", "inv status")
    pending = recovery.look(context, history, live)
    if pending and pending.verdict == "foreign":
        raise pending.unfinished()
    if newest.kind == "rollback" and newest.interrupted and pending and pending.verdict != "abandoned":
        return _resumed(history, newest, pending)
    if to:
        return _further(history, to, pending)
    return _newest(history, newest, pending)


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


def _newest(history: History, newest: Deployment, pending: Recovery | None) -> Target:
    before = history.live_before(newest.id)
    if newest.kind == "rollback":
        return _again(history, newest)
    origins = {change.slug: newest for change in newest.functions}
    target = Target("service", (newest,), before, newest.base_revision, newest.revision, origins, pending)
    if (pending and pending.verdict == "abandoned") or newest.outcome == "abandoned":
        text = f"Nothing of {newest.id} ever went live: there is nothing to roll back."
        return _with(target, "none", f"{text} To go further back: inv rollback --to ID")
    if newest.outcome == "restored":
        return _half(target, newest, f"{newest.id} was already put back, and git agrees.")
    return target


def _again(history: History, newest: Deployment) -> Target:
    """The newest is a rollback: what it took back, if its git half is still to be done."""
    undone = tuple(_undone(history, newest))
    origins = {change.slug: _origin(history, newest, change.slug) for change in newest.functions}
    to = history.find(newest.to)
    target = Target("service", undone, to, newest.revision, newest.base_revision, origins)
    if newest.outcome not in UNDONE:  # "unfinished" before anything was sent has put nothing back either
        return _with(target, "service", "")
    text = f"{newest.id} has rolled back already, and git agrees. To go further back: inv rollback --to ID"
    return _half(target, newest, text)


def _half(target: Target, carrier: Deployment, done: str) -> Target:
    """Only git is left to do, if even that."""
    if agrees(carrier.revert):
        return _with(target, "none", done)
    return _with(target, "git", "")


def _resumed(history: History, newest: Deployment, pending: Recovery) -> Target:
    origins = {change.slug: _origin(history, newest, change.slug) for change in newest.functions}
    return Target(
        "service", tuple(_undone(history, newest)), history.find(newest.to), newest.revision, newest.base_revision,
        origins, pending, newest,
    )  # fmt: skip


def _further(history: History, to: str, pending: Recovery | None) -> Target:
    found = [one for one in history.deployments if one.id == to] or [
        one for one in history.deployments if one.id.startswith(to)
    ]
    if len(found) != 1 or found[0].outcome not in LIVE:
        known = ", ".join(one.id for one in history.deployments if one.stayed) or "none"
        raise Refused(f"There is no deployment {to} whose code was live. Known: {known}.", "inv history")
    goal, current = found[0], history.live
    if pending and pending.verdict != "abandoned" and goal != history.live_before(pending.deployment.id):
        raise pending.unfinished()
    later = history.deployments[history.deployments.index(goal) + 1 :]
    origins: dict[str, Deployment] = {}
    for one in later:
        for change in one.functions if one.outcome != "abandoned" else ():
            origins.setdefault(change.slug, one)
    undone = tuple(one for one in reversed(later) if one.kind == "deploy" and (one.stayed or one.interrupted))
    revision = pending.deployment.revision if pending else current.revision if current else goal.revision
    bases = {one.base_revision for one in origins.values() if one.kind == "deploy"}  # of a partial goal it is older
    base = (bases.pop() if len(bases) == 1 else "") or goal.revision
    target = Target("service", undone, goal, base, revision, origins, pending)
    if current == goal and not (pending and pending.verdict != "abandoned"):
        return _with(target, "none", f"{goal.id} is what is live: there is nothing to roll back.")
    return target


def _undone(history: History, rollback: Deployment) -> list[Deployment]:
    names = set(undoes(history, rollback)) | {
        str(change.wanted["of"]) for change in rollback.functions if change.wanted.get("of")
    }
    return [one for one in reversed(history.deployments) if one.id in names]


def _origin(history: History, rollback: Deployment, slug: str) -> Deployment:
    change = rollback.change(slug)
    found = history.find(str(change.wanted.get("of"))) if change else None
    if found is None:
        raise Refused(f"The record of {rollback.id} does not say what {slug} was before.", "inv history")
    return found


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
        same = state in ("before", "restored") if target.resumes is None else state == "live"
    return Aim(slug, "same" if same else "restore", live, before, source, origin.id)


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


def _with(target: Target, work: str, message: str) -> Target:
    return replace(target, work=work, message=message)


def _live(live: Function | None) -> dict[str, Any] | None:
    if live is None:
        return None
    names = ("version", "verify_jwt", "entrypoint_path", "import_map_path")
    return {**{name: getattr(live, name) for name in names}, "function_id": live.id}
