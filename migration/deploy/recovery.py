"""What an interrupted deployment left, decided from its records and from what is live, function by function."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from migration.base.command import Command, Step, either, inv
from migration.base.errors import CutoverError, ServiceFailed, Unfinished
from migration.base.failpoint import failpoint
from migration.clients.supabase_types import Function
from migration.deploy import records, snapshot
from migration.deploy.records import Journal, left_waiting
from migration.deploy.staging import FunctionSpec
from migration.git import revert
from migration.source import reader, scope, snapshots

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Change, Deployment, History

StagingAnswer = Mapping[str, Any]
RESUMABLE = ("abandoned", "staged", "live", "mixed", "settled")  # verdicts with which a deploy can go on


@dataclass(frozen=True)
class FunctionState:
    """One function. `state`: before (what was live still is, nothing is staged), staged (it is, and the wanted version
    waits), live (the wanted version is), settled (what an earlier deployment had staged is, activated on the way),
    restored (what was live before is again), foreign (a version deployed outside Cutover is).

    `perhaps`: whether a version may be staged of which no answer came. `missing`: the revision that this clone lacks,
    so that a foreign version may be our own after all.
    """

    slug: str
    state: str
    version: int
    answer: StagingAnswer | None = None
    perhaps: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Recovery:
    """`verdict`: abandoned, staged, live, mixed, settled, restoring or foreign; `message` says it in a sentence and
    `next` are the commands that finish or undo it."""

    deployment: Deployment
    functions: tuple[FunctionState, ...]
    verdict: str
    message: str
    next: tuple[Command, ...]

    @property
    def ways(self) -> tuple[Step, ...]:
        """`next` as it is shown: which of two commands finishes it, and which undoes it."""
        if [step.verb for step in self.next] == ["deploy", "rollback"]:
            return either(*self.next)
        return self.next

    @property
    def answers(self) -> dict[str, dict[str, Any]]:
        """Staging answers that an activation can still use."""
        return {one.slug: dict(one.answer) for one in self.functions if one.state == "staged" and one.answer}

    @property
    def perhaps_stranded(self) -> list[str]:
        return [one.slug for one in self.functions if one.perhaps]

    @property
    def waits(self) -> str:
        """Which versions may be staged on the platform without a record of it, in a sentence."""
        return waiting_note(() if _alone(self.deployment) else self.perhaps_stranded, self.deployment.kind)

    def unfinished(self) -> Unfinished:
        return Unfinished(self.message, *self.ways, deployment=self.deployment.id, verdict=self.verdict)

    def as_json(self) -> dict[str, Any]:
        states = [{"slug": one.slug, "state": one.state, "version": one.version or None} for one in self.functions]
        head = {"deployment": self.deployment.id, "kind": self.deployment.kind, "verdict": self.verdict}
        return {**head, "message": self.message, "functions": states, "next": list(self.next)}


def look(context: Context, history: History, live: Mapping[str, Function]) -> Recovery | None:
    """The newest deployment, if it has no outcome; None when all have one. Reads only."""
    deployment = history.interrupted
    return judge(context, history, deployment, live) if deployment else None


def judge(context: Context, history: History, deployment: Deployment, live: Mapping[str, Function]) -> Recovery:
    """What became of each function of a deployment without an outcome, and how it can be finished or undone."""
    evidence = _Evidence(context, history, deployment)
    functions = tuple(evidence.state(change, live.get(change.slug)) for change in deployment.functions)
    verdict = _verdict(functions, bool(evidence.back))
    message, following = _words(deployment, functions, verdict)
    recovery = Recovery(deployment, functions, verdict, message, following)
    waits = recovery.waits if verdict in ("abandoned", "staged") else ""
    return replace(recovery, message=f"{message} {waits}".strip())


class _Evidence:
    """What the records and this machine's journal say of one deployment: staging answers of the way `forward`, and
    `back`, of a restore that had begun."""

    def __init__(self, context: Context, history: History, deployment: Deployment) -> None:
        self.context, self.history, self.deployment = context, history, deployment
        self.journal = Journal(context.state, context.environment.name, deployment.id)
        self.forward: dict[str, StagingAnswer] = {}
        self.back: dict[str, StagingAnswer] = {}
        for record in history.records:
            if record.get("record") == "staged" and record.get("deployment") == deployment.id:
                side = self.back if record.get("restoring") else self.forward
                side.update({answer["slug"]: answer for answer in record.get("answers") or ()})
        for slug, answer in self.journal.answers().items():
            if slug not in self.back:
                self.forward.setdefault(slug, answer)

    def state(self, change: Change, live: Function | None) -> FunctionState:
        slug, version, answer = change.slug, (live.version if live else 0), self.forward.get(change.slug)
        before = int(change.before["version"]) if change.before else 0
        staged = int(answer["version"]) if answer else 0
        if version == before:
            if staged > version:
                return FunctionState(slug, "staged", version, answer)
            sent = slug in self.journal.sent() if self.journal.exists() else True
            return FunctionState(slug, "before", version, None, sent)
        if version == staged:
            return FunctionState(slug, "live", version, answer)
        if version == before + 1 and live is not None and self._settled(live):
            return FunctionState(slug, "staged" if staged > version else "settled", version, answer)
        if slug in self.back and version == int(self.back[slug]["version"]):
            return FunctionState(slug, "restored", version)
        state, missing = self._by_source(change, live, before)
        return FunctionState(slug, state, version, missing=missing)

    def _settled(self, live: Function) -> bool:
        """Whether what is live is what an earlier deployment had staged: activated on the way, though not wanted."""
        for earlier in reversed(self.history.deployments):
            change = earlier.change(live.slug)
            if earlier.id == self.deployment.id or change is None or not left_waiting(earlier, live.slug):
                continue
            if same_source(self.context, live, earlier.revision, change.wanted.get("source_digest")):
                return True
        return False

    def _by_source(self, change: Change, live: Function | None, before: int) -> tuple[str, str]:
        """No record names this version: its files show whether it is ours, if it can only have come just after.
        Returns the state, and the revision that this clone lacks to decide it."""
        if live is None or not before < live.version <= before + 2:
            return "live" if live is None and not change.wanted.get("source_digest") else "foreign", ""
        missing = ""
        for state, revision, digest in (
            ("live", self.deployment.revision, change.wanted.get("source_digest")),
            ("restored", self.deployment.base_revision, (change.before or {}).get("source_digest")),
        ):
            if same_source(self.context, live, revision, digest):
                return state, ""
            if digest and not has_revision(self.context, revision):
                missing = missing or revision
        return "foreign", missing


def _verdict(functions: tuple[FunctionState, ...], restoring: bool) -> str:
    states = {one.state for one in functions}
    if "foreign" in states:
        return "foreign"
    if restoring or "restored" in states:
        return "restoring"
    if states <= {"before"}:
        return "abandoned"
    if states <= {"live"}:
        return "live"
    if "settled" in states:
        return "settled"
    return "staged" if "live" not in states else "mixed"


def _words(
    deployment: Deployment, functions: tuple[FunctionState, ...], verdict: str
) -> tuple[str, tuple[Command, ...]]:
    forward = deployment.kind == "deploy"
    by = f" by {deployment.who}" if deployment.who else ""
    head = f"The {'deployment' if forward else 'rollback'} {deployment.id}{by} was interrupted:"
    if verdict == "foreign":
        return _foreign(head, functions)
    live = ", ".join(one.slug for one in functions if one.state == "live")
    text = f"{head} {(_FORWARD if forward else _BACK)[verdict].format(live=live)}"
    both = (inv("deploy"), inv("rollback"))
    return text, both if forward and verdict != "restoring" else both[1:]


def _foreign(head: str, functions: tuple[FunctionState, ...]) -> tuple[str, tuple[Command, ...]]:
    foreign = [one for one in functions if one.state == "foreign"]
    names, missing = ", ".join(one.slug for one in foreign), {one.missing for one in foreign}
    replace_it = "Nothing was changed. To replace it, deploy the plan that shows it, by its hash."
    if "" in missing:
        versions = ", ".join(f"{one.slug} v{one.version}" for one in foreign)
        return f"{head} {versions} was deployed outside Cutover meanwhile. {replace_it}", (inv("plan", diff=True),)
    lacking = ", ".join(sorted(revision[:9] for revision in missing))
    text = f"{head} whether the live version of {names} is its own is unknown, because this clone lacks {lacking}."
    return f"{text} A clone that has it can decide. {replace_it}", (inv("status"), inv("plan", diff=True))


_FORWARD = {
    "abandoned": "nothing of it went live.",
    "restoring": "it was restoring what was live before.",
    "live": "its code is live and was not proven.",
    "staged": "its code is uploaded and not live.",
    "settled": "a version that an earlier deployment had staged is live, its own code is not, or not all of it.",
    "mixed": "{live} went live and the rest did not.",
}
_BACK = {
    "abandoned": "nothing was restored yet.",
    "restoring": "its progress is unknown.",
    "live": "the code from before is live again; git may not have followed, and nothing was proven.",
    "staged": "the code from before is uploaded and not live.",
    "settled": "what was staged had to go live first, and the code from before is not live again, or not all of it.",
    "mixed": "{live} is restored and the rest is not.",
}


# Going on with it, and closing it


def previous(context: Context, deployment: Deployment) -> dict[str, FunctionSpec]:
    """What an interrupted deployment restores if it fails, from its record."""
    specs = {one.slug: FunctionSpec(one.slug, None, None) for one in deployment.functions if not one.before}
    for change in deployment.functions:
        if not change.before:
            continue
        try:
            held = snapshot.restorer(context, deployment, [change.slug])
        except CutoverError as error:
            context.observer.warn(f"{change.slug} cannot be restored if this fails: {error.message}")
            continue
        specs[change.slug] = FunctionSpec(change.slug, held[change.slug], None, change.before.get("verify_jwt"))
    return specs


def close_abandoned(context: Context, pending: Recovery, wait: float) -> None:
    """Close what went nowhere, after another look under the lock; Unfinished when it went somewhere meanwhile."""
    with context.lock.held("closing an interrupted deployment", wait, pending.deployment.id):
        live = {function.slug: function for function in context.supabase.functions()}
        now = look(context, context.ledger.history(), live)
        records.require_ledger(context)
        if now is not None and now.verdict != "abandoned":
            raise now.unfinished()
        if now is not None:
            close(context, now, "abandoned", "nothing of it had gone live")


def close(context: Context, pending: Recovery, outcome: str, message: str) -> None:
    """Record the outcome of an interrupted deployment, queued where the ledger cannot be written."""
    _close(pending, outcome, message, context.ledger.keep)


def supersede(context: Context, pending: Recovery) -> None:
    """Close an interrupted deployment because a new one takes its place. Raises where that cannot be written."""
    foreign = pending.verdict == "foreign"
    message = "code deployed outside Cutover took its place" if foreign else "nothing of it had gone live"
    _close(pending, "abandoned", message, context.ledger.append)


def _close(pending: Recovery, outcome: str, message: str, write: Callable[[dict[str, Any]], object]) -> None:
    """Two records: what it may have left staged, which stays known, and how it ended."""
    name, lost = pending.deployment.id, pending.perhaps_stranded
    if lost:
        write({"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": lost})
    failpoint("record.close")
    write({"record": "outcome", "deployment": name, "outcome": outcome, "message": message})
    failpoint("record.close.after")


# Whose code is live where no record names its version


def same_source(context: Context, live: Function, revision: str, digest: Any) -> bool:
    """Whether what is live is this source of this revision. ServiceFailed where it cannot be read: an unread source
    must not count as deployed outside Cutover."""
    if not digest or not has_revision(context, revision):
        return False
    try:
        body = snapshots.from_body(snapshots.download(context, live), live)
        held = reader.reader(context).at(revision, [live.slug]).get(live.slug)
    except ServiceFailed as error:
        text = f"Could not read the source of {live.slug} v{live.version}: {error.message}"
        raise ServiceFailed(text, *(error.steps or (inv("status"),)), **error.data) from error
    return held is not None and held.digest == digest and snapshots.same_files(held, body)


def has_revision(context: Context, revision: str) -> bool:
    """Whether this clone has the revision, after fetching it from the remote if need be."""
    if context.repository.revision(revision) is None and not context.ledger.outage:
        with contextlib.suppress(CutoverError):
            revert.bring(context.repository, scope.remote(context), [revision])
    return context.repository.revision(revision) is not None


# Versions that may be staged on the platform


def waiting_slugs(history: History, live: Mapping[str, Function]) -> list[str]:
    """The functions of which an ended deployment may have left a staged version, with nothing newer live since."""
    return [slug for slug in history.slugs if _waits(history, slug, live.get(slug))]


def _waits(history: History, slug: str, live: Function | None) -> bool:
    """Versions only grow: a deployment that found an older version live than the one now is the end of the search."""
    for one in history.touching(slug):
        change = one.change(slug)
        if one is history.interrupted or change is None:
            continue
        if not _unmoved(change, live):
            return False
        if left_waiting(one, slug) and not _alone(one):
            return True
    return False


def waiting_note(slugs: Iterable[str], verb: str = "deploy") -> str:
    """What that means, in a sentence; empty without any."""
    names = ", ".join(slugs)
    text = (
        f"may be staged on the platform: the next {inv(verb)} activates it first; until then the Supabase CLI gets 409."
    )
    return f"A version of {names} {text}" if names else ""


def _alone(deployment: Deployment) -> bool:
    """A single function goes live with its upload: no version of it is ever only staged."""
    return deployment.kind == "deploy" and len(deployment.functions) == 1


def _unmoved(change: Change, live: Function | None) -> bool:
    """Whether what is live was so before: a version that went live since had to activate what was staged."""
    if change.before is None or live is None:
        return change.before is None and live is None
    same = change.before.get("function_id") in (None, live.id)
    return same and live.version <= int(change.before["version"])
