"""How a deployment ends: its outcome on record, the lock released, and the result as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.command import AGAIN, Command, Do, Step, either, inv
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted
from migration.base.numbers import listed
from migration.deploy import drift, forward, recovery
from migration.deploy.plan import Plan
from migration.deploy.records import Recording
from migration.deploy.recovery import Recovery
from migration.deploy.release import ReleaseResult, TimedStep
from migration.ledger.deployments import LIVE

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment
    from migration.verify.gate import GateResult


@dataclass(frozen=True)
class FunctionVersion:
    """A function at one moment; `version` None: it did not exist."""

    version: int | None
    source_digest: str | None


@dataclass(frozen=True)
class FunctionResult:
    """One function of a deployment; `after` None: what is live of it now could not be read. `code_of`: the earlier
    version whose code a rollback has made live again."""

    slug: str
    action: str
    before: FunctionVersion
    after: FunctionVersion | None
    code_of: int | None = None


@dataclass(frozen=True)
class DeploymentSummary:
    """One deployment. `outcome`: live, unproven, ungated, restored, abandoned, unfinished; same when nothing differed,
    dry_run when nothing was to be changed.

    `new_code_seconds`: how long the new code was live before the restore. `restored_seconds`: how long that took.
    """

    id: str
    outcome: str
    revision: str
    base_revision: str
    functions: tuple[FunctionResult, ...]
    began: datetime
    ended: datetime
    plan_hash: str = ""
    partial: bool = False
    new_code_seconds: float = 0.0
    restored_seconds: float | None = None
    hold: dict[str, Any] | None = None


@dataclass(frozen=True)
class DeployResult:
    """What `inv deploy` shows: the deployment, its steps with seconds, what the gate saw, and what to type next."""

    deployment: DeploymentSummary
    phases: tuple[dict[str, Any], ...] = ()
    gate: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    next: tuple[Step, ...] = ()
    exit_code: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettledVersions:
    """What an earlier deployment had staged: activated on the way, and live until the wanted code replaced it."""

    deployment: str
    functions: tuple[str, ...]
    seconds: float

    @property
    def note(self) -> str:
        names = ", ".join(self.functions)
        return f"The version of {names} that {self.deployment} had staged was live for {show(self.seconds)}."

    def record(self) -> dict[str, Any]:
        return {**vars(self), "functions": list(self.functions), "seconds": round(self.seconds, 3)}


def settled_versions(seconds: Mapping[str, float], left_by: Callable[[str], str]) -> list[SettledVersions]:
    """By deployment. What a release settled of its own is the very code that it wants."""
    names = {slug: left_by(slug) for slug in seconds}
    groups = {name: tuple(slug for slug in sorted(seconds) if names[slug] == name) for name in names.values() if name}
    return [SettledVersions(name, group, max(seconds[slug] for slug in group)) for name, group in groups.items()]


def nothing_to_deploy(plan: Plan, closed: Recovery | None, now: datetime) -> DeployResult:
    """The result where nothing differs; `closed`: the interrupted deployment that was closed on the way."""
    live = plan.history.live
    summary = DeploymentSummary(
        live.id if live else "", "same", plan.revision, plan.base_revision, (), now, now, plan.hash
    )
    text = " ".join([_nothing(plan), *plan.left_out])
    if closed is None:
        return DeployResult(summary, message=text, notes=plan.unread)
    kind, name = closed.deployment.kind, closed.deployment.id
    text = f"{text} Closed the interrupted {kind} {name}: nothing of it had gone live. {closed.waits}".rstrip()
    return DeployResult(summary, message=text, next=closed.next if kind == "rollback" else ())


def _nothing(plan: Plan) -> str:
    nowhere = [item.slug for item in plan.functions if item.live is None]
    live = [item.slug for item in plan.functions if item.live is not None]
    if not nowhere:
        return f"Nothing to deploy{': every function is live with this source' if live else ''}."
    verb = "is" if len(nowhere) == 1 else "are"
    also = f"; {listed(live)} {'is' if len(live) == 1 else 'are'} live with this source" if live else ""
    return f"Nothing to deploy: {listed(nowhere)} {verb} neither in the app nor on the platform{also}."


def would_deploy(plan: Plan, resumed: Recovery | None, command: Command, now: datetime) -> DeployResult:
    """The result of a dry run: what is live, and the command that deploys this very plan."""
    live = {item.slug: FunctionVersion(item.live.version if item.live else None, None) for item in plan.changes}
    functions = tuple(FunctionResult(item.slug, item.action, live[item.slug], live[item.slug]) for item in plan.changes)
    summary = DeploymentSummary("", "dry_run", plan.revision, plan.base_revision, functions, now, now, plan.hash)
    text = "Dry run: nothing stands in the way of this deploy. Nothing was changed."
    if resumed:
        text = f"{text} {resumed.message} A deploy resumes it."
    return DeployResult(summary, message=text, next=(command,))


@dataclass(frozen=True)
class Outcome:
    """What became of a deployment. `versions` are live now (None: not there); `seen`: whether the rest is as before,
    False where the platform could not be read. `back`: the functions are what they were before, so that their digests
    are the former ones. `exposed`: seconds of new code before a restore. `restored`: seconds that the restore took.
    `steps`: what removes the cause.
    """

    outcome: str
    message: str
    code: int
    versions: Mapping[str, int | None] = field(default_factory=dict)
    back: bool = False
    seen: bool = True
    gate: GateResult | None = None
    exposed: float = 0.0
    restored: float | None = None
    hold: dict[str, Any] | None = None
    steps: tuple[Step, ...] = ()


@dataclass
class OutcomeWriter:
    """Writes the outcome of one deployment, once."""

    context: Context
    plan: Plan
    recording: Recording
    began: datetime
    steps: list[TimedStep]
    settled: list[SettledVersions] = field(default_factory=list)
    unshown: bool = False  # the plan was not shown: its hash was given

    def close(self, outcome: Outcome) -> DeployResult:
        """Records the outcome and releases the lock in the same push."""
        after = {} if outcome.outcome == "abandoned" else self._after(outcome)
        record: dict[str, Any] = {
            "outcome": outcome.outcome,
            "functions": [{"slug": slug, "after": vars(version)} for slug, version in after.items()],
            "steps": [step.record() for step in self.steps],
            "gate": outcome.gate.record() if outcome.gate else {},
            "new_code_seconds": round(outcome.exposed, 3),
            "waited": [one.record() for one in self.settled],
            "message": outcome.message,
        }
        deployment = self.deployment()
        self.recording.outcome(record | ({"hold": outcome.hold} if outcome.hold else {}))
        interrupts.settled()
        gate = outcome.gate
        return DeployResult(
            self._summary(deployment, outcome, self._after(outcome)),
            tuple({**step.record(), "ok": True} for step in self.steps),
            {**gate.details, "verdict": gate.verdict, "why": gate.why} if gate else {},
            outcome.message,
            self._next(outcome),
            outcome.code,
            (*(one.note for one in self.settled), *self._left_behind(outcome)),
        )

    def _left_behind(self, outcome: Outcome) -> list[str]:
        """What a rename leaves live, where the new name has just gone live."""
        known = [*self.context.config.migration.functions, *self.context.config.migration.unchanged]
        found = drift.left_behind(self.recording.history, self.plan.live, known)
        note = drift.left_behind_note(found, self.plan.project_ref)
        return [note] if note and self.unshown and outcome.outcome in LIVE else []

    def _next(self, outcome: Outcome) -> tuple[Step, ...]:
        """What removes the cause, then the commands that go on; where a person must look first, that alone."""
        first = tuple(step for step in outcome.steps if step != AGAIN)
        if first and isinstance(first[0], Command) and first[0].verb == "status":
            return first
        return tuple(dict.fromkeys((*first, *self._following(outcome))))

    def _following(self, outcome: Outcome) -> tuple[Step, ...]:
        """The way forward from what is on record and live now; where that cannot be read, by the outcome alone."""
        if outcome.outcome == "live":
            return (inv("watch"),) if self.context.config.criteria.named else ()
        if outcome.outcome in ("unproven", "ungated"):
            return self._proving(outcome.outcome == "ungated")
        by_outcome: dict[str, tuple[Step, ...]] = {
            "abandoned": (inv("deploy"),),
            "unfinished": either(inv("deploy"), inv("rollback")),
            "restored": (Do("to revert it in git:"), inv("rollback")),
        }
        if outcome.outcome not in by_outcome or not outcome.seen:
            return by_outcome.get(outcome.outcome, ())
        try:
            return self._ways()
        except CutoverError:
            return by_outcome[outcome.outcome]

    def _proving(self, unseen: bool) -> tuple[Step, ...]:
        """How to prove what is live. `unseen`: no smoke case was sent yet."""
        changed = {item.slug for item in self.plan.changes}
        cases = any(one.function in changed and one.when != "before" for one in self.context.config.smoke)
        smoke = (inv("smoke", env=self.context.environment.name),) if unseen and cases else ()
        return Do("to prove it:"), *smoke, inv("checks"), Do("to take it back:"), inv("rollback")

    def _ways(self) -> tuple[Step, ...]:
        context = self.context
        live, history = {one.slug: one for one in context.supabase.functions()}, context.ledger.history(fresh=False)
        pending = recovery.look(context, history, live)
        planned = self.plan.situation
        changes = [
            slug for slug in planned.changes if forward.moved(history, live.get(slug), slug, planned.sources[slug])
        ]
        now = replace(planned, history=history, live=live, pending=pending, busy=False, changes=changes, deploy=None)
        return forward.steps(context, now)

    def failed(self, released: ReleaseResult, live: Mapping[str, int]) -> DeployResult:
        """Not everything went live, and the release has restored what it could. `live`: versions that an interrupted
        run of this deployment had made live before."""
        outcome = {"untouched": "abandoned", "restored": "restored"}.get(released.outcome, "unfinished")
        outcome = "unfinished" if outcome == "abandoned" and live else outcome
        error, exposed = released.error, released.new_code_seconds
        cause = error.message.rstrip(". ") if error else "The release failed"
        effect = {
            "abandoned": " Nothing went live.",
            "restored": f" What was live before is live again; the new code was live for {show(exposed)}.",
        }.get(outcome, "")
        if released.lost:
            self._staged(list(self.recording.journal.answers().values()), released.lost)
        return self.close(
            Outcome(
                outcome,
                f"{cause}.{effect}",
                5 if outcome == "unfinished" else 3,
                {**live, **released.versions},
                back=outcome == "restored",
                seen=released.outcome != "unfinished",
                exposed=exposed,
                steps=error.steps if error else (),
            )
        )

    def unseen(self, error: CutoverError) -> DeployResult:
        """The new code was activated, and then the platform could not be read any more."""
        text = f"The new code was activated and not proven; then the platform could not be read: {error.message}"
        return self.close(Outcome("unfinished", text, 5, seen=False))

    def interrupted(self, error: BaseException) -> None:
        """Within seconds: which staging answers came, what may be stranded, and that this is not the end."""
        ledger, journal = self.context.ledger, self.recording.journal
        ledger.hurry()
        answers, sent = journal.answers(), journal.sent()
        begun = bool(sent) or self.recording.history.find(self.recording.deployment) is not None  # by another machine
        if sent:
            self._staged(list(answers.values()), sorted(sent - set(answers)), failures=1)
        cause = f"interrupted by {error}" if isinstance(error, Interrupted) else f"local error: {error}"
        self.recording.outcome({"outcome": "unfinished" if begun else "abandoned", "functions": [], "message": cause})
        if not begun:
            interrupts.settled()

    def deployment(self) -> Deployment:
        """What the ledger knows of it so far."""
        return self.recording.begun()

    def _staged(self, answers: list[dict[str, Any]], lost: Sequence[str], failures: int = 12) -> None:
        record = {"record": "staged", "deployment": self.recording.deployment, "answers": answers}
        self.context.ledger.keep({**record, "perhaps_stranded": list(lost)}, failures=failures)

    def _after(self, outcome: Outcome) -> dict[str, FunctionVersion]:
        """What is live now, with the digest of its source."""
        before = {change.slug: change.before or {} for change in self.deployment().functions}
        digests = {item.slug: item.source.digest for item in self.plan.functions}
        for slug, version in outcome.versions.items():
            if slug in before and (outcome.back or version == before[slug].get("version")):
                digests[slug] = str(before[slug].get("source_digest") or "")
        return {
            slug: FunctionVersion(version, digests.get(slug)) if version else FunctionVersion(None, None)
            for slug, version in outcome.versions.items()
        }

    def _summary(
        self, deployment: Deployment, outcome: Outcome, after: Mapping[str, FunctionVersion]
    ) -> DeploymentSummary:
        before = {
            one.slug: FunctionVersion((one.before or {}).get("version"), (one.before or {}).get("source_digest"))
            for one in deployment.functions
        }
        rest = before if outcome.seen else {}
        return DeploymentSummary(
            deployment.id,
            outcome.outcome,
            deployment.revision,
            deployment.base_revision,
            tuple(
                FunctionResult(one.slug, one.action, before[one.slug], after.get(one.slug, rest.get(one.slug)))
                for one in deployment.functions
            ),
            self.began,
            self.context.clock.now(),
            deployment.plan_hash,
            deployment.partial,
            outcome.exposed,
            outcome.restored,
            outcome.hold,
        )
