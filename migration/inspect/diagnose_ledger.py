"""Interrupted deployments, holds, stale locks, and records that were not pushed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from migration.base.clock import minute
from migration.base.command import Do, Step, Steps, inv, sh, steps, then
from migration.base.durations import show
from migration.base.errors import CutoverError
from migration.base.finding import Finding
from migration.base.numbers import count
from migration.deploy import hold as holds
from migration.deploy.plan import Plan
from migration.inspect.examination import Examination
from migration.ledger.deployments import Deployment, History
from migration.ledger.lock import LockHolder
from migration.ledger.probe import probe
from migration.source import scope


def find(exam: Examination) -> Iterator[Finding]:
    ledger = exam.context.ledger
    history = ledger.history()
    if ledger.offline:
        yield Finding("ledger_offline", "cannot reach the ledger", ledger.offline, _reach(exam))
        return
    holder = exam.context.lock.holder()
    at_work = holder is not None and not holder.stale
    if history.interrupted is not None and not at_work:
        yield _interrupted(exam, history.interrupted)
    if holder is not None and holder.stale:
        yield _lock(exam, holder)
    if history.holds and (hold := _standing(exam, history)):
        yield _hold(exam, hold)
    yield from _waiting(exam)


def _reach(exam: Examination) -> Steps:
    fetch = sh("git", "-C", str(exam.context.app), "fetch", exam.context.config.app.remote)
    return steps(Do(f"check the network and your access to {exam.context.ledger.refs.place}:"), fetch, inv("status"))


def takes_refs(exam: Examination) -> Iterator[Finding]:
    """Whether the git host can carry ledger and lock: tested on a throw-away ref, so part of `--fix` alone."""
    ledger = exam.context.ledger
    first: tuple[Step, ...] = (Do("set app.ledger: refs/heads/cutover in config.yaml"),)
    try:
        ledger.refs.check()
        cannot = probe(ledger)
    except CutoverError as error:
        cannot, first = error.message, error.steps or (inv("status"),)
    if cannot:
        problem = f"{ledger.refs.place} cannot carry the ledger and the lock"
        yield Finding("refs", problem, cannot, Steps(then(first, inv("doctor", fix=True))))


def _plan(exam: Examination) -> Plan | None:
    """The plan; None where none can be made, which is a finding of its own."""
    with contextlib.suppress(CutoverError):
        return exam.plan
    return None


def _standing(exam: Examination, history: History) -> Mapping[str, Any] | None:
    """The hold that stands in the way of the checkout; where no plan can be made, of its commit."""
    plan = _plan(exam)
    if plan:
        return plan.hold
    repository = exam.context.repository
    found = holds.check(repository, history, repository.head(), {}, scope.remote(exam.context) or "")
    return found.as_json() if found else None


def _interrupted(exam: Examination, deployment: Deployment) -> Finding:
    slugs, since = ", ".join(deployment.slugs), minute(deployment.at)
    evidence = (
        f"{deployment.kind} {deployment.id} of {slugs}, begun {since} UTC by {deployment.who}: "
        f"{deployment.message or 'no outcome is recorded'}"
    )
    plan = _plan(exam)
    fix = Steps(plan.next if plan else (inv("status"),))
    return Finding("interrupted", f"a {deployment.kind} was interrupted", evidence, fix, subject=deployment.id)


def _lock(exam: Examination, holder: LockHolder) -> Finding:
    why = "its process has ended" if holder.dead() else f"not renewed for {show(holder.silent)}"

    def unlock() -> str:
        exam.context.lock.unlock(holder.id)
        return f"removed lock {holder.id} and recorded it"

    return Finding("stale_lock", "stale lock", f"{holder}: {why}", steps(inv("unlock", holder.id)), "warning",
                   holder.id, safe=True, apply=unlock)  # fmt: skip


def _hold(exam: Examination, hold: Mapping[str, Any]) -> Finding:
    evidence = f"set {minute(str(hold.get('at', '')))} UTC by {hold.get('who', '')} with {hold['id']}"
    plan = _plan(exam)
    fix = Steps(plan.next if plan else (inv("status"),))
    return Finding("hold", "a rolled-back change is on hold", evidence, fix, "warning",
                   str(hold["id"]))  # fmt: skip


def _waiting(exam: Examination) -> Iterator[Finding]:
    files = exam.context.ledger.emergency.waiting()
    if not files:
        return

    def push() -> str:
        return f"pushed {count(exam.context.ledger.flush(), 'record')}"

    names = ", ".join(path.name for path in files)
    problem = f"{count(len(files), 'record')} of this machine not pushed to the ledger yet"
    yield Finding("unpushed", problem, names, steps(inv("doctor", fix=True)), "warning", safe=True, apply=push)
