"""Rollback: say what will be live and what stays undone, ask, lock, put back what was live, then make git agree."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError, Refused, Unreachable
from migration.base.finding import named
from migration.deploy import drift, records
from migration.deploy.records import LocklessRecording
from migration.deploy.recovery import close_abandoned
from migration.deploy.staging import Pace
from migration.git import reversal
from migration.git.giterrors import SHUT
from migration.ledger.deployments import History
from migration.rollback import aim, forecast
from migration.rollback import target as targets
from migration.rollback.aim import Aim
from migration.rollback.rolled import RollbackResult
from migration.rollback.target import BASE, Target
from migration.rollback.undo import Undo
from migration.source import scope

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.lock import LockHold

__all__ = ["RollbackPlan", "RollbackResult", "run"]
BRIEF = 5.0  # seconds for the git remote's one chance to be heard before a service is put back without the lock


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback made now would do. `message` says so in a sentence, `notes` what it will not undo."""

    work: str
    to: str | None
    undone: tuple[str, ...]
    base: str
    revision: str
    functions: tuple[Aim, ...]
    files: tuple[str, ...]
    message: str
    notes: tuple[str, ...]
    target: Target = field(repr=False)
    history: History = field(repr=False)
    live: dict[str, Function] = field(repr=False)

    @property
    def key(self) -> tuple[object, ...]:
        """What must not have moved between the question and the lock."""
        versions = [(one.slug, one.action, one.live.version if one.live else None) for one in self.functions]
        return self.work, self.to, self.undone, tuple(versions)


def run(
    context: Context,
    *,
    to: str | None = None,
    scope: str | None = None,
    restore_only: bool = False,
    push: bool = True,
    wait: float = 0.0,
    without_lock: str | None = None,
    asked: bool = False,
    confirm: Callable[[RollbackPlan], bool] = lambda _: True,
    pace: Pace | None = None,
) -> RollbackResult:
    """Takes back the newest deployment, or all after `to` (`base`: all). Service first, then git (unless
    `restore_only`).

    `scope`: `functions` (only their files go back in git) or `commit` (whole commits); None as the config says.
    `confirm` shows the plan and says whether the person agrees (`asked`: by typing the project ref, so that somebody
    else's code may be replaced); nobody holds the lock meanwhile. `without_lock` is the reason to go on when the lock
    cannot be had. Refused: nothing was changed. The result's `exit_code` says the rest.
    """
    whole = _whole(scope or context.config.rollback.scope)
    reason = None if without_lock is None else _reason(without_lock)
    if reason is not None:
        context.ledger.brief(BRIEF)
    else:
        try:
            context.ledger.announce()
        except SHUT as error:
            raise _cut_off(error, to) from error
    half = forecast.Half(whole, restore_only)
    made = plan(context, to, half)
    if made.work == "none":
        return _closed(context, made, wait)
    _clean(context, made)
    if not (asked or to):
        aim.refuse(made.functions, made.to or BASE)
    if not confirm(made):
        raise Refused("Not confirmed: nothing was changed.", "inv rollback")
    undo = Undo(context, made.target, whole, restore_only, push, pace or Pace())
    name = made.target.resumes.id if made.target.resumes else records.name(context.clock.now())
    if reason is not None:
        free = LocklessRecording(context, name, None, made.history, reason=reason)
        return undo.run(free, made.functions, made.live)
    had: list[LockHold] = []
    try:
        with context.lock.held("rollback", wait, name) as held:
            had.append(held)
            again = plan(context, to, half)
            if again.key != made.key:
                raise Refused("Not rolled back: something has moved since you were asked.", "inv rollback")
            recording = records.begin(context, name, held, again.history)
            return undo.run(recording, again.functions, again.live)
    except SHUT as error:
        if not had:
            raise _cut_off(error, to) from error
        raise


def plan(context: Context, to: str | None = None, half: forecast.Half | None = None) -> RollbackPlan:
    """What a rollback would do. Reads, and changes nothing."""
    history = context.ledger.history()
    live = {function.slug: function for function in context.supabase.functions()}
    target = targets.choose(context, history, live, to)
    _deepen(context, target)
    aims = tuple(aim.aims(context, history, live, target)) if target.work == "service" else ()
    files, notes = forecast.git(context, target, _remote(context), half or forecast.Half())
    if target.work == "service":
        notes = [*forecast.strangers(aims), *notes, *forecast.secrets(context, target)]
    notes += forecast.around(context, history, live, target)
    said = _sentence(target, aims, aim.restored(history, aims), context.environment.name)
    return RollbackPlan(
        target.work, target.to.id if target.to else None, tuple(one.id for one in target.undone), target.base,
        target.revision, aims, tuple(files), said, tuple(notes), target, history, live,
    )  # fmt: skip


def _deepen(context: Context, target: Target) -> None:
    """A clone of CI is shallow, and what was live before lies beyond its edge. What stays away may be in a snapshot."""
    wanted = {one.base_revision for one in target.origins.values()} | {target.base, target.revision}
    with contextlib.suppress(CutoverError):
        reversal.have(context.repository, _remote(context), sorted(wanted - {""}))


def _remote(context: Context) -> str | None:
    """The git remote, unless it did not answer just now: nobody waits for it twice."""
    return None if context.ledger.offline else scope.remote(context)


def _sentence(target: Target, aims: tuple[Aim, ...], strangers: Mapping[str, int], environment: str) -> str:
    if target.message:
        return named(target.message, environment)
    whose = f"the code of {target.to.id}" if target.to else "the code from before the first deployment"
    if strangers:
        others = any(one.action == "restore" and one.slug not in strangers for one in aims)
        whose = f"{f'{whose} and ' if others else ''}{drift.named(strangers)}, which was not Cutover's,"
    taken = ", ".join(one.id for one in target.undone) or "nothing"
    deleted = [one.slug for one in aims if one.action == "delete"]
    if target.work == "git":
        return f"The service is put back already; git still has to take back {taken}."
    ends = f" It deletes {', '.join(deleted)}, which did not exist before." if deleted else ""
    return f"This takes back {taken} and makes {whose} live again.{ends}"


def _clean(context: Context, made: RollbackPlan) -> None:
    """Unsaved work in the very files that go back would be mistaken for what is live; other files do not matter."""
    dirty = context.repository.dirty(made.files) if made.files else []
    if dirty:
        names = ", ".join(dirty[:3]) + (" and others" if len(dirty) > 3 else "")
        aside = f"git -C {shlex.quote(str(context.app))} stash push --include-untracked -- {shlex.join(dirty)}"
        text = f"Not rolled back: {names} differs from the last commit. Commit it, or set it aside."
        raise Refused(text, f"{aside}\ninv rollback")


def _whole(scope: str) -> bool:
    """Whether whole commits go back, not only the functions' files."""
    if scope not in ("functions", "commit"):
        raise Refused(f"--scope {scope} is not known.", "inv rollback --scope functions\ninv rollback --scope commit")
    return scope == "commit"


def _cut_off(error: CutoverError, to: str | None) -> CutoverError:
    """The lock is not to be had, and why; the service can be put back all the same. The exit code stays its own."""
    text = f"The lock cannot be had: {error.message} The service can be put back without it."
    free = f"inv rollback{f' --to {to}' if to else ''} --without-lock 'why'"
    kind = type(error) if isinstance(error, Refused) else Unreachable
    return kind(text, "\n".join(filter(None, (error.hint, free))), **error.data)


def _reason(text: str) -> str:
    if not text.strip():
        raise Refused("--without-lock needs the reason.", "inv rollback --without-lock 'why'")
    return text.strip()


def _closed(context: Context, made: RollbackPlan, wait: float) -> RollbackResult:
    """Nothing to do; an interrupted deployment of which nothing went live gets its end on record."""
    pending = made.target.pending
    if pending is not None and pending.verdict == "abandoned" and pending.deployment.interrupted:
        close_abandoned(context, pending, wait)
    return RollbackResult(None, message=made.message)
