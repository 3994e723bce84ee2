"""What an interrupted deployment left, decided from its records and from what is live, function by function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError, ServiceFailed, Unfinished
from migration.base.failpoint import failpoint
from migration.base.finding import flag, named
from migration.clients.supabase_types import Function
from migration.deploy import records
from migration.deploy.records import Journal, left_waiting
from migration.git import revert
from migration.ledger.deployments import Change, Deployment, History
from migration.source import reader, scope, snapshots

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Change, Deployment, History


Answer = Mapping[str, Any]


@dataclass(frozen=True)
class FunctionState:
    """One function. `state`: before (what was live still is, nothing is staged), staged (it is, and the wanted version
    waits), live (the wanted version is), settled (what an earlier deployment had staged is, activated on the way),
    restored (what was live before is again), foreign (someone else's is).

    `perhaps`: whether a version may be staged that nobody has an answer for. `untold`: the revision that this clone
    lacks, so that a foreign version may be our own after all.
    """

    slug: str
    state: str
    version: int
    answer: Answer | None = None
    perhaps: bool = False
    untold: str = ""


@dataclass(frozen=True)
class Recovery:
    """`verdict`: abandoned, staged, live, mixed, settled, restoring or foreign; `message` says it in a sentence and
    `next` names the commands that finish or undo it."""

    deployment: Deployment
    functions: tuple[FunctionState, ...]
    verdict: str
    message: str
    next: tuple[str, ...]

    @property
    def answers(self) -> dict[str, dict[str, Any]]:
        """Staging answers that an activation can still use."""
        waiting = [one for one in self.functions if one.state == "staged" and one.answer]
        return {one.slug: dict(one.answer) for one in waiting if one.answer}

    @property
    def perhaps_stranded(self) -> list[str]:
        return [one.slug for one in self.functions if one.perhaps]

    @property
    def waits(self) -> str:
        """What may wait on the platform without anybody knowing its version, in words."""
        names = () if _alone(self.deployment) else self.perhaps_stranded
        return waiting_note(names, self.deployment.kind)

    def unfinished(self) -> Unfinished:
        return Unfinished(self.message, "\n".join(self.next), deployment=self.deployment.id, verdict=self.verdict)

    def as_json(self) -> dict[str, Any]:
        states = [{"slug": one.slug, "state": one.state, "version": one.version or None} for one in self.functions]
        head = {"deployment": self.deployment.id, "kind": self.deployment.kind, "verdict": self.verdict}
        return {**head, "message": self.message, "functions": states, "next": list(self.next)}


def look(context: Context, history: History, live: Mapping[str, Function]) -> Recovery | None:
    """The newest deployment, if it has no end; None when everything has one. Reads, and changes nothing."""
    deployment = history.interrupted
    return judge(context, history, deployment, live) if deployment else None


def judge(context: Context, history: History, deployment: Deployment, live: Mapping[str, Function]) -> Recovery:
    """The design's recovery table, for one deployment without an end."""
    journal = Journal(context.state, context.environment.name, deployment.id)
    forward, back = _answers(history, deployment, journal)
    functions = tuple(
        _function(context, history, deployment, change, live.get(change.slug), forward, back, journal)
        for change in deployment.functions
    )
    verdict = _verdict(functions, bool(back))
    message, following = _words(deployment, functions, verdict, context.environment.name)
    found = Recovery(deployment, functions, verdict, message, following)
    said = named(found.waits, context.environment.name) if verdict in ("abandoned", "staged") else ""
    return replace(found, message=f"{message} {said}".strip())


def _answers(history: History, deployment: Deployment, journal: Journal) -> tuple[dict[str, Answer], dict[str, Answer]]:
    """Staging answers of the way there, and of a restore that had begun; this machine's journal fills gaps."""
    forward: dict[str, Answer] = {}
    back: dict[str, Answer] = {}
    for record in history.records:
        if record.get("record") == "staged" and record.get("deployment") == deployment.id:
            side = back if record.get("restoring") else forward
            side.update({answer["slug"]: answer for answer in record.get("answers") or ()})
    for slug, answer in journal.answers().items():
        if slug not in back:
            forward.setdefault(slug, answer)
    return forward, back


def _function(
    context: Context,
    history: History,
    deployment: Deployment,
    change: Change,
    live: Function | None,
    forward: Mapping[str, Answer],
    back: Mapping[str, Answer],
    journal: Journal,
) -> FunctionState:
    version, answer = (live.version if live else 0), forward.get(change.slug)
    before = int(change.before["version"]) if change.before else 0
    staged = int(answer["version"]) if answer else 0
    if version == before:
        if staged > version:
            return FunctionState(change.slug, "staged", version, answer)
        sent = change.slug in journal.sent() if journal.exists() else True
        return FunctionState(change.slug, "before", version, None, sent)
    if version == staged:
        return FunctionState(change.slug, "live", version, answer)
    if version == before + 1 and live is not None and _settled(context, history, deployment, live):
        return FunctionState(change.slug, "staged" if staged > version else "settled", version, answer)
    if change.slug in back and version == int(back[change.slug]["version"]):
        return FunctionState(change.slug, "restored", version)
    state, untold = _by_content(context, deployment, change, live, before)
    return FunctionState(change.slug, state, version, untold=untold)


def _settled(context: Context, history: History, deployment: Deployment, live: Function) -> bool:
    """Whether what is live is what an earlier deployment had staged: activated on the way, so that it is not in it."""
    earlier = [one for one in history.deployments if one.id != deployment.id and left_waiting(one, live.slug)]
    changes = [(one.revision, one.change(live.slug)) for one in reversed(earlier)]
    wanted = [(revision, change.wanted.get("source_digest")) for revision, change in changes if change]
    return any(same_source(context, live, revision, digest) for revision, digest in wanted)


def _by_content(
    context: Context, deployment: Deployment, change: Change, live: Function | None, before: int
) -> tuple[str, str]:
    """No record names this version: its files tell whether it is ours, if it can only have come just after. The state,
    and the revision that this clone lacks to tell it."""
    if live is None or not before < live.version <= before + 2:
        return "live" if live is None and not change.wanted.get("source_digest") else "foreign", ""
    untold = ""
    for state, revision, wanted in (
        ("live", deployment.revision, change.wanted.get("source_digest")),
        ("restored", deployment.base_revision, (change.before or {}).get("source_digest")),
    ):
        if same_source(context, live, revision, wanted):
            return state, ""
        if wanted and not has_revision(context, revision):
            untold = untold or revision
    return "foreign", untold


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
    deployment: Deployment, functions: tuple[FunctionState, ...], verdict: str, environment: str
) -> tuple[str, tuple[str, ...]]:
    env = flag(environment)
    kind = "deployment" if deployment.kind == "deploy" else "rollback"
    head = f"The {kind} {deployment.id} by {deployment.who or 'somebody'} was interrupted:"
    both = (f"inv deploy{env}", f"inv rollback{env}") if deployment.kind == "deploy" else (f"inv rollback{env}",)
    if verdict == "foreign":
        return _foreign(head, functions, env)
    words = _FORWARD if deployment.kind == "deploy" else _BACK
    live = ", ".join(one.slug for one in functions if one.state == "live")
    only_back = verdict == "restoring" and len(both) > 1
    return f"{head} {words[verdict].format(live=live)}", both[1:] if only_back else both


def _foreign(head: str, functions: tuple[FunctionState, ...], env: str) -> tuple[str, tuple[str, ...]]:
    strangers = [one for one in functions if one.state == "foreign"]
    names, untold = ", ".join(one.slug for one in strangers), {one.untold for one in strangers}
    over = "Nothing was touched. If that is to be replaced, deploy the plan that shows it, by its hash."
    if "" in untold:
        return f"{head} another version of {names} is live, which is not its own. {over}", (f"inv plan{env} --diff",)
    lacking = ", ".join(sorted(revision[:9] for revision in untold))
    text = f"{head} whether what is live of {names} is its own cannot be told, for this clone lacks {lacking}."
    return f"{text} A clone that has it can tell. {over}", (f"inv status{env}", f"inv plan{env} --diff")


_FORWARD = {
    "abandoned": "nothing of it went live.",
    "restoring": "it was putting back what was live before.",
    "live": "its code is live and was not proven.",
    "staged": "its code is uploaded and not live.",
    "settled": "what an earlier deployment had left waiting is live, and its own code is not, or not all of it.",
    "mixed": "{live} went live and the rest did not.",
}
_BACK = {
    "abandoned": "nothing was put back yet.",
    "restoring": "nobody knows how far it came.",
    "live": "the code from before is live again; git may not have followed, and nothing was proven.",
    "staged": "the code from before is uploaded and not live.",
    "settled": "what was staged had to go live first, and the code from before is not live again, or not all of it.",
    "mixed": "{live} is put back and the rest is not.",
}


def same_source(context: Context, live: Function, revision: str, digest: Any) -> bool:
    """Whether what is live is this source of this revision. ServiceFailed where that could not be read: not knowing it
    makes it nobody else's."""
    if not digest or not has_revision(context, revision):
        return False
    try:
        body = snapshots.from_body(snapshots.download(context, live), live)
        held = reader.reader(context).at(revision, [live.slug]).get(live.slug)
    except ServiceFailed as error:
        text = f"Whose version {live.version} of {live.slug} is could not be told: {error.message}"
        raise ServiceFailed(text, error.hint or "inv status", **error.data) from error
    return held is not None and held.digest == digest and snapshots.same_files(held, body)


def has_revision(context: Context, revision: str) -> bool:
    """Whether this clone has the revision, after asking the remote for it."""
    if context.repository.revision(revision) is None and not context.ledger.offline:
        with contextlib.suppress(CutoverError):
            revert.have(context.repository, scope.remote(context), [revision])
    return context.repository.revision(revision) is not None


def waiting_slugs(history: History, live: Mapping[str, Function]) -> list[str]:
    """The functions of which an ended deployment may have left one, and of which nothing newer went live since."""
    ended = [one for one in history.deployments if one is not history.interrupted]
    found = [change for one in ended for change in one.functions if left_waiting(one, change.slug) and not _alone(one)]
    return list(dict.fromkeys(one.slug for one in found if _unmoved(one, live.get(one.slug))))


def _alone(deployment: Deployment) -> bool:
    """A single function goes live with its upload: no version of it ever waits."""
    return deployment.kind == "deploy" and len(deployment.functions) == 1


def waiting_note(names: Iterable[str], verb: str = "deploy") -> str:
    """What that means, in words; nothing where nothing waits."""
    listed = ", ".join(names)
    text = f"may wait on the platform: the next inv {verb} activates it first; the Supabase CLI is refused until then."
    return f"A version of {listed} {text}" if listed else ""


def _unmoved(change: Change, live: Function | None) -> bool:
    """Whether what is live was so before: a version that went live since had to activate what waited."""
    if change.before is None or live is None:
        return change.before is None and live is None
    same = change.before.get("function_id") in (None, live.id)
    return same and live.version <= int(change.before["version"])


def close_abandoned(context: Context, pending: Recovery, wait: float) -> None:
    """Close what went nowhere, after another look under the lock; Unfinished when it went somewhere meanwhile."""
    with context.lock.held("closing an interrupted deployment", wait, pending.deployment.id):
        live = {function.slug: function for function in context.supabase.functions()}
        found = look(context, context.ledger.history(), live)
        records.require_ledger(context)
        if found is not None and found.verdict != "abandoned":
            raise found.unfinished()
        if found is not None:
            close(context, found, "abandoned", "nothing of it had gone live")


def close(context: Context, pending: Recovery, outcome: str, message: str) -> None:
    """Put the end of an interrupted deployment on record; what it may have left staged stays known."""
    name, lost = pending.deployment.id, pending.perhaps_stranded
    if lost:
        context.ledger.keep({"record": "staged", "deployment": name, "answers": [], "perhaps_stranded": lost})
    failpoint("record.close")
    context.ledger.keep({"record": "outcome", "deployment": name, "outcome": outcome, "message": message})
    failpoint("record.close.after")
