"""Activation: one PUT makes all staged versions live. It may be repeated, and is, until every function has moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.base.errors import ApiError, CutoverError, ServiceFailed, Unknown, Unreachable
from migration.base.failpoint import failpoint
from migration.deploy.staging import Pace, row

if TYPE_CHECKING:
    from migration.context import Context


@dataclass(frozen=True)
class Landed:
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


def activate(context: Context, answers: Sequence[Mapping[str, Any]], confirm: Callable[[], None], pace: Pace) -> Landed:
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


def await_live(context: Context, answers: Sequence[Mapping[str, Any]], pace: Pace) -> Landed:
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
) -> Landed:
    """What is live; a refusal of the question is no word about the answer, so it is asked twice."""
    try:
        return look(context, answers, error)
    except ServiceFailed:
        context.clock.sleep(pace.wait)
        return look(context, answers, error)


def look(context: Context, answers: Sequence[Mapping[str, Any]], error: CutoverError | None = None) -> Landed:
    """What is live now, against the versions that staging gave."""
    live = {function.slug: function.version for function in context.supabase.functions()}
    versions = {str(answer["slug"]): live.get(answer["slug"], 0) for answer in answers}
    staged = {str(answer["slug"]): int(answer["version"]) for answer in answers}
    moved = tuple(slug for slug, version in versions.items() if version == staged[slug])
    unmoved = tuple(slug for slug, version in versions.items() if version < staged[slug])
    foreign = tuple(slug for slug, version in versions.items() if version > staged[slug])
    failed = error or ServiceFailed("the platform accepted the activation and did not carry it out", "inv status")
    return Landed(moved, unmoved, foreign, versions, failed if unmoved or foreign else None)


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
