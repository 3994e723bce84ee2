"""Which deployments a rollback takes back: the newest, or all after the one that is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migration.base.command import Do, Step, inv
from migration.base.errors import Refused
from migration.clients.supabase_types import Function
from migration.deploy import drift, recovery
from migration.deploy.recovery import Recovery
from migration.ledger.deployments import LIVE, UNDONE, Deployment, History, agrees, undoes

if TYPE_CHECKING:
    from migration.context import Context

BASE = "base"  # `--to base`: the code from before the first deployment


@dataclass(frozen=True)
class Target:
    """`work`: service (restore, then git), git (only that half is left) or none; then `message` says why and `steps`
    what to type.

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
    steps: tuple[Step, ...] = ()

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(self.origins)


def choose(context: Context, history: History, live: Mapping[str, Function], to: str | None) -> Target:
    """Which deployments to take back. Refused without any, or for an unknown `to`; Unfinished when what is live after
    an interruption was deployed outside Cutover."""
    newest = history.newest
    if newest is None:
        raise _empty(context)
    pending = recovery.look(context, history, live)
    if pending and pending.verdict == "foreign":
        raise pending.unfinished()
    if newest.kind == "rollback" and newest.interrupted and pending and pending.verdict != "abandoned":
        return _resumed(history, newest, pending)
    target = _further(history, to, pending) if to else _newest(history, newest, pending, live)
    foreign = drift.versions(history, live, target.slugs) if target.work == "none" and pending is None else {}
    if foreign:
        text = f"{target.message} But {drift.outside(foreign)} since. Nothing was changed."
        raise Refused(text, inv("plan", diff=True))
    return target if target.base else replace(target, base=_first(context))


def _empty(context: Context) -> Refused:
    if context.ledger.offline:
        return Refused(context.ledger.offline, inv("status"))
    return Refused("Nothing to roll back: nothing was ever deployed here with Cutover.", inv("status"))


def _first(context: Context) -> str:
    """The revision before the first deployment, where the ledger does not know one: config.yaml may name it."""
    named = context.config.app.base
    return (context.repository.revision(named) or "") if named else ""


def _newest(history: History, newest: Deployment, pending: Recovery | None, live: Mapping[str, Function]) -> Target:
    before = history.live_before(newest.id)
    if newest.kind == "rollback":
        return _again(history, newest)
    origins = {change.slug: newest for change in newest.functions}
    target = Target("service", (newest,), before, newest.base_revision, newest.revision, origins, pending)
    if (pending and pending.verdict == "abandoned") or newest.outcome == "abandoned":
        text = f"Nothing to roll back: nothing of {newest.id} went live."
        waits = pending.waits if pending else recovery.waiting_note(recovery.waiting_slugs(history, live))
        return replace(target, work="none", message=f"{text} {waits}".rstrip(), steps=_further_back(history))
    if newest.outcome == "restored":
        return _git_half(target, newest, f"{newest.id} is already rolled back, and git agrees.")
    return target


def _again(history: History, newest: Deployment) -> Target:
    """The newest is a rollback: what it took back, if its git half is still to be done."""
    undone = tuple(_undone(history, newest))
    origins = {change.slug: _origin(history, newest, change.slug) for change in newest.functions}
    to = history.find(newest.to)
    target = Target("service", undone, to, newest.revision, newest.base_revision, origins)
    if newest.outcome not in UNDONE:  # "unfinished" before anything was sent has put nothing back either
        return target
    _, foreign = drift.put_back(history)
    if foreign:
        text = f"The rollback {newest.id} is already done. It restored {drift.named(foreign)}, deployed outside Cutover"
        return _git_half(target, newest, f"{text} and not in git then.", inv("plan", diff=True))
    text = f"The rollback {newest.id} is already done, and git agrees."
    return _git_half(target, newest, text, *_further_back(history))


def _further_back(history: History) -> tuple[Step, ...]:
    """How to take back what is live now, by name: no rollback goes that far by itself."""
    live = history.live
    if live is None:
        return ()
    before = history.live_before(live.id)
    return Do(f"to take back {live.id}, which is live, too:"), inv("rollback", to=before.id if before else BASE)


def _git_half(target: Target, carrier: Deployment, done: str, *steps: Step) -> Target:
    """Only git is left to do, if even that."""
    if agrees(carrier.revert):
        return replace(target, work="none", message=done, steps=steps)
    return replace(target, work="git")


def _resumed(history: History, newest: Deployment, pending: Recovery) -> Target:
    origins = {change.slug: _origin(history, newest, change.slug) for change in newest.functions}
    return Target(
        "service", tuple(_undone(history, newest)), history.find(newest.to), newest.revision, newest.base_revision,
        origins, pending, newest,
    )  # fmt: skip


def _named(history: History, to: str) -> Deployment | None:
    """The deployment whose code is to be live again; None for the code from before the first one."""
    if to == BASE:
        return None
    exact = [one for one in history.deployments if one.id == to]
    matching = exact or [one for one in history.deployments if one.id.startswith(to) and one.stayed]
    if len(matching) == 1 and matching[0].outcome in LIVE:
        return matching[0]
    known = ", ".join(one.id for one in history.deployments if one.stayed) or "none"
    if len(matching) > 1:
        raise Refused(f"{to} matches {' and '.join(one.id for one in matching)}: type more of the id.", inv("history"))
    raise Refused(f"There is no deployment {to} whose code was live. Known: {known}, and {BASE}.", inv("history"))


def _further(history: History, to: str, pending: Recovery | None) -> Target:
    goal, current = _named(history, to), history.live
    if pending and pending.verdict != "abandoned" and goal != history.live_before(pending.deployment.id):
        raise pending.unfinished()
    later = history.deployments[history.deployments.index(goal) + 1 :] if goal else history.deployments
    origins: dict[str, Deployment] = {}
    for one in later:
        for change in one.functions if one.outcome != "abandoned" else ():
            origins.setdefault(change.slug, one)
    undone = tuple(one for one in reversed(later) if _takes_back(history, one, pending))
    first = goal.revision if goal else later[0].base_revision
    revision = pending.deployment.revision if pending else current.revision if current else first
    bases = {one.base_revision for one in origins.values() if one.kind == "deploy"}  # of a partial goal it is older
    base = (bases.pop() if len(bases) == 1 else "") or first
    target = Target("service", undone, goal, base, revision, origins, pending)
    if current == goal and not (pending and pending.verdict != "abandoned"):
        name = goal.id if goal else "the code from before the first deployment"
        return replace(target, work="none", message=f"Nothing to roll back: {name} is live.")
    return target


def _takes_back(history: History, one: Deployment, pending: Recovery | None) -> bool:
    """Whether a deployment's code is live, or may be: what an earlier rollback took back is not taken back again."""
    if one.kind != "deploy" or history.undone(one.id):
        return False
    return one.stayed or (pending is not None and pending.deployment.id == one.id)


def _undone(history: History, rollback: Deployment) -> list[Deployment]:
    names = set(undoes(history, rollback)) | {
        str(change.wanted["of"]) for change in rollback.functions if change.wanted.get("of")
    }
    return [one for one in reversed(history.deployments) if one.id in names]


def _origin(history: History, rollback: Deployment, slug: str) -> Deployment:
    change = rollback.change(slug)
    origin = history.find(str(change.wanted.get("of"))) if change else None
    if origin is None:
        raise Refused(f"The record of {rollback.id} does not name the previous code of {slug}.", inv("history"))
    return origin
