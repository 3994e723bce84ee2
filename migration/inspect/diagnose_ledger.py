"""Deployments that were interrupted, holds, locks whose owner is gone, records that never left this machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from migration.base.clock import minute
from migration.base.command import Steps
from migration.base.errors import CutoverError
from migration.base.finding import Finding, then
from migration.deploy import hold as holds
from migration.inspect.look import Look
from migration.ledger.deployments import Deployment, Record
from migration.ledger.lock import LockHolder
from migration.ledger.probe import probe


def find(look: Look) -> Iterator[Finding]:
    ledger = look.context.ledger
    history = ledger.history()
    if ledger.offline:
        yield Finding("ledger_offline", "the ledger cannot be heard", ledger.offline, _reach(look))
        return
    holder = look.context.lock.holder()
    at_work = holder is not None and not _stale(holder)
    if history.interrupted is not None and not at_work:
        yield _interrupted(history.interrupted)
    if holder is not None and _stale(holder):
        yield _lock(look, holder)
    yield from (_hold(look, each) for each in history.holds)
    yield from _waiting(look)


def _reach(look: Look) -> str:
    fetch = f"git -C {shlex.quote(str(look.context.app))} fetch {shlex.quote(look.context.config.app.remote)}"
    return then(f"make {look.context.ledger.refs.place} answer ({fetch})", "inv status")


def takes_refs(look: Look) -> Iterator[Finding]:
    """Whether the git host can carry ledger and lock: it is tried on a throw-away ref, so part of `--fix` alone."""
    ledger = look.context.ledger
    try:
        ledger.refs.check()
        cannot = probe(ledger)
    except CutoverError as error:
        cannot, hint = error.message, error.hint or "inv status"
    else:
        hint = "set app.ledger: refs/heads/cutover in config.yaml"
    hint = then(hint, "inv doctor --fix")
    if cannot:
        yield Finding("refs", f"{ledger.refs.place} cannot carry the ledger and the lock", cannot, hint)


def _stale(holder: LockHolder) -> bool:
    return holder.dead() or holder.silent >= 3 * holder.heartbeat


def _interrupted(deployment: Deployment) -> Finding:
    live = ", ".join(deployment.slugs)
    evidence = (
        f"{deployment.kind} {deployment.id} of {live}, begun {minute(deployment.at)} UTC by {deployment.who}: "
        + (deployment.message or "it has no outcome")
    )
    fix = f"inv deploy --plan {deployment.plan_hash[:12]}, or to take it back: inv rollback"
    if deployment.kind == "rollback":
        fix = "inv rollback"
    return Finding("interrupted", f"a {deployment.kind} was interrupted", evidence, fix, subject=deployment.id)


def _lock(look: Look, holder: LockHolder) -> Finding:
    why = "its process runs no more" if holder.dead() else f"it has been silent for {holder.silent:.0f} s"

    def take() -> str:
        look.context.lock.unlock(holder.id)
        return f"took lock {holder.id} away, and recorded it"

    return Finding("stale_lock", "a lock has lost its owner", f"{holder}: {why}", f"inv unlock {holder.id}", "warning",
                   holder.id, safe=True, apply=take)  # fmt: skip


def _hold(look: Look, hold: Record) -> Finding:
    commit = holds.undoing(hold)
    evidence = f"set {minute(str(hold.get('at', '')))} UTC by {hold.get('who', '')} with {hold['id']}"
    fix = Steps((holds.roll_forward(look.context, commit) if commit else holds.lift_command(),))
    return Finding("hold", "a range that was rolled back is held", evidence, fix, "warning", str(hold["id"]))


def _waiting(look: Look) -> Iterator[Finding]:
    files = look.context.ledger.emergency.waiting()
    if not files:
        return

    def push() -> str:
        return f"pushed {look.context.ledger.flush()} records"

    names, problem = ", ".join(path.name for path in files), "records of this machine are not in the ledger yet"
    yield Finding("unpushed", problem, names, "inv doctor --fix", "warning", safe=True, apply=push)
