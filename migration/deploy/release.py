"""Make functions live, for a deploy and for a restore: stage all, activate all, or put everything back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import ApiError, CutoverError, ServiceFailed, Unfinished, Unknown, Unreachable
from migration.base.failpoint import failpoint
from migration.base.parallel import each
from migration.deploy.records import Journal
from migration.deploy.staging import Answer, FunctionSpec, Pace, Stager, row

if TYPE_CHECKING:
    from migration.context import Context


class Recorder(Protocol):
    """What a release tells, and asks, while it goes on."""

    @property
    def journal(self) -> Journal: ...

    def staged(self, answers: Sequence[Answer], lost: Sequence[str]) -> None:
        """One ledger record before the activation. Raises when it cannot be written."""

    def restoring(self) -> Recorder:
        """The same, for putting back what was live: its records say so."""

    def confirm(self) -> None:
        """Raises unless the lock was surely ours within the last 15 seconds."""

    def explained(self, slug: str) -> bool:
        """Whether the ledger accounts for a staged version of this function that was never activated."""


@dataclass(frozen=True)
class TimedStep:
    """A part of the work with its duration in seconds."""

    name: str
    seconds: float
    detail: str = ""

    def record(self) -> dict[str, Any]:
        return {"name": self.name, "seconds": round(self.seconds, 3), "detail": self.detail}


@dataclass
class ReleaseResult:
    """How it went. `live`: all that was wanted is live. `untouched`: nothing changed. `restored`: what was live
    before is live again. `unfinished`: the platform is between two states.

    `versions`: live version by slug, None for a deleted one; what nobody has seen since the last change is not in it.
    `lost`: functions with a version that may be staged and stranded. `new_code_seconds`: for how long the wanted code
    may have answered before it was taken back. `sent_at`: when the request that makes it live was first sent, by the
    clock's `monotonic`. `settled`: for how many seconds a version answered that had been left waiting, by function.
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
    """Slugs by what the platform shows after activation. `versions` is what is live now (0: nothing).

    `foreign`: a version that we did not stage is live. `error` is the last failure, None when all moved.
    """

    moved: tuple[str, ...]
    unmoved: tuple[str, ...]
    foreign: tuple[str, ...]
    versions: Mapping[str, int]
    error: CutoverError | None = None

    @property
    def complete(self) -> bool:
        return not self.unmoved and not self.foreign


def activate(
    context: Context, answers: Sequence[Mapping[str, Any]], confirm: Callable[[], None], pace: Pace
) -> ActivationState:
    """Sends the PUT and reads back, again and again until all have moved, it is refused, or `pace.activate` is over.

    `confirm` raises when the lock is not surely ours any more; then nothing is sent. Raises ServiceFailed when the
    platform cannot even be read: nobody knows then what is live.
    """
    clock, tries = context.clock, 0
    end = clock.monotonic() + pace.activate
    rows = [row(answer) for answer in answers]
    while True:
        confirm()
        error = _put(context, rows)
        landed = _seen(context, answers, pace, error)
        tries += 1
        pause = _pause(error, tries, pace)
        if landed.complete or landed.foreign or pause is None or clock.monotonic() + pause > end:
            return landed
        waiting = ", ".join(landed.unmoved)
        context.observer.step("activate", detail=f"again in {pause:.1f} s for {waiting}")
        clock.sleep(pause)


def await_live(context: Context, answers: Sequence[Mapping[str, Any]], pace: Pace) -> ActivationState:
    """Reads until what was deployed in one step shows as live, or `pace.activate` is over."""
    end, tries = context.clock.monotonic() + pace.activate, 0
    while True:
        landed = _seen(context, answers, pace)
        tries += 1
        pause = min(pace.wait * 2.0 ** (tries - 1), pace.longest)
        if landed.complete or landed.foreign or context.clock.monotonic() + pause > end:
            return landed
        context.clock.sleep(pause)


def _seen(
    context: Context, answers: Sequence[Mapping[str, Any]], pace: Pace, error: CutoverError | None = None
) -> ActivationState:
    """What is live; a refusal of the question is no word about the answer, so it is asked twice."""
    try:
        return look(context, answers, error)
    except ServiceFailed:
        context.clock.sleep(pace.wait)
        return look(context, answers, error)


def look(context: Context, answers: Sequence[Mapping[str, Any]], error: CutoverError | None = None) -> ActivationState:
    """What is live now, against the versions that staging gave."""
    live = {function.slug: function.version for function in context.supabase.functions()}
    versions = {str(answer["slug"]): live.get(answer["slug"], 0) for answer in answers}
    staged = {str(answer["slug"]): int(answer["version"]) for answer in answers}
    moved = tuple(slug for slug, version in versions.items() if version == staged[slug])
    unmoved = tuple(slug for slug, version in versions.items() if version < staged[slug])
    foreign = tuple(slug for slug, version in versions.items() if version > staged[slug])
    failed = error or ServiceFailed("the platform accepted the activation and did not carry it out", "inv status")
    return ActivationState(moved, unmoved, foreign, versions, failed if unmoved or foreign else None)


def _put(context: Context, rows: list[dict[str, Any]]) -> CutoverError | None:
    failpoint("activate.send")
    try:
        context.supabase.activate(rows)
    except (ApiError, Unreachable, Unknown) as error:
        return error
    finally:
        failpoint("activate.sent")
    return None


def _pause(error: CutoverError | None, tries: int, pace: Pace) -> float | None:
    """Seconds before the same PUT again; None when the platform refused it for good."""
    if isinstance(error, ApiError):
        if error.status not in (408, 425, 429) and error.status < 500:
            return None
        if error.retry_after is not None:
            return error.retry_after
    return min(pace.wait * 2.0 ** (tries - 1), pace.longest)


def release(
    context: Context,
    wanted: Sequence[FunctionSpec],
    recorder: Recorder,
    *,
    previous: Mapping[str, FunctionSpec] | None = None,
    answers: Mapping[str, Answer] | None = None,
    pace: Pace | None = None,
) -> ReleaseResult:
    """Makes every `wanted` function live, or says what became of it.

    `previous` is what to put back if that fails (None: nothing is put back, as in a rollback). `answers` are staging
    answers of an interrupted run that are still good. Raises nothing but signals and mistakes of ours: what failed is
    `ReleaseResult.error`.
    """
    return _Release(context, list(wanted), recorder, previous, dict(answers or {}), pace or Pace()).run()


class _Release:
    def __init__(
        self,
        context: Context,
        wanted: list[FunctionSpec],
        recorder: Recorder,
        previous: Mapping[str, FunctionSpec] | None,
        answers: dict[str, Answer],
        pace: Pace,
    ) -> None:
        self.context, self.recorder, self.previous, self.pace = context, recorder, previous, pace
        self.sources = [one for one in wanted if one.source is not None]
        self.deletions = [one for one in wanted if one.source is None]
        self.answers = answers
        self.stager = Stager(context, recorder.journal, recorder.explained, pace)
        self.result = ReleaseResult("untouched")
        self.put_at: float | None = None
        env = context.environment.name
        back = inv("rollback", env=env)
        self.status = inv("status", env=env)
        self.next = (back,) if previous is None else (inv("deploy", env=env), back)  # a restore can only be finished

    def run(self) -> ReleaseResult:
        try:
            self._change()
        except (CutoverError, OSError) as error:
            self._put_right(_translated(error))
        self.result.lost = sorted(self.stager.lost)
        self.result.sent_at = self.put_at
        now = self.context.clock.monotonic()
        self.result.settled |= {slug: now - since for slug, since in self.stager.settled.items()}
        return self.result

    def _change(self) -> None:
        if len(self.sources) == 1 and not self.deletions and not self.answers:
            self._timed("deploy", self._alone)
        elif self.sources:
            self._timed("stage", self._stage)
            self._timed("activate", self._activate)
        if self.deletions:
            self._timed("delete", self._delete)
        self.result.outcome = "live"

    def _timed(self, name: str, work: Callable[[], str]) -> None:
        began = self.context.clock.monotonic()
        self.context.observer.step(name)
        detail = work()
        seconds = self.context.clock.monotonic() - began
        self.result.steps.append(TimedStep(name, seconds, detail))
        self.context.observer.done(name, detail=detail, seconds=seconds)

    def _alone(self) -> str:
        """Exactly one function: one request stages and activates it, and nothing can be stranded between the two."""
        only = self.sources[0]
        self.recorder.confirm()
        interrupts.between(f"{only.slug} may be deployed or not.", self.status)
        self.recorder.journal.sending([only.slug])
        self.put_at = self.context.clock.monotonic()
        failpoint("deploy.send")
        answer = self.stager.deploy(only)
        failpoint("deploy.sent")
        self.answers[only.slug] = answer
        self._arrived(await_live(self.context, [answer], self.pace))
        return f"{only.slug} v{answer['version']}"

    def _stage(self) -> str:
        self.recorder.confirm()
        interrupts.between("Uploads had begun and nothing of them is live yet.", *self.next)
        self.recorder.journal.sending([one.slug for one in self.sources if one.slug not in self.answers])
        failed = [result for result in self._uploads() if isinstance(result, Exception)]
        if failed:
            raise failed[0]
        self.recorder.staged(self._ordered(), sorted(self.stager.lost))
        return f"{len(self.sources)} functions"

    def _uploads(self) -> Iterator[Answer | Exception]:
        """All at once. After the first failure nothing new is begun, and what is under way is waited for."""
        todo = [one for one in self.sources if one.slug not in self.answers]
        try:
            for one, answer in each(todo, self.stager.stage):
                if isinstance(answer, Exception):
                    self.stager.stopped.set()
                    self.context.observer.failed("stage", one.slug, str(answer))
                else:
                    self.answers[one.slug] = answer
                    self.context.observer.done("stage", one.slug, f"v{answer['version']}")
                yield answer
        finally:
            self.stager.stopped.set()

    def _ordered(self) -> list[Answer]:
        return [self.answers[one.slug] for one in self.sources if one.slug in self.answers]

    def _activate(self) -> str:
        interrupts.between("The activation may have been sent.", *self.next)
        self.put_at = self.context.clock.monotonic()
        landed = self._activated(self._ordered())
        self._arrived(landed)
        return ", ".join(f"{slug} v{version}" for slug, version in landed.versions.items())

    def _activated(self, answers: list[Answer]) -> ActivationState:
        """What was seen live before says nothing any more, until it is seen again."""
        for answer in answers:
            self.result.versions.pop(answer["slug"], None)
        return self._seen(activate(self.context, answers, self.recorder.confirm, self.pace))

    def _seen(self, landed: ActivationState) -> ActivationState:
        self.result.versions.update({slug: version or None for slug, version in landed.versions.items()})
        return landed

    def _arrived(self, landed: ActivationState) -> None:
        self._seen(landed)
        if not landed.complete:
            raise landed.error or ServiceFailed("the activation did not take place", "inv status")

    def _delete(self) -> str:
        """Undo creations: only what the caller has seen to be exactly the version that we left."""
        interrupts.between("A function may be deleted or not.", self.status)
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
        return ", ".join(one.slug for one in self.deletions)

    # After a failure: what is live decides, never what failed.

    def _put_right(self, error: CutoverError) -> None:
        self.result.error = error
        try:
            self.result.outcome = self._settled() if self.answers else self._unsent()
        except (CutoverError, OSError) as second:
            self.result.outcome = "unfinished"
            also = _translated(second)
            said = "" if also.message in error.message else f" {also.message}"
            self.result.error = Unfinished(f"{error.message.rstrip('. ')}.{said}", also.hint or "inv status")

    def _unsent(self) -> str:
        """No upload was answered: nothing went live, unless a single deploy did so without saying it."""
        if self.put_at is not None:
            only = self.sources[0]
            live = self.context.supabase.function(only.slug)
            if (live.version if live else 0) != only.expected - 1:
                self.result.versions[only.slug] = live.version if live else None
                raise Unfinished(f"Version {live.version if live else 0} of {only.slug} is live, and it is not ours.")
        return "untouched"

    def _settled(self) -> str:
        """Every staged version must be activated, or the next upload of that function meets a 409."""
        for slug in self.answers:
            self.result.versions.pop(slug, None)
        landed = self._seen(look(self.context, self._ordered()))
        if landed.foreign:
            raise Unfinished(f"Someone else deployed {', '.join(landed.foreign)} meanwhile: nothing more was done.")
        guessed = {slug for slug, answer in self.answers.items() if "created_at" not in answer}
        if self.put_at is not None and not landed.moved and not guessed:
            raise Unfinished("Nothing went live, and the staged versions wait to be activated.", "inv deploy")
        return self._restored(self._all_live(landed, guessed))

    def _all_live(self, landed: ActivationState, guessed: set[str]) -> ActivationState:
        """Activates what was staged, without the guessed versions if the platform takes offence at those."""
        if not landed.unmoved or (self.put_at is not None and landed.moved):
            return landed
        known = [answer for answer in self._ordered() if answer["slug"] not in guessed]
        first = self._ordered() if self.put_at is None else known
        self.put_at = self.put_at or self.context.clock.monotonic()
        self.recorder.staged(first, sorted(self.stager.lost | guessed))
        done = self._activated(first) if first else ActivationState((), (), (), {})
        if not done.complete and guessed and first != known and known:
            done = self._activated(known)
        self.stager.lost |= guessed - set(done.moved)
        return done

    def _restored(self, settled: ActivationState) -> str:
        if not settled.moved and not settled.unmoved:
            return "untouched"
        if self.previous is None:
            raise Unfinished(f"{', '.join(settled.moved)} went live and the rest did not.", "inv rollback")
        lacking = [slug for slug in settled.moved if slug not in self.previous]
        if lacking:
            raise Unfinished(f"{', '.join(lacking)} cannot be put back: the plan said so.", "inv status")
        live = {function.slug: function for function in self.context.supabase.functions()}
        back = [replace(self.previous[slug], before=live.get(slug)) for slug in settled.moved]
        seen = {one.slug: self.result.versions.pop(one.slug) for one in back}
        outcome = release(self.context, back, self.recorder.restoring(), pace=self.pace)
        self.result.steps += [replace(step, name=f"restore: {step.name}") for step in outcome.steps]
        self.result.versions.update(outcome.over(seen))
        self.result.settled |= outcome.settled
        self.result.new_code_seconds = self.context.clock.monotonic() - (self.put_at or 0.0)
        if outcome.error is not None:
            raise outcome.error
        if settled.unmoved:
            raise Unfinished(f"{', '.join(settled.unmoved)} still waits to be activated; the rest is restored.")
        return "restored"


def _translated(error: CutoverError | OSError) -> CutoverError:
    if isinstance(error, CutoverError):
        return error
    return Unfinished(f"This machine failed us: {error.strerror or error}.", "inv status")
