"""The one road to the platform, for a deploy and for a restore: stage all, activate all, or put everything back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from migration.base import interrupts
from migration.base.command import inv
from migration.base.errors import CutoverError, ServiceFailed, Unfinished
from migration.base.failpoint import failpoint
from migration.base.parallel import each
from migration.deploy.activation import Landed, activate, await_live, look
from migration.deploy.released import Recorder, Released, Step
from migration.deploy.staging import Answer, Pace, Stager, Wanted

if TYPE_CHECKING:
    from migration.context import Context

__all__ = ["Pace", "Recorder", "Released", "Step", "Wanted", "release"]


def release(
    context: Context,
    wanted: Sequence[Wanted],
    recorder: Recorder,
    *,
    previous: Mapping[str, Wanted] | None = None,
    answers: Mapping[str, Answer] | None = None,
    pace: Pace | None = None,
) -> Released:
    """Makes every `wanted` function live, or says what became of it.

    `previous` is what to put back if that fails (None: nothing is put back, as in a rollback). `answers` are staging
    answers of an interrupted run that are still good. Raises nothing but signals and mistakes of ours: what failed is
    `Released.error`.
    """
    return _Release(context, list(wanted), recorder, previous, dict(answers or {}), pace or Pace()).run()


class _Release:
    def __init__(
        self,
        context: Context,
        wanted: list[Wanted],
        recorder: Recorder,
        previous: Mapping[str, Wanted] | None,
        answers: dict[str, Answer],
        pace: Pace,
    ) -> None:
        self.context, self.recorder, self.previous, self.pace = context, recorder, previous, pace
        self.sources = [one for one in wanted if one.source is not None]
        self.deletions = [one for one in wanted if one.source is None]
        self.answers = answers
        self.stager = Stager(context, recorder.journal, recorder.explained, pace)
        self.result = Released("untouched")
        self.put_at: float | None = None
        env = context.environment.name
        back = inv("rollback", env=env)
        self.status = inv("status", env=env)
        self.next = (back,) if previous is None else (inv("deploy", env=env), back)  # a restore can only be finished

    def run(self) -> Released:
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
        self.result.steps.append(Step(name, seconds, detail))
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

    def _activated(self, answers: list[Answer]) -> Landed:
        """What was seen live before says nothing any more, until it is seen again."""
        for answer in answers:
            self.result.versions.pop(answer["slug"], None)
        return self._seen(activate(self.context, answers, self.recorder.confirm, self.pace))

    def _seen(self, landed: Landed) -> Landed:
        self.result.versions.update({slug: version or None for slug, version in landed.versions.items()})
        return landed

    def _arrived(self, landed: Landed) -> None:
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

    def _all_live(self, landed: Landed, guessed: set[str]) -> Landed:
        """Activates what was staged, without the guessed versions if the platform takes offence at those."""
        if not landed.unmoved or (self.put_at is not None and landed.moved):
            return landed
        known = [answer for answer in self._ordered() if answer["slug"] not in guessed]
        first = self._ordered() if self.put_at is None else known
        self.put_at = self.put_at or self.context.clock.monotonic()
        self.recorder.staged(first, sorted(self.stager.lost | guessed))
        done = self._activated(first) if first else Landed((), (), (), {})
        if not done.complete and guessed and first != known and known:
            done = self._activated(known)
        self.stager.lost |= guessed - set(done.moved)
        return done

    def _restored(self, settled: Landed) -> str:
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
