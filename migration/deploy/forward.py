"""What to type next: decided in one place from what is live, the ledger, git and the hold.

Every verb that prints a next command for a change asks `steps`, so that no two of them disagree, no printed command is
refused, and none puts code live that the branch has reverted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.command import Command, Do, Shell, Step, chain, inv, typed
from migration.base.errors import CutoverError
from migration.clients.supabase_types import Function
from migration.deploy import drift, hold
from migration.deploy.hold import Hold, lift_command
from migration.deploy.recovery import Recovery
from migration.ledger.deployments import UNDONE, History, agrees, closed
from migration.source import reader, scope

if TYPE_CHECKING:
    from migration.context import Context

LOCKLESS = "could not acquire the lock"  # the reason for `--without-lock` in printed commands, as it is recorded


@dataclass(frozen=True)
class Situation:
    """What the way forward depends on. `sources`: the digest of each function that a deploy of the checkout would
    carry; `changes`: those that it would change. `deploy` carries out a plan that was shown, None where none was;
    `only` limits it, as `--only` does; `busy`: someone is at work."""

    history: History
    live: Mapping[str, Function]
    pending: Recovery | None
    busy: bool
    sources: Mapping[str, str]
    changes: Sequence[str]
    deploy: Command | None = None
    only: str = ""


@dataclass(frozen=True)
class Checkout:
    """The checked-out commit beside the branch. `relation`: same, ahead, behind or diverged; missing where the remote
    has no such branch, unknown where it does not answer or a shallow clone cannot tell."""

    head: str
    tip: str
    relation: str


def steps(context: Context, situation: Situation) -> tuple[Step, ...]:
    """What to type next, in order; what follows a label is another way. Empty where nothing is left to do."""
    ways = _steps(context, situation)
    if context.ledger.offline and context.ledger.shared and typed(ways):
        return Do(f"when {context.ledger.refs.place} answers again:"), *ways  # without it there is no lock
    return ways


def _steps(context: Context, situation: Situation) -> tuple[Step, ...]:
    pending, history = situation.pending, situation.history
    if situation.busy:
        return ()
    if pending and _unfinished(pending, situation):
        return _finish(context, pending, situation)
    revert = git_half(history)
    if revert and context.ledger.offline:
        return revert
    if not revert and not situation.changes:
        return ()
    now = checkout(context)
    if revert and not _reverted_by_hand(context, history, now):
        return _restored(context, situation, now, revert)
    return _forward(context, situation, now) if situation.changes else ()


def situation(
    context: Context, history: History, live: Mapping[str, Function], pending: Recovery | None, busy: bool,
    digests: Mapping[str, str] | None,
) -> Situation:  # fmt: skip
    """What the way forward depends on where no plan was made. `digests`: of the checked-out commit, by function; None
    where git cannot be read. Without a deployment on record `inv plan` has to look first."""
    known = digests or {}
    sources = {slug: known[slug] for slug in context.config.migration.functions if slug in known}
    changes = [slug for slug, digest in sources.items() if moved(history, live.get(slug), slug, digest)]
    return Situation(history, live, pending, busy, sources, changes if history.deployments else ())


def checked_out(context: Context, slugs: Sequence[str]) -> Mapping[str, str] | None:
    """Digest by function of the checked-out commit; None where git cannot be read."""
    try:
        sources = reader.reader(context).at(context.repository.head(), slugs)
    except CutoverError:
        return None
    return {slug: one.digest for slug, one in sources.items()}


def moved(history: History, live: Function | None, slug: str, digest: str) -> bool:
    """Whether a source is another one than what is live of the function, as far as the ledger knows."""
    left = history.left(slug)
    version = live.version if live else None
    return left is None or left.version != version or left.source_digest != digest


def git_half(history: History) -> tuple[Step, ...]:
    """What makes git agree with a restore; empty where it agrees, or never can."""
    newest = history.newest
    if newest is None or newest.outcome not in (*UNDONE, "restored") or closed(newest.revert):
        return ()
    record = newest.revert or {}
    if record.get("state") == "review":
        return Do(f"merge the pull request from {record.get('branch')}; when it is merged:"), inv("rollback")
    return (inv("rollback"),)


def reverted_by_hand(context: Context, history: History) -> bool:
    """Whether the branch holds what a restore made live again, though no git half of Cutover's is on record."""
    return bool(git_half(history)) and _reverted_by_hand(context, history, checkout(context))


def _reverted_by_hand(context: Context, history: History, now: Checkout) -> bool:
    newest = history.newest
    if newest is None or not now.tip:
        return False
    try:
        sources = reader.reader(context).at(now.tip, newest.slugs)
    except CutoverError:
        return False
    there = {slug: one.digest for slug, one in sources.items()}
    return all(there.get(slug) == _left(history, slug) for slug in newest.slugs)


def _left(history: History, slug: str) -> str | None:
    """The digest of what is live of a function by the ledger; None where it is absent."""
    left = history.left(slug)
    return left.source_digest if left else None


def checkout(context: Context) -> Checkout:
    """How the checked-out commit stands to the branch, as the remote had it when the ledger was last read."""
    repository, ledger, branch = context.repository, context.ledger, context.config.app.branch
    head = repository.head()
    if not ledger.shared:
        return Checkout(head, head, "same")
    if ledger.offline or ledger.remote_refs is None:
        return Checkout(head, "", "unknown")
    tip = ledger.remote_refs.get(f"refs/heads/{branch}", "")
    if tip in ("", head):
        return Checkout(head, tip, "same" if tip else "missing")
    try:
        repository.bring(context.remote, f"refs/heads/{branch}", tip)
    except CutoverError:
        return Checkout(head, tip, "unknown")
    if repository.is_ancestor(head, tip):
        return Checkout(head, tip, "behind")
    if repository.is_ancestor(tip, head):
        return Checkout(head, tip, "ahead")
    return Checkout(head, tip, "unknown" if repository.shallow() else "diverged")


def take_back(context: Context) -> Command:
    """The rollback that can be carried out now: without its git remote there is no lock."""
    offline = context.ledger.offline and context.ledger.shared
    return inv("rollback", without_lock=LOCKLESS if offline else None)


def keep(slugs: Iterable[str]) -> tuple[Step, ...]:
    """How code that no commit holds gets into git: the restored code of these functions."""
    shown = [inv("history", source=slug) for slug in slugs]
    return (Do("to keep it, commit what this prints, and push:"), *shown) if shown else ()


def roll_forward(context: Context, revert: str, only: str = "") -> tuple[Step, ...]:
    """Revert the revert, push, lift the hold, under its label. The revert may have been made elsewhere, so it is
    fetched first."""
    again = context.repository.typed("revert", "--no-edit", revert[:12])
    pull, push = _pull(context), branch_push(context)
    parts = [pull, again, push] if pull and push else [again]
    return Do("to roll forward:"), chain(*parts, lift_command(only))


def without_revert(context: Context, review: bool) -> tuple[Step, ...]:
    """The same while the revert is not on the branch: it stays away from it. `review`: it waits for a pull request."""
    label = "to roll forward, close the pull request:" if review else "to roll forward, without pushing the revert:"
    return Do(label), chain(*_some(_pull(context)), lift_command())


# An interrupted deployment


def _unfinished(pending: Recovery, situation: Situation) -> bool:
    """Whether it has to be finished first; a deploy of which nothing went live is closed by the next one."""
    return pending.verdict != "abandoned" or pending.deployment.kind == "rollback" or not situation.changes


def _finish(context: Context, pending: Recovery, situation: Situation) -> tuple[Step, ...]:
    """The commands that finish or undo it, without a deploy that would be refused or would bring back what the branch
    has reverted."""
    now = checkout(context)
    if pending.verdict == "foreign":
        there = _at(context, now.tip, situation.sources) if now.relation == "behind" else situation.sources
        if there != situation.sources:
            return _forward(context, situation, now)
        return (*pending.ways, *_some(situation.deploy))
    if pending.deployment.kind != "deploy" or pending.verdict == "abandoned":
        return pending.ways
    same = now.head == pending.deployment.revision and all(
        situation.sources.get(one.slug) == one.wanted.get("source_digest") for one in pending.deployment.functions
    )
    if same and not _reverted(context, pending, now):
        return pending.ways
    return tuple(step for step in pending.next if step.verb != "deploy")


def _reverted(context: Context, pending: Recovery, now: Checkout) -> bool:
    """Whether the branch has taken the interrupted change back: it holds again what was live before."""
    if now.relation != "behind":
        return False
    there = _at(context, now.tip, pending.deployment.slugs)
    return any(
        there.get(one.slug) == (one.before or {}).get("source_digest") != one.wanted.get("source_digest")
        for one in pending.deployment.functions
    )


# What was restored: repaired and deployed again, or taken back in git


def _restored(context: Context, situation: Situation, now: Checkout, revert: tuple[Step, ...]) -> tuple[Step, ...]:
    """Fix forward first, then the revert, each under its label. A rollback has only its git half left:
    only a repair that is there already is named beside it."""
    newest = situation.history.newest
    wanted = newest is not None and newest.kind == "rollback"
    label = revert if isinstance(revert[0], Do) else (Do("to revert it in git:"), *revert)
    own, tip = dict(situation.sources), {}
    if now.relation in ("behind", "diverged"):
        tip = _at(context, now.tip, situation.sources)
    there = tip if now.relation == "behind" else own
    changes = _changes(situation.history, there) if there is tip else situation.changes
    held = _hold(context, situation, now.tip if there is tip else now.head, there, changes)
    if held is None:
        again = _forward(context, situation, now) if changes and not wanted else ()
        return (Do("to deploy it again:"), *again, *label) if again else revert
    if not any(hold.changed_since(situation.history, held, one) for one in (there, tip)):
        fixed = f"to fix it: commit the fix, push, then {lift_command(situation.only, hold.FIXED)}"
        return revert if wanted else (Do(fixed), *label)
    where = {"behind": context.config.app.branch, "diverged": f"a commit of yours or of {context.config.app.branch}"}
    repairs = f"if {where.get(now.relation, 'this commit')} repairs it:"
    return (Do(repairs), *_repaired(context, situation, now), *label)


def _repaired(context: Context, situation: Situation, now: Checkout) -> tuple[Step, ...]:
    """A new version of what is on hold goes live by lifting the hold; what was deployed outside Cutover is seen
    first."""
    if now.relation == "diverged":
        return _rebase(context, now)
    first = _some(_pull(context)) if now.relation == "behind" else []
    if now.relation in ("ahead", "missing"):
        first = _some(branch_push(context))
    if drift.versions(situation.history, situation.live, situation.sources):
        look = chain(*first, inv("plan", diff=True)) if now.relation == "behind" else inv("plan", diff=True)
        deploy = situation.deploy if now.relation != "behind" else None
        return (look, *([chain(*first, deploy)] if deploy else []))
    return (*_branch(context, now), chain(*first, lift_command(situation.only, hold.FIXED)))


def _changes(history: History, there: Mapping[str, str]) -> list[str]:
    """The functions whose source is not what the ledger says is live."""
    return [slug for slug, digest in there.items() if _left(history, slug) != digest]


# A change that is not live yet


def _forward(context: Context, situation: Situation, now: Checkout) -> tuple[Step, ...]:
    if now.relation == "diverged":
        return _rebase(context, now)
    held = _hold(context, situation, now.head, situation.sources, situation.changes)
    if now.relation == "behind":
        there = _at(context, now.tip, situation.sources)
        if there != dict(situation.sources):
            return _follow(context, situation, now, there, held)
        if held:  # the branch holds that very code, perhaps because the revert was reverted there
            return (chain(*_some(_pull(context)), lift_command(situation.only)),)
    if held:
        return _held(context, situation, held, now, situation.sources)
    if drift.versions(situation.history, situation.live, situation.sources):
        push = _some(branch_push(context)) if now.relation in ("ahead", "missing") else []
        return (inv("plan", diff=True), *([chain(*push, situation.deploy)] if situation.deploy else []))
    deploy = situation.deploy or inv("deploy", only=situation.only)
    push = _some(branch_push(context)) if now.relation in ("ahead", "missing") else []
    if strangers := drift.restored(situation.history, situation.sources):
        replace = Do(f"to replace {drift.named(strangers)}, deployed outside Cutover and restored:")
        return (*keep(strangers), replace, inv("plan", diff=True), *_branch(context, now), chain(*push, deploy))
    return (*_branch(context, now), chain(*push, deploy))


def _rebase(context: Context, now: Checkout) -> tuple[Step, ...]:
    """Commits that the branch does not have come on top of it; what to do with them is decided there."""
    branch = context.config.app.branch
    if context.repository.merges(now.head, now.tip):
        return (context.repository.typed("pull", "--rebase", context.remote, branch),)
    return (Do(f"your commits and {branch} changed the same lines: rebase them onto {branch}, and push"),)


def _follow(
    context: Context, situation: Situation, now: Checkout, there: Mapping[str, str], held: Hold | None
) -> tuple[Step, ...]:
    """The branch has other code than the checkout: it comes first, whatever the checkout holds."""
    pull = _some(_pull(context))
    changes = _changes(situation.history, there)
    strangers = drift.restored(situation.history, there)
    branch = context.config.app.branch
    agreed = not changes or _agreed(context, situation.history, there)
    if drift.versions(situation.history, situation.live, there) or (strangers and not agreed):
        return (chain(*pull, inv("plan", diff=True)),)
    if agreed:
        holds = f"{branch} holds what is live; to follow it:"
        whole = _holds_all(context, situation, now) and not strangers
        follow: tuple[Step, ...] = (Do(holds if whole else f"to follow {branch}:"), *pull)
        again = held is not None and _revertible(context, held.revert, now.tip, there)
        return (*follow, *roll_forward(context, held.revert, situation.only)) if held and again else follow
    at_tip = _hold(context, situation, now.tip, there, changes)
    if at_tip:
        return _held(context, situation, at_tip, Checkout(now.tip, now.tip, "behind"), there)
    return (chain(*pull, inv("deploy", only=situation.only)),)


def _holds_all(context: Context, situation: Situation, now: Checkout) -> bool:
    """Whether the branch has every function that Cutover left live, those too that the config no longer lists."""
    history, live = situation.history, situation.live
    own = [slug for slug in history.slugs if slug in live and slug not in situation.sources]
    return not own or set(own) <= set(_at(context, now.tip, own))


def _agreed(context: Context, history: History, there: Mapping[str, str]) -> bool:
    """Whether the branch holds what a rollback restored, by its own record: a restored snapshot may have another
    digest than the same files in git."""
    newest = history.newest
    if newest is None or newest.outcome not in (*UNDONE, "restored") or not agrees(newest.revert):
        return False
    commit = str((newest.revert or {}).get("commit") or "")
    return bool(commit) and _at(context, commit, there) == dict(there)


def _held(
    context: Context, situation: Situation, standing: Hold, now: Checkout, sources: Mapping[str, str]
) -> tuple[Step, ...]:
    """What is on hold goes live again by reverting its revert; where that is done already, or there is none, by
    lifting the hold."""
    only = situation.only
    if not _contains(context, standing.revert, now.head) and _contains(context, standing.revert, now.tip):
        return roll_forward(context, standing.revert, only)
    first: list[Command | Shell] = []
    if now.relation == "behind":
        first = _some(_pull(context))
    elif now.relation in ("ahead", "missing"):
        first = _some(branch_push(context))
    if hold.changed_since(situation.history, standing, sources):
        which = context.config.app.branch if now.relation == "behind" else "this commit"
        return Do(f"if {which} repairs it:"), chain(*first, lift_command(only, hold.FIXED))
    return Do("to deploy what is on hold:"), chain(*first, lift_command(only))


def _hold(
    context: Context, situation: Situation, revision: str, sources: Mapping[str, str], changes: Iterable[str]
) -> Hold | None:
    digests = {slug: sources[slug] for slug in changes if slug in sources}
    if not digests:
        return None
    if not set(digests) & set(context.config.migration.functions):
        revision = ""  # as plan does
    own = reader.reader(context)
    return hold.check(context.repository, situation.history, revision, digests, context.remote, own)


def _branch(context: Context, now: Checkout) -> tuple[Step, ...]:
    """Where the remote has no such branch, it may have another name."""
    if now.relation != "missing":
        return ()
    app = context.config.app
    return (
        Do(f"{context.remote} has no branch {app.branch}: set app.branch in config.yaml to the one that is deployed, "
           "or push it:"),
    )  # fmt: skip


def _pull(context: Context) -> Shell | None:
    remote = scope.remote(context)
    return context.repository.typed("pull", "--ff-only", remote, context.config.app.branch) if remote else None


def publish(context: Context) -> tuple[Step, ...]:
    """What puts the checked-out commit on the branch, on whatever branch one is; nothing without a remote."""
    now = checkout(context)
    return _rebase(context, now) if now.relation == "diverged" else tuple(_some(branch_push(context)))


def branch_push(context: Context) -> Shell | None:
    """A branch that the remote does not have yet is named in full: git cannot tell what it is from a detached HEAD."""
    remote, branch, there = scope.remote(context), context.config.app.branch, context.ledger.remote_refs
    full = f"refs/heads/{branch}"
    name = full if there is not None and full not in there else branch
    return context.repository.typed("push", remote, f"HEAD:{name}") if remote else None


def _some(*commands: Command | Shell | None) -> list[Command | Shell]:
    return [command for command in commands if command is not None]


def _at(context: Context, revision: str, slugs: Iterable[str]) -> dict[str, str]:
    """Digests of the functions at a revision; nothing for one that is not there, or cannot be read."""
    try:
        return {slug: one.digest for slug, one in reader.reader(context).at(revision, list(slugs)).items()}
    except CutoverError:
        return {}


def _contains(context: Context, older: str, revision: str) -> bool:
    return bool(older and revision) and context.repository.is_ancestor(older, revision)


def _revertible(context: Context, revert: str, tip: str, there: Mapping[str, str]) -> bool:
    """Whether the revert can be reverted on the branch: nothing has changed the functions there since."""
    return _contains(context, revert, tip) and _at(context, revert, there) == dict(there)
