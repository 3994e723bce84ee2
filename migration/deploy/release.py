"""Make functions live, for a deploy and for a restore: stage all, activate all, or put everything back.

Activation is one PUT that makes all staged versions live. It may be repeated, and is, until every function has moved.
"""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import Do, either, inv
from migration.base.errors import ApiError, CutoverError, ServiceFailed, Unfinished, Unknown, Unreachable
from migration.base.failpoint import failpoint
from migration.base.numbers import count
from migration.base.parallel import each
from migration.deploy.budget import RequestBudget, limited, until
from migration.deploy.staging import FunctionSpec, Pace, ReleaseRecorder, Stager, StagingAnswer, UnexpectedVersion, row

if TYPE_CHECKING:
    from migration.context import Context


NEW_CODE_IS_LIVE = "the new code is live meanwhile"


@dataclass(frozen=True)
class TimedStep:
    """A part of the work with its duration in seconds; `waited` of them for a moment to come, None where unknown."""

    name: str
    seconds: float
    detail: str = ""
    waited: float | None = None

    def record(self) -> dict[str, Any]:
        waited = {} if self.waited is None else {"waited": round(min(self.waited, self.seconds), 3)}
        return {"name": self.name, "seconds": round(self.seconds, 3), "detail": self.detail, **waited}


@dataclass
class ReleaseResult:
    """How it went. `live`: all that was wanted is live. `untouched`: nothing changed. `restored`: what was live
    before is live again. `unfinished`: the platform is between two states.

    `versions`: live version by slug, None for a deleted one; without what was not seen since the last change.
    `lost`: functions with a version that may be staged and stranded. `new_code_seconds`: for how long the wanted code
    may have been live before it was taken back. `sent_at`: when the request that makes it live was first sent, by the
    clock's `monotonic`. `settled`: for how many seconds a version was live that had been left staged, by function.
    """

    outcome: str
    versions: dict[str, int | None] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    steps: list[TimedStep] = field(default_factory=list)
    new_code_seconds: float = 0.0
    sent_at: float | None = None
    error: CutoverError | None = None
    settled: dict[str, float] = field(default_factory=dict)

    def over(self, before: Mapping[str, int | None]) -> dict[str, int | None]:
        """What is live where `before` was: an unfinished release leaves only what it saw itself."""
        return {**(before if self.outcome != "unfinished" else {}), **self.versions}


@dataclass(frozen=True)
class ActivationState:
    """What is live of staged versions: `moved` are, `unmoved` are not yet, `foreign` have a version that we did not
    stage. `error` is the last failure, None when all moved."""

    moved: tuple[str, ...] = ()
    unmoved: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    error: CutoverError | None = None

    @property
    def complete(self) -> bool:
        return not self.unmoved and not self.foreign


@dataclass
class Release:
    """Makes every `wanted` function live.

    `previous` is what to put back if that fails (None: nothing is put back, as in a rollback). `answers` are staging
    answers of an interrupted run that are still good. `budget` is that of the run; `meanwhile` says what is live while
    the release waits for the platform. `restores`: it puts back what was live before; its steps are named so.
    """

    context: Context
    recorder: ReleaseRecorder
    wanted: Sequence[FunctionSpec]
    previous: Mapping[str, FunctionSpec] | None = None
    answers: Mapping[str, StagingAnswer] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    budget: RequestBudget | None = None
    meanwhile: str = ""
    restores: bool = False

    def __post_init__(self) -> None:
        self.budget = self.budget or RequestBudget(self.context)
        self.answers = dict(self.answers)
        self.sources = [one for one in self.wanted if one.source is not None]
        self.deletions = [one for one in self.wanted if one.source is None]
        self.verb = "restore" if self.restores else "stage"
        self.one_step = len(self.sources) == 1 and not self.deletions and not self.answers
        self.stager = Stager(
            self.context, self.recorder, self.budget, self.pace, self.meanwhile, self.verb, self.one_step
        )
        self.result = ReleaseResult("untouched")
        self.put_at: float | None = None
        self._reserved = False
        env = self.context.environment.name
        back = inv("rollback", env=env)
        self.status = inv("status", env=env)
        self.again = back if self.previous is None else inv("deploy", env=env)  # a restore only goes on
        self.next = (back,) if self.previous is None else either(self.again, back)

    def run(self) -> ReleaseResult:
        """What became of it; raises nothing but signals and our own bugs: a failure is `ReleaseResult.error`."""
        with self.context.supabase.patient(self.pace.limited):
            try:
                self.reserve()
                if self.one_step:
                    self._deploy_one(self.sources[0])
                elif self.sources:
                    self._stage()
                    self._activate()
                if self.deletions:
                    self._delete()
                self.result.outcome = "live"
            except (CutoverError, OSError) as error:
                self._put_right(_as_ours(error, self.context.state))
        self.result.lost = sorted(self.stager.lost)
        self.result.sent_at = self.put_at
        now = self.context.clock.monotonic()
        self.result.settled |= {slug: now - since for slug, since in self.stager.settled.items()}
        return self.result

    def reserve(self) -> None:
        """Waits until the rate limit holds the uploads and, where there is something to put back, those of a restore:
        here, where nothing is staged yet. A set that is larger than a window begins where it needs the fewest."""
        todo, back, budget = len(self.sources), self._restorable(), self.stager.budget
        if todo + back < 2 or self.answers or self._reserved:
            return
        self._reserved = True
        budget.learn(todo + back)
        needed, limit = todo + back, budget.limit
        if limit and needed > limit:
            text = (
                f"{count(todo, 'upload')} and {back} for a restore are more than the {limit} of one rate-limit window"
            )
            self.context.observer.note(f"{text}: the deploy takes several windows.")
            needed = todo - limit * (math.ceil(todo / limit) - 1)
        self._await_window(needed, self.meanwhile or "nothing is staged yet")

    def _restorable(self) -> int:
        return sum(1 for one in (self.previous or {}).values() if one.source is not None)

    def _await_window(self, uploads: int, meanwhile: str) -> None:
        clock, end = self.context.clock, self.context.clock.monotonic() + self.pace.limited
        while (wait := self.stager.budget.lacking(uploads)) and clock.monotonic() + wait <= end:
            detail = f"rate-limited, continuing in {until(clock, wait)}: {count(uploads, 'upload')} needed; {meanwhile}"
            self.context.observer.step("rate limit", detail=detail)
            clock.sleep(wait)

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[list[str]]:
        """Shows and keeps a step; what the block appends is its detail."""
        if self.restores:
            name = "restore" if name == "deploy" else f"restore: {name}"
        clock, details = self.context.clock, list[str]()
        began, slept = clock.monotonic(), clock.slept
        self.context.observer.step(name)
        yield details
        seconds, detail = clock.monotonic() - began, ", ".join(details)
        self.result.steps.append(TimedStep(name, seconds, detail, clock.slept - slept))
        self.context.observer.done(name, detail=detail, seconds=seconds)

    def _deploy_one(self, only: FunctionSpec) -> None:
        """Exactly one function: one request stages and activates it, and nothing can be stranded between the two."""
        with self._timed("deploy") as details:
            self.recorder.confirm()
            interrupts.between(f"{only.slug} may have been deployed.", self.status)
            self.recorder.journal.sending([only.slug])
            self.put_at = self.context.clock.monotonic()
            failpoint("deploy.send")
            answer = self.stager.upload(only)
            failpoint("deploy.sent")
            self._keep(only.slug, answer)
            self._require(await_live(self.context, [answer], self.pace))
            details.append(f"{only.slug} v{answer['version']}")

    def _keep(self, slug: str, answer: StagingAnswer) -> None:
        self.answers = {**self.answers, slug: answer}

    def _stage(self) -> None:
        """All at once. After the first failure nothing new is begun, and what is under way is waited for."""
        todo = [one for one in self.sources if one.slug not in self.answers]
        with self._timed("stage") as details:
            self.recorder.confirm()
            interrupts.between("Uploads had begun; none of them is live yet.", *self.next)
            self.recorder.journal.sending([one.slug for one in todo])
            failed: list[Exception] = []
            try:
                for one, answer in each(todo, self.stager.upload):
                    if isinstance(answer, Exception):
                        self.stager.stopped.set()
                        self.context.observer.failed(self.verb, one.slug, str(answer) if failed else "")
                        failed.append(answer)  # the first one is what the deploy ends with
                    else:
                        self._keep(one.slug, answer)
                        self.context.observer.done(self.verb, one.slug, f"v{answer['version']}")
            finally:
                self.stager.stopped.set()
            if failed:
                raise failed[0]
            self.recorder.staged(self._ordered(), sorted(self.stager.lost))
            details.append(count(len(self.sources), "function"))

    def _ordered(self) -> list[StagingAnswer]:
        return [self.answers[one.slug] for one in self.sources if one.slug in self.answers]

    def _activate(self) -> None:
        if back := self._restorable():
            self._await_window(back, "everything is staged; the previous code is still live")
        with self._timed("activate") as details:
            interrupts.between("The activation may have been sent.", *self.next)
            self.put_at = self.context.clock.monotonic()
            state = self._activated(self._ordered())
            self._require(state)
            details += [f"{slug} v{version}" for slug, version in state.versions.items()]

    def _activated(self, answers: list[StagingAnswer]) -> ActivationState:
        """What was seen live before says nothing any more, until it is seen again."""
        for answer in answers:
            self.result.versions.pop(answer["slug"], None)
        return self._seen(activate(self.context, answers, self.recorder.confirm, self.pace))

    def _seen(self, state: ActivationState) -> ActivationState:
        self.result.versions.update({slug: version or None for slug, version in state.versions.items()})
        return state

    def _require(self, state: ActivationState) -> None:
        self._seen(state)
        if not state.complete:
            raise state.error or ServiceFailed("The activation did not take place.", self.status)

    def _delete(self) -> None:
        """Undo creations: only what the caller has seen to be exactly the version that we left."""
        with self._timed("delete") as details:
            interrupts.between("A function may have been deleted.", self.status)
            for one in self.deletions:
                self.recorder.confirm()
                failpoint("delete.send")
                try:
                    self.context.supabase.delete(one.slug)
                except CutoverError:
                    if self.context.supabase.function(one.slug) is not None:
                        raise
                failpoint("delete.sent")
                self.result.versions[one.slug] = None
                details.append(one.slug)

    # After a failure: what is live decides, never what failed.

    def _put_right(self, error: CutoverError) -> None:
        self.result.error = error
        try:
            outcome = self._settled() if self.answers else self._unsent()
            self.result.outcome = "unfinished" if isinstance(error, UnexpectedVersion) else outcome
        except (CutoverError, OSError) as second:
            self.result.outcome = "unfinished"
            also = _as_ours(second, self.context.state)
            more = "" if also.message in error.message else f" {also.message}"
            self.result.error = Unfinished(f"{error.message.rstrip('. ')}.{more}", *(also.steps or (self.status,)))

    def _unsent(self) -> str:
        """No upload was answered: nothing went live, unless a single deploy did so without an answer."""
        if self.put_at is not None:
            only = self.sources[0]
            live = self.context.supabase.function(only.slug)
            version = live.version if live else 0
            if version != only.expected - 1:
                self.result.versions[only.slug] = version or None
                raise Unfinished(f"{only.slug} v{version} is live now.")
        return "untouched"

    def _settled(self) -> str:
        """Every staged version must be activated, or the next upload of that function meets a 409."""
        for slug in self.answers:
            self.result.versions.pop(slug, None)
        state = self._seen(look(self.context, self._ordered()))
        if state.foreign:
            names = ", ".join(state.foreign)
            raise Unfinished(f"{names} was deployed outside Cutover meanwhile: nothing more was done.")
        guessed = {slug for slug, answer in self.answers.items() if "created_at" not in answer}
        if self.put_at is not None and not state.moved and not guessed:
            raise Unfinished("Nothing went live; the staged versions still have to be activated.", self.again)
        return self._restored(self._all_live(state, guessed))

    def _all_live(self, state: ActivationState, guessed: set[str]) -> ActivationState:
        """Activates what was staged, without the guessed versions where the platform refuses those."""
        if not state.unmoved or (self.put_at is not None and state.moved):
            return state
        known = [answer for answer in self._ordered() if answer["slug"] not in guessed]
        first = self._ordered() if self.put_at is None else known
        self.put_at = self.put_at or self.context.clock.monotonic()
        self.recorder.staged(first, sorted(self.stager.lost | guessed))
        done = self._activated(first) if first else ActivationState()
        if not done.complete and guessed and first != known and known:
            done = self._activated(known)
        self.stager.lost |= guessed - set(done.moved)
        return done

    def _restored(self, settled: ActivationState) -> str:
        if not settled.moved and not settled.unmoved:
            return "untouched"
        rollback = inv("rollback", env=self.context.environment.name)
        if self.previous is None:
            raise Unfinished(f"{', '.join(settled.moved)} went live and the rest did not.", rollback)
        lacking = [slug for slug in settled.moved if slug not in self.previous]
        if lacking:
            raise Unfinished(f"{', '.join(lacking)} cannot be restored, as the plan showed.", self.status)
        live = {function.slug: function for function in self.context.supabase.functions()}
        back = [replace(self.previous[slug], before=live.get(slug)) for slug in settled.moved]
        seen = {one.slug: self.result.versions.pop(one.slug) for one in back}
        restored = Release(
            self.context,
            self.recorder.restoring(),
            back,
            pace=self.pace,
            budget=self.budget,
            meanwhile=NEW_CODE_IS_LIVE,
            restores=True,
        ).run()
        self.result.steps += restored.steps
        self.result.versions.update(restored.over(seen))
        self.result.settled |= restored.settled
        self.result.new_code_seconds = self.context.clock.monotonic() - (self.put_at or 0.0)
        if restored.error is not None:
            raise restored.error
        if settled.unmoved:
            raise Unfinished(f"{', '.join(settled.unmoved)} still has to be activated; the rest is restored.")
        return "restored"


def activate(
    context: Context, answers: Sequence[Mapping[str, Any]], confirm: Callable[[], object], pace: Pace
) -> ActivationState:
    """Sends the PUT and reads back, again and again until all have moved, it is refused, or `pace.activate` is over.

    `confirm` raises when the lock is not surely ours any more; then nothing is sent. Raises ServiceFailed when the
    platform cannot even be read: then it is unknown what is live.
    """
    clock, tries = context.clock, 0
    began = clock.monotonic()
    rows = [row(answer) for answer in answers]
    while True:
        confirm()
        error: CutoverError | None = None
        failpoint("activate.send")
        try:
            context.supabase.activate(rows)
        except (ApiError, Unreachable, Unknown) as failed:
            error = failed
        finally:
            failpoint("activate.sent")
        state = _look_twice(context, answers, pace, error)
        tries += 1
        pause = pace.policy.pause(error, tries, "same") if error else pace.policy.backoff(tries)
        patience = pace.limited if limited(error) else pace.activate
        if state.complete or state.foreign or pause is None or clock.monotonic() + pause > began + patience:
            return state
        detail = f"retrying in {until(clock, pause)} for {', '.join(state.unmoved)}, where the previous code is live"
        context.observer.step("activate", detail=detail)
        clock.sleep(pause)


def await_live(context: Context, answers: Sequence[Mapping[str, Any]], pace: Pace) -> ActivationState:
    """Reads until what was deployed in one step shows as live, or `pace.activate` is over."""
    end, tries = context.clock.monotonic() + pace.activate, 0
    while True:
        state = _look_twice(context, answers, pace)
        tries += 1
        pause = pace.policy.backoff(tries)
        if state.complete or state.foreign or context.clock.monotonic() + pause > end:
            return state
        left = until(context.clock, end - context.clock.monotonic())
        detail = f"waiting for {', '.join(state.unmoved)} to show as live, at most {left}"
        context.observer.step("activate", detail=f"{detail}; either version may answer")
        context.clock.sleep(pause)


def look(context: Context, answers: Sequence[Mapping[str, Any]], error: CutoverError | None = None) -> ActivationState:
    """What is live now, against the versions that staging gave."""
    live = {function.slug: function.version for function in context.supabase.functions()}
    versions = {str(answer["slug"]): live.get(answer["slug"], 0) for answer in answers}
    staged = {str(answer["slug"]): int(answer["version"]) for answer in answers}
    moved = tuple(slug for slug, version in versions.items() if version == staged[slug])
    unmoved = tuple(slug for slug, version in versions.items() if version < staged[slug])
    foreign = tuple(slug for slug, version in versions.items() if version > staged[slug])
    failed = error or ServiceFailed("The platform accepted the activation and did not carry it out.", inv("status"))
    return ActivationState(moved, unmoved, foreign, versions, failed if unmoved or foreign else None)


def _look_twice(
    context: Context, answers: Sequence[Mapping[str, Any]], pace: Pace, error: CutoverError | None = None
) -> ActivationState:
    """What is live. A refused read says nothing about the write: read again before deciding."""
    try:
        return look(context, answers, error)
    except ServiceFailed:
        context.clock.sleep(pace.wait)
        return look(context, answers, error)


def _as_ours(error: CutoverError | OSError, state: Path) -> CutoverError:
    """`state`: the folder that is written to, named where the system names none."""
    if isinstance(error, CutoverError):
        return error
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    place = error.filename or (state if full else "")
    text = f"Local error: {error.strerror or error}{f': {place}' if place else ''}."
    return Unfinished(text, *([Do(f"free space on the disk of {state}")] if full else []), inv("status"))
