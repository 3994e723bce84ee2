"""What is live, who deployed it, whether git agrees, and whether anyone is deploying or was interrupted. Reads only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from migration.base.clock import minute
from migration.base.command import Step, inv
from migration.base.durations import show
from migration.base.errors import Refused, ServiceFailed
from migration.base.numbers import count, listed
from migration.base.parallel import every
from migration.deploy import drift, forward, recovery
from migration.deploy.recovery import Recovery
from migration.inspect import watching
from migration.ledger.deployments import UNDONE, Deployment, History, agrees, closed, lacking
from migration.source import reader

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.config.settings import Config
    from migration.context import Context
    from migration.ledger.lock import LockHolder


SILENT = 3.0  # seconds without an answer of the platform, after which what the ledger knows is shown


@dataclass(frozen=True)
class Row:
    """One function. `version` None: absent. `deployment`: the one whose code is live, None where that is older than
    the ledger; `restored_by`: what made it live again, empty where nothing had to. `live_source`: the digest of what
    is live, None where the ledger has none. `git`: same, differs, absent, broken (it cannot be read) or unknown,
    of the checked-out commit; `drifted`: deployed outside Cutover."""

    slug: str
    version: int | None
    deployment: str | None
    who: str
    at: str
    live_source: str | None
    git: str
    drifted: bool
    restored_by: str = ""


@dataclass(frozen=True)
class StatusSummary:
    """A deployment in short; `ended` is None while it has no outcome."""

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
    """`exit_code` is 5 while a deployment has no outcome and its lock is free or stale."""

    environment: str
    functions: tuple[Row, ...]
    lock: dict[str, Any] | None
    deployments: tuple[StatusSummary, ...]
    interrupted: dict[str, Any] | None
    holds: tuple[dict[str, Any], ...]
    message: str
    notes: tuple[str, ...]
    next: tuple[Step, ...]
    exit_code: int = 0


def run(context: Context, limit: int = 5) -> StatusResult:
    """Looks at the ledger, the lock, the platform and git; changes none of them."""
    context.project()  # refused before anything is begun
    context.ledger.glance()
    try:
        functions, history = _look(context)
    except ServiceFailed as error:
        raise _ledger_only(context, error) from error
    live = {function.slug: function for function in functions}
    holder = context.lock.holder(fresh=False) if context.ledger.offline is None else None
    pending = recovery.look(context, history, live)
    slugs = _shown(context.config, history, live)
    digests = forward.checked_out(context, slugs)
    broken = _broken(context, [slug for slug in slugs if digests is not None and slug not in digests])
    rows = tuple(_row(history, slug, live.get(slug), digests, slug in broken) for slug in slugs)
    stopped = pending if pending and (holder is None or holder.stale) else None
    message, following = _words(context, history, pending, stopped, rows)
    busy = stopped is None and pending is not None
    situation = forward.situation(context, history, live, pending, busy, digests)
    following = forward.steps(context, situation) or following
    return StatusResult(
        context.environment.name, rows, holder.facts() if holder and not holder.stale else None,
        tuple(_summary(one) for one in islice(reversed(history.deployments), limit)),
        pending.as_json() if pending else None, tuple(dict(one) for one in history.holds), message,
        (*_leftover(holder), *_notes(context, history, live, rows), *broken.values()), following, 5 if stopped else 0,
    )  # fmt: skip


def _shown(config: Config, history: History, live: Mapping[str, Function]) -> list[str]:
    """The functions of the migration, and others that Cutover deployed as long as they are there."""
    return list(dict.fromkeys([*config.migration.functions, *(slug for slug in history.slugs if slug in live)]))


def _look(context: Context) -> tuple[list[Function], History]:
    """The platform and the ledger, asked at once."""
    waiting = _Waiting(context)
    tasks: list[Callable[[], Any]] = [waiting.functions, waiting.history]
    silent = threading.Timer(SILENT, waiting.show)
    silent.daemon = True
    silent.start()
    try:
        functions, history = every(tasks, lambda task: task())
    finally:
        silent.cancel()
    return functions, history


class _Waiting:
    """Who has not answered for SILENT seconds is named; while it is the platform, with what the ledger knows."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._functions: list[Function] | None = None
        self._history: History | None = None
        self._silent = False
        self._turn = threading.Lock()

    def functions(self) -> list[Function]:
        functions = self.context.supabase.functions()
        with self._turn:
            self._functions = functions
            if self._silent and self._history is None:
                self._note()
        return functions

    def history(self) -> History:
        read = self.context.ledger.history()
        with self._turn:
            self._history = read
            if self._silent and self._functions is None:
                self._note()
        return read

    def show(self) -> None:
        with self._turn:
            self._silent = True
            self._note()

    def _note(self) -> None:
        if self._functions is not None and self._history:
            return
        who = [] if self._functions is not None else ["the platform"]
        who += [] if self._history else [f"the git remote {self.context.remote}"]
        named = " and ".join(who)
        known = f" The ledger: {_known_since(self._history)}" if self._history else ""
        known += f" The platform: {self._live(self._functions)}" if self._functions is not None else ""
        have = "has" if len(who) == 1 else "have"
        self.context.observer.note(f"{named[0].upper()}{named[1:]} {have} not answered for {show(SILENT)}.{known}")

    def _live(self, functions: Sequence[Function]) -> str:
        """The versions that are live now, of the functions that are migrated."""
        live = {one.slug: one.version for one in functions}
        slugs = self.context.config.migration.functions
        return f"{listed([f'{slug} {_version(live.get(slug))}' for slug in slugs])}."


def _version(number: int | None) -> str:
    return "is not there" if number is None else f"v{number}"


def _known_since(history: History) -> str:
    """What is live according to the ledger, and since when it says so."""
    ended = history.newest.outcome_at or history.newest.at if history.newest else ""
    return f"{standing(history).rstrip('.')}, as of {minute(ended)}Z." if ended else standing(history)


def _ledger_only(context: Context, error: ServiceFailed) -> ServiceFailed:
    """The platform does not answer: the error also says what the ledger knows."""
    history = context.ledger.history(fresh=False)
    source = "The ledger, as this clone last read it" if context.ledger.offline else "The ledger"
    open_ = history.interrupted
    state = f"{open_.kind} {open_.id} by {open_.who or 'unknown'} has no outcome." if open_ else standing(history)
    if context.ledger.unread:
        source, state = "The ledger", "this clone has never read it."
    steps = error.steps or (inv("status"),)
    return ServiceFailed(f"{error.message.rstrip('. ')}. {source}: {state}", *steps, **error.data)


def _broken(context: Context, slugs: Sequence[str]) -> dict[str, str]:
    """Why the checked-out commit cannot be read, by function; not those that it does not have."""
    if not slugs:
        return {}
    tried = reader.reader(context).tried_at(context.repository.head(), slugs)
    return {
        slug: f"The checked-out commit cannot be deployed: {attempt.message}"
        for slug, attempt in tried.items()
        if isinstance(attempt, Refused) and not isinstance(attempt, reader.Absent)
    }


def _row(
    history: History, slug: str, live: Function | None, digests: Mapping[str, str] | None, broken: bool = False
) -> Row:
    left = history.left(slug)
    version = live.version if live else None
    ours = left is not None and left.version == version
    by = history.find(left.deployment) if left and ours else None
    known = left.source_digest if left and ours else None
    code = _code_of(history, by, slug, known)
    return Row(
        slug, version, code.id if code else None, by.who if by else "", by.outcome_at if by else "", known,
        "broken" if broken else _in_git(digests, slug, known, version), left is not None and not ours,
        by.id if by and not by.stayed and version is not None else "",
    )  # fmt: skip


def _code_of(history: History, by: Deployment | None, slug: str, digest: str | None) -> Deployment | None:
    """The deployment whose code is live as `by` left it: itself, or what it restored; None where that is older."""
    if by is None or by.stayed or digest is None:
        return by if by is None or by.stayed else None
    earlier = (one for one in history.touching(slug) if one.stayed and history.place(one.id) < history.place(by.id))
    return next((one for one in earlier if _left_it(one, slug) == digest), None)


def _left_it(one: Deployment, slug: str) -> object:
    change = one.change(slug)
    return ((change.after if change else None) or {}).get("source_digest")


def _in_git(digests: Mapping[str, str] | None, slug: str, known: str | None, version: int | None) -> str:
    if digests is None:
        return "unknown"
    if slug not in digests:
        return "same" if version is None else "absent"
    if known is None:
        return "unknown" if version is not None else "differs"
    return "same" if digests[slug] == known else "differs"


def _summary(one: Deployment) -> StatusSummary:
    ended = datetime.fromisoformat(one.outcome_at) if one.outcome_at else None
    return StatusSummary(one.id, one.kind, one.outcome, one.who, one.at, ended, one.revision, one.message)


def _words(
    context: Context, history: History, pending: Recovery | None, stopped: Recovery | None, rows: Sequence[Row]
) -> tuple[str, tuple[Step, ...]]:
    env = context.environment.name
    if stopped:
        return stopped.message, ()
    if pending:
        return f"{pending.deployment.kind.capitalize()} {pending.deployment.id} is under way.", ()
    if context.ledger.unread:
        return "What was deployed with Cutover is unknown.", ()
    newest = history.newest
    drifted = [row for row in rows if row.drifted]
    other = " ".join(_outside(drifted))
    if newest and newest.outcome in (*UNDONE, "restored") and not agrees(newest.revert):
        text = f"{newest.id} restored what was live before{_reverted(context, history, newest)}."
        return f"{text} {other}".rstrip(), ()
    if drifted:
        return other, ()
    further = "" if history.deployments and proven(history) else "checks" if history.deployments else "plan"
    return standing(history), (inv(further, env=env),) if further else ()


def _reverted(context: Context, history: History, newest: Deployment) -> str:
    """Why the git half of a restore is not on record, in words that follow on the restore."""
    if closed(newest.revert):
        return f"; the commit is not reverted: {lacking(newest.revert)}"
    if forward.reverted_by_hand(context, history):
        return f", and {context.config.app.branch} holds it"
    return f"; the commit is not reverted yet{_waits(newest)}"


def _outside(drifted: Sequence[Row]) -> Iterator[str]:
    if deployed := {row.slug: row.version for row in drifted if row.version is not None}:
        yield f"{drift.outside(deployed)}."
    for row in drifted:
        if row.version is None:
            yield f"{row.slug} was deleted outside Cutover."


def _waits(newest: Deployment) -> str:
    branch = (newest.revert or {}).get("branch")
    return f" (the revert waits on {branch})" if branch else ""


def _leftover(holder: LockHolder | None) -> list[str]:
    if holder is None or not holder.stale:
        return []
    return [f"Stale lock {holder.id} of {holder}: the next command takes it over."]


def _notes(context: Context, history: History, live: Mapping[str, Function], rows: Sequence[Row]) -> list[str]:
    ledger, notes = context.ledger, []
    if ledger.offline:
        notes.append(ledger.offline)
    if not ledger.shared:
        notes.append("The app has no git remote: ledger and lock exist on this machine only.")
    if unsent := ledger.emergency.waiting():
        place = ledger.emergency.folder
        queued = count(len(unsent), "queued record")
        notes.append(f"{queued} in {place}: the next command that reaches the remote pushes them.")
    if words := watching.running(context, live=history.live.id if history.live else "none"):
        notes.append(words)
    elif history.live and history.live.watches:
        last = history.live.watches[-1]
        notes.append(f"Watched: {last.get('verdict') or 'unknown'} ({last.get('ended') or 'no reason on record'}).")
    if left := recovery.waiting_slugs(history, live):
        notes.append(recovery.waiting_note(left))
    migration = context.config.migration
    behind = drift.left_behind(history, live, [*migration.functions, *migration.unchanged])
    if note := drift.left_behind_note(behind, context.supabase.ref):
        notes.append(note)
    if history.holds:
        notes.append(_held([str(one.get("tip") or "")[:9] for one in history.holds]))
    differing = [row.slug for row in rows if row.git == "differs" and not row.drifted]
    if differing:
        notes.append(f"Your checkout differs from the live {' and '.join(differing)}.")
    return notes


def _held(tips: Sequence[str]) -> str:
    """The newest rolled-back commit by name, and how many more there are."""
    unique = list(dict.fromkeys(tips))
    more = f" and {len(unique) - 1} more were" if len(unique) > 1 else " was"
    return f"On hold: {unique[-1]}{more} rolled back."


_FIRST = "The code from before the first deployment"
_PROOF = {"unproven": " (not proven)", "ungated": " (deployed without a gate: not proven)"}


def standing(history: History) -> str:
    """What is live according to the ledger, unless something was deployed outside Cutover since."""
    if not history.deployments:
        return "Nothing was deployed with Cutover yet."
    live, (rollback, restored) = history.live, drift.put_back(history)
    carried = live or rollback
    whole = carried is not None and set(carried.slugs) <= set(restored)
    if restored and rollback and whole:
        verb = "is" if len(restored) == 1 else "are"
        return f"{drift.named(restored)}, deployed outside Cutover, {verb} live again: restored by {rollback.id}."
    name = f"{live.id} is live{_PROOF.get(live.outcome or '', '')}" if live else f"{_FIRST} is live"
    if restored and rollback:
        word = "except" if live else "with"
        return f"{name}, {word} {drift.named(restored)}, deployed outside Cutover: restored by {rollback.id}."
    return f"{name}."


def proven(history: History) -> bool:
    """Whether what is live was proven, so that `inv checks` has nothing to add."""
    return history.live is None or history.live.outcome not in _PROOF
