"""What is live, who made it so, whether git agrees, and whether anyone is at work or was interrupted. Reading only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration.base.errors import CutoverError, ServiceFailed
from migration.base.finding import named
from migration.base.parallel import every
from migration.deploy import drift, recovery
from migration.deploy.recovery import Recovery
from migration.ledger.deployments import UNDONE, Deployment, History, agrees
from migration.source import reader

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.lock import LockHolder


@dataclass(frozen=True)
class Row:
    """One function. `version` None: absent. `live_source`: the digest of what is live, None when the ledger does not
    know it. `git`: same, differs, absent or unknown, of the checked-out commit; `drifted`: somebody else's version."""

    slug: str
    version: int | None
    deployment: str | None
    who: str
    at: str
    live_source: str | None
    git: str
    drifted: bool


@dataclass(frozen=True)
class Told:
    """A deployment in short; `ended` is None for one without an end."""

    id: str
    kind: str
    outcome: str | None
    who: str
    at: str
    ended: datetime | None
    revision: str
    message: str


@dataclass(frozen=True)
class StatusResult:
    """`exit_code` is 5 while a deployment has no end and nobody is working on it."""

    environment: str
    functions: tuple[Row, ...]
    lock: dict[str, Any] | None
    deployments: tuple[Told, ...]
    interrupted: dict[str, Any] | None
    holds: tuple[dict[str, Any], ...]
    message: str
    notes: tuple[str, ...]
    next: tuple[str, ...]
    exit_code: int = 0


def run(context: Context, limit: int = 5) -> StatusResult:
    """Looks at the ledger, the lock, the platform and git; changes none of them."""
    context.supabase, context.repository, context.ledger  # noqa: B018 - made once, before threads ask for them
    tasks: list[Callable[[], Any]] = [context.supabase.functions, context.ledger.history]
    try:
        functions, history = every(tasks, lambda task: task())
    except ServiceFailed as error:
        raise _unasked(context, error) from error
    live = {function.slug: function for function in functions}
    holder = context.lock.holder(fresh=False) if context.ledger.offline is None else None
    pending = recovery.look(context, history, live)
    slugs = list(dict.fromkeys([*context.config.migration.functions, *_known(history)]))
    digests = _git(context, slugs)
    rows = tuple(_row(history, slug, live.get(slug), digests) for slug in slugs)
    stopped = pending if pending and (holder is None or holder.stale) else None
    message, following = _words(context, history, pending, stopped, rows)
    return StatusResult(
        context.environment.name, rows, holder.facts() if holder and not holder.stale else None,
        tuple(_told(one) for one in list(reversed(history.deployments))[:limit]),
        pending.as_json() if pending else None, tuple(dict(one) for one in history.holds), message,
        (*_leftover(holder), *_notes(context, history, live, rows)), following, 5 if stopped else 0,
    )  # fmt: skip


def _unasked(context: Context, error: ServiceFailed) -> ServiceFailed:
    """The platform cannot be asked: what the ledger knows is said all the same."""
    history = context.ledger.history(fresh=False)
    known = "As this clone last knew it, the ledger says" if context.ledger.offline else "The ledger says"
    open_ = history.interrupted
    said = f"the {open_.kind} {open_.id} by {open_.who or 'somebody'} has no end." if open_ else standing(history)
    return ServiceFailed(f"{error.message.rstrip('. ')}. {known}: {said}", error.hint or "inv status", **error.data)


def _known(history: History) -> list[str]:
    return [change.slug for one in history.deployments for change in one.functions]


def _git(context: Context, slugs: Sequence[str]) -> Mapping[str, str] | None:
    """Digest by function of the checked-out commit; None where git cannot be read."""
    try:
        found = reader.reader(context).at(context.repository.head(), slugs)
    except CutoverError:
        return None
    return {slug: one.digest for slug, one in found.items()}


def _row(history: History, slug: str, live: Function | None, digests: Mapping[str, str] | None) -> Row:
    left = history.left(slug)
    version = live.version if live else None
    ours = left is not None and left.version == version
    by = history.find(left.deployment) if left and ours else None
    known = left.source_digest if left and ours else None
    return Row(
        slug, version, by.id if by else None, by.who if by else "", by.outcome_at if by else "", known,
        _said(digests, slug, known, version), left is not None and not ours,
    )  # fmt: skip


def _said(digests: Mapping[str, str] | None, slug: str, known: str | None, version: int | None) -> str:
    if digests is None:
        return "unknown"
    if slug not in digests:
        return "same" if version is None else "absent"
    if known is None:
        return "unknown" if version is not None else "differs"
    return "same" if digests[slug] == known else "differs"


def _told(one: Deployment) -> Told:
    ended = datetime.fromisoformat(one.outcome_at) if one.outcome_at else None
    return Told(one.id, one.kind, one.outcome, one.who, one.at, ended, one.revision, one.message)


def _words(
    context: Context, history: History, pending: Recovery | None, stopped: Recovery | None, rows: Sequence[Row]
) -> tuple[str, tuple[str, ...]]:
    env = context.environment.flag
    if stopped:
        return stopped.message, stopped.next
    if pending:
        return f"The {pending.deployment.kind} {pending.deployment.id} is under way.", ()
    newest = history.newest
    drifted = [row.slug for row in rows if row.drifted]
    other = f"Somebody deployed {', '.join(drifted)} by another road." if drifted else ""
    if newest and newest.outcome in (*UNDONE, "restored") and not agrees(newest.revert):
        text = f"{newest.id} has put back what was live before; git has still to follow{_waits(newest)}."
        return f"{text} {other}".rstrip(), (f"inv rollback{env}",)
    if drifted:
        return other, (f"inv plan{env} --diff",)
    further = "" if history.deployments and proven(history) else "checks" if history.deployments else "plan"
    return standing(history), (f"inv {further}{env}",) if further else ()


def _waits(newest: Deployment) -> str:
    branch = (newest.revert or {}).get("branch")
    return f" (the revert waits on {branch})" if branch else ""


def _leftover(holder: LockHolder | None) -> list[str]:
    if holder is None or not holder.stale:
        return []
    return [f"The lock {holder.id} of {holder} is left over: the next command takes it."]


def _notes(context: Context, history: History, live: Mapping[str, Function], rows: Sequence[Row]) -> list[str]:
    env = context.environment.flag
    ledger, found = context.ledger, []
    if ledger.offline:
        found.append(f"The ledger is as this clone last knew it: {ledger.offline}")
    if not ledger.shared:
        found.append("The app has no git remote: ledger and lock are on this machine alone.")
    if unsent := ledger.emergency.waiting():
        place = ledger.emergency.folder
        found.append(f"{len(unsent)} records wait in {place}: the next command that reaches the remote pushes them.")
    if left := recovery.waiting_slugs(history, live):
        found.append(named(recovery.waiting_note(left), context.environment.name))
    if history.holds:
        tips = ", ".join(dict.fromkeys(str(one.get("tip") or "")[:9] for one in history.holds))
        found.append(f"Held: {tips} may not be deployed again until inv deploy{env} --lift-hold 'why'.")
    differing = [row.slug for row in rows if row.git == "differs" and not row.drifted]
    if differing:
        found.append(f"The checked-out commit is not what is live of {', '.join(differing)}.")
    return found


_FIRST = "The code from before the first deployment"
_PROOF = {"unproven": " (not proven)", "ungated": " (without a gate: nothing was proven)"}


def standing(history: History) -> str:
    """What is live by the ledger, if nothing was deployed outside Cutover since."""
    if not history.deployments:
        return "Nothing was deployed here by Cutover yet."
    live, (rollback, found) = history.live, drift.put_back(history)
    whole = live is not None and set(live.slugs) <= set(found)
    if found and rollback and whole:
        return f"{_capital(drift.named(found))}, which was not Cutover's, is live again: {rollback.id} put it back."
    name = f"{live.id} is live{_PROOF.get(live.outcome or '', '')}" if live else f"{_FIRST} is live"
    if found and rollback:
        return f"{name}, but for {drift.named(found)}, which was not Cutover's: {rollback.id} put it back."
    return f"{name}."


def proven(history: History) -> bool:
    """Whether nothing is live that a look at the evidence could still prove."""
    return history.live is None or history.live.outcome not in _PROOF


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
