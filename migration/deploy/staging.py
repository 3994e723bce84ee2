"""Staging: uploads that go live later."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from migration.base.command import AGAIN, Do, Step, inv, sh
from migration.base.durations import show
from migration.base.errors import ApiError, ServiceFailed, Unfinished, Unknown, Unreachable
from migration.base.failpoint import failpoint
from migration.base.retry import Retry
from migration.clients.supabase_types import Function, Upload
from migration.deploy.budget import RequestBudget, limited, until
from migration.deploy.records import Journal
from migration.source import snapshots
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context

StagingAnswer = dict[str, Any]
_REPEATED = ("created_at", "entrypoint_path", "ezbr_sha256", "id", "import_map", "import_map_path")
_ROW = (*_REPEATED, "name", "slug", "status", "verify_jwt", "version")
_LIVE = ("ACTIVE", "REMOVED", "THROTTLED")


@dataclass(frozen=True)
class Pace:
    """Seconds: for one upload, for repeating failed uploads, for one activation and its repetition; in all while the
    platform asks to come back later; then how long to wait before the first repetition, and at the longest."""

    upload: float = 60.0
    retry: float = 60.0
    activate: float = 60.0
    limited: float = 600.0
    wait: float = 0.5
    longest: float = 8.0

    @property
    def policy(self) -> Retry:
        """How long to wait before what may be repeated; the loops here bound it in time, not in tries."""
        return Retry(attempts=sys.maxsize, first=self.wait, longest=self.longest)


@dataclass(frozen=True)
class FunctionSpec:
    """What one function is to become: its source (None: deleted), what is live before, the `verify_jwt` to send."""

    slug: str
    source: Source | None
    before: Function | None
    verify_jwt: bool | None = None

    @property
    def upload(self) -> Upload:
        if self.source is None:
            raise ValueError(f"{self.slug} is to be deleted: there is nothing to upload")
        return self.source.upload(self.verify_jwt)

    @property
    def expected(self) -> int:
        """The version that staging gives, unless someone else deploys."""
        return (self.before.version if self.before else 0) + 1


class ReleaseRecorder(Protocol):
    """What a release records, and what it checks, while it goes on; `records.Recording` is one."""

    @property
    def journal(self) -> Journal: ...

    def staged(self, answers: Sequence[StagingAnswer], lost: Sequence[str]) -> None:
        """One ledger record before the activation. Raises when it cannot be written."""

    def restoring(self) -> ReleaseRecorder:
        """The same, for a restore: its records say so."""

    def confirm(self) -> float:
        """Raises unless the lock was surely ours within the last 15 seconds. Returns the seconds that a request may
        take, so that it has ended before the lock can be stale for others."""

    def explained(self, slug: str) -> bool:
        """Whether the ledger accounts for a staged version of this function that was never activated."""


class UnexpectedVersion(Unfinished):
    """An upload got another version than the one that was due: someone else deployed the function meanwhile."""


class StrandedVersion(ServiceFailed):
    """A staged version that was never activated is in the way, and it is not ours to activate."""


@dataclass
class Stager:
    """Uploads functions, one or many at once: staged, or live at once where `one_step`. `lost` collects those whose
    upload may have happened without an answer. `meanwhile` says what is live while it waits for the platform; `verb` is
    what its lines call the upload."""

    context: Context
    recorder: ReleaseRecorder
    budget: RequestBudget
    pace: Pace = field(default_factory=Pace)
    meanwhile: str = ""
    verb: str = "stage"
    one_step: bool = False
    lost: set[str] = field(default_factory=set)
    settled: dict[str, float] = field(default_factory=dict)  # when a version that another deployment staged went live
    after: dict[str, FunctionSpec] = field(default_factory=dict)  # once that was settled, another version is live
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.patience = self.context.clock.monotonic() + self.pace.limited  # while the platform says "later"

    def upload(self, wanted: FunctionSpec) -> StagingAnswer:
        """The platform's answer. Retries what may be retried; raises what ends it."""
        clock, tries = self.context.clock, 0
        end = clock.monotonic() + self.pace.retry
        while True:
            self._proceed(wanted.slug)
            try:
                return self._attempt(self.after.get(wanted.slug, wanted))
            except (ApiError, Unreachable, Unknown) as error:
                tries += 1
                pause, later = self.pace.policy.pause(error, tries, "same"), limited(error)
                last = self.patience if later else end
                if pause is None or self.stopped.is_set() or clock.monotonic() + pause > last:
                    raise
                end += pause if later else 0.0
                self._show(wanted.slug, pause, error.message if not later else "")
                self._sleep(pause)

    def _proceed(self, slug: str) -> None:
        """Waits while the window of the rate limit is used up. Raises where another function has failed meanwhile."""
        while not self.stopped.is_set():
            wait = self.budget.take()
            if not wait:
                return
            if self.context.clock.monotonic() + wait > self.patience:
                raise ServiceFailed(
                    f"{slug} was not sent: the rate limit left no upload in {show(self.pace.limited)}.", AGAIN
                )
            self._show(slug, wait)
            self._sleep(wait)
        raise ServiceFailed(f"{slug} was not sent, because another function failed.", AGAIN)

    def _show(self, slug: str, seconds: float, cause: str = "") -> None:
        """What is waited for, until when, and what is live meanwhile."""
        why = (
            f"retrying in {show(seconds)}: {cause}"
            if cause
            else f"rate-limited, retrying in {until(self.context.clock, seconds)}"
        )
        self.context.observer.step(self.verb, slug, "; ".join(part for part in (why, self.meanwhile) if part))

    def _sleep(self, seconds: float) -> None:
        """Ends early where another function has failed."""
        end = self.context.clock.monotonic() + seconds
        while not self.stopped.is_set() and (left := end - self.context.clock.monotonic()) > 0:
            self.context.clock.sleep(min(left, 0.5))

    def _attempt(self, wanted: FunctionSpec) -> StagingAnswer:
        """One upload. Where it fails, the platform may show that it happened all the same, or what is in its way."""
        try:
            return self._send(wanted)
        except (ApiError, Unknown) as error:
            lost = wanted.slug in self.lost
            if lost and self.one_step and (answer := self._live_already(wanted)):
                return answer
            if not isinstance(error, ApiError) or error.status != 409:
                raise
            if lost and not self.one_step:
                return self._staged_before(wanted)
            return self._conflict(wanted, error)

    def _live_already(self, wanted: FunctionSpec) -> StagingAnswer | None:
        """The lost answer of an upload that went live at once: the live version is the one that was due."""
        live = self.context.supabase.function(wanted.slug)
        if live is None or live.version != wanted.expected:
            return None
        self._require_ours(wanted, live)
        return self._keep(wanted, dict(live.raw))

    def _require_ours(self, wanted: FunctionSpec, live: Function) -> None:
        """The version that was due may be someone else's: its files decide."""
        try:
            body = snapshots.from_body(snapshots.download(self.context, live), live)
        except ServiceFailed as error:
            text = f"{wanted.slug} v{live.version} is live, and whether it is this upload could not be read"
            raise Unfinished(f"{text}: {error.message}", inv("status")) from error
        if wanted.source is None or not snapshots.same_files(wanted.source, body):
            raise Unfinished(f"{wanted.slug} v{live.version} is live, and it is not this upload.", inv("status"))

    def _send(self, wanted: FunctionSpec) -> StagingAnswer:
        call = self.context.supabase.deploy if self.one_step else self.context.supabase.stage
        allowed = self.recorder.confirm()
        failpoint("stage.send")
        try:
            answer = call(wanted.upload, min(self.pace.upload, allowed))
        except Unknown:
            self.lost.add(wanted.slug)
            raise
        except ApiError as error:
            if error.status >= 500:
                self.lost.add(wanted.slug)
            raise
        if answer.status not in _LIVE:
            self.lost.add(wanted.slug)
            text = f"The platform staged {wanted.slug} with the unexpected status {answer.status}."
            raise ServiceFailed(text, inv("status"))
        self._keep(wanted, dict(answer.raw))
        if answer.version != wanted.expected:
            self.lost.add(wanted.slug)
            text = f"{wanted.slug}: this upload became v{answer.version}, v{wanted.expected} was expected"
            raise UnexpectedVersion(f"{text}: someone else deployed {wanted.slug} meanwhile.", inv("status"))
        return dict(answer.raw)

    def _keep(self, wanted: FunctionSpec, answer: StagingAnswer) -> StagingAnswer:
        """The answer counts even where the disk does not take it: the ledger's record is still to come."""
        try:
            self.recorder.journal.answered(wanted.slug, answer)
        except OSError as error:
            self.context.observer.warn(f"The journal cannot be written ({error.strerror or error}).")
        self.lost.discard(wanted.slug)
        return answer

    def _live(self, wanted: FunctionSpec) -> Function | None:
        """What is live, as long as that is what was live when we began."""
        live = self.context.supabase.function(wanted.slug)
        version, before = live.version if live else 0, wanted.expected - 1
        if version != before:
            text = f"{wanted.slug}: v{version} is live, v{before} was expected: someone else is deploying."
            raise Unfinished(text, inv("status"))
        return live

    def _staged_before(self, wanted: FunctionSpec) -> StagingAnswer:
        """409 on repeating an upload whose answer was lost: it is there, and it is what we want."""
        live = self._live(wanted)
        if live is None:
            return self._clear(wanted)
        return self._keep(wanted, {**settling(live), "verify_jwt": wanted.upload.metadata.get("verify_jwt")})

    def _conflict(self, wanted: FunctionSpec, error: ApiError) -> StagingAnswer:
        """409: a staged version is in the way. Ours: activate it, then send what is wanted, once. Else leave it."""
        live, ours = self._live(wanted), wanted.slug in self.lost or self.recorder.explained(wanted.slug)
        if live is not None and not ours:
            raise _stranded(self.context, live, "and nothing in the ledger explains it")
        if live is not None:
            if wanted.slug not in self.lost:
                self.settled.setdefault(wanted.slug, self.context.clock.monotonic())
            self.recorder.confirm()
            settle(self.context, live)
            self.lost.discard(wanted.slug)
            self.after[wanted.slug] = replace(wanted, before=self.context.supabase.function(wanted.slug))
            return self._send(self.after[wanted.slug])
        if not ours:
            raise StrandedVersion(
                f"{wanted.slug}: a staged version that was never activated is on the platform, and nothing in the "
                f"ledger explains it ({error.message}).",
                sh("supabase", "functions", "delete", wanted.slug),
                inv("deploy"),
            )
        return self._clear(wanted)

    def _clear(self, wanted: FunctionSpec) -> StagingAnswer:
        """A function that was never live can be deleted, since we put it there."""
        self.recorder.confirm()
        self.lost.discard(wanted.slug)
        self.context.supabase.delete(wanted.slug)
        return self._send(wanted)


def row(answer: Mapping[str, Any]) -> StagingAnswer:
    """What the activation says of one function: the staging answer's own words, without what it left out."""
    return {key: answer[key] for key in _ROW if answer.get(key) is not None}


def settling(live: Function) -> dict[str, Any]:
    """Names the version that must be staged, since staging answers 409 while this one is live."""
    return {"id": live.id, "slug": live.slug, "name": live.name, "status": "ACTIVE", "version": live.version + 1}


def settle(context: Context, live: Function) -> None:
    """Activate a stranded version that is ours; StrandedVersion when the platform refuses that too."""
    failpoint("settle.send")
    try:
        context.supabase.activate([settling(live)])
    except ApiError as error:
        if error.status in (408, 429) or error.status >= 500:
            raise
        why = f"and the platform refuses to activate it ({error.message})"
        raise _stranded(context, live, why) from None
    failpoint("settle.sent")


def _stranded(context: Context, live: Function, why: str) -> StrandedVersion:
    """Names the ways out of a stranded version that we leave alone."""
    base = f"{context.environment.api_url}/v1/projects/{context.environment.project_ref}/functions"
    text = f"{live.slug}: v{live.version + 1} is staged on the platform, {why}. Nothing was changed."
    ways: list[Step] = [
        Do(f"activate it with: PUT {base} {json.dumps([settling(live)])}"),
        Do("or delete the function and deploy it again (callers get 404 meanwhile)"),
    ]
    return StrandedVersion(text, *ways)
