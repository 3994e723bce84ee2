"""How a deployment ends: its outcome on record, the lock released, and the result as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migration.base import interrupts
from migration.base.durations import show
from migration.base.errors import CutoverError, Interrupted
from migration.deploy.plan import Plan
from migration.deploy.records import Recording
from migration.deploy.release import ReleaseResult, TimedStep
from migration.ledger.deployments import Deployment

if TYPE_CHECKING:
    from migration.context import Context
    from migration.ledger.deployments import Deployment
    from migration.verify.gate import GateResult


@dataclass(frozen=True)
class FunctionVersion:
    """A function at one moment; `version` None: it was not there."""

    version: int | None
    source_digest: str | None


@dataclass(frozen=True)
class FunctionResult:
    """One function of it; `after` None: nobody could see what is live of it now."""

    slug: str
    action: str
    before: FunctionVersion
    after: FunctionVersion | None


@dataclass(frozen=True)
class DeploymentSummary:
    """One deployment. `outcome`: live, unproven, ungated, restored, abandoned, unfinished; same when nothing differed.

    `new_code_seconds`: how long the new code answered before it was taken back. `restored_seconds`: how long that took.
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
    next: tuple[str, ...] = ()
    exit_code: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettledVersions:
    """What a deployment had left waiting was activated on the way, and answered callers until the wanted code did."""

    deployment: str
    functions: tuple[str, ...]
    seconds: float

    @property
    def note(self) -> str:
        names = ", ".join(self.functions)
        return f"The version of {names} left waiting by {self.deployment} answered for {show(self.seconds)}."

    def record(self) -> dict[str, Any]:
        return {**vars(self), "functions": list(self.functions), "seconds": round(self.seconds, 3)}


def settled_versions(seconds: Mapping[str, float], left_by: Callable[[str], str]) -> list[SettledVersions]:
    """By deployment. What a release settled of its own is the very code that it wants."""
    names = {slug: left_by(slug) for slug in seconds}
    found = {name: tuple(slug for slug in sorted(seconds) if names[slug] == name) for name in names.values() if name}
    return [SettledVersions(name, group, max(seconds[slug] for slug in group)) for name, group in found.items()]


@dataclass(frozen=True)
class Outcome:
    """What became of it. `versions` are live now (None: not there), and `seen` is whether the rest is as it was before:
    if not, nobody could look; `restored`: seconds that putting back took.

    `back`: the functions are what they were before, so that their digests are the former ones.
    """

    outcome: str
    message: str
    code: int
    versions: Mapping[str, int | None] = field(default_factory=dict)
    back: bool = False
    seen: bool = True
    gate: GateResult | None = None
    answered: float = 0.0
    restored: float | None = None
    hold: dict[str, Any] | None = None
    hint: str = ""


@dataclass
class OutcomeWriter:
    """Writes the end of one deployment, once."""

    context: Context
    made: Plan
    recording: Recording
    began: datetime
    steps: list[TimedStep]
    waited: list[SettledVersions] = field(default_factory=list)

    def close(self, end: Outcome) -> DeployResult:
        """Records the outcome and gives the lock back in the same push."""
        after = self._after(end)
        functions = (
            [] if end.outcome == "abandoned" else [{"slug": slug, "after": vars(side)} for slug, side in after.items()]
        )
        record: dict[str, Any] = {
            "outcome": end.outcome,
            "functions": functions,
            "steps": [step.record() for step in self.steps],
            "gate": end.gate.record() if end.gate else {},
            "new_code_seconds": round(end.answered, 3),
            "waited": [one.record() for one in self.waited],
            "message": end.message,
        }
        deployment = self.record()
        self.recording.outcome(record | ({"hold": end.hold} if end.hold else {}))
        interrupts.settled()
        details = {**end.gate.details, "verdict": end.gate.verdict, "why": end.gate.why} if end.gate else {}
        phases = tuple({**step.record(), "ok": True} for step in self.steps)
        ended = self._deployed(deployment, end, after)
        notes = tuple(one.note for one in self.waited)
        return DeployResult(ended, phases, details, end.message, self._next(end), end.code, notes)

    def failed(self, released: ReleaseResult, live: Mapping[str, int]) -> DeployResult:
        """Not everything went live, and `release` has put right what it could. `live`: versions that an interrupted
        run of it had made live before."""
        outcome = {"untouched": "abandoned", "restored": "restored"}.get(released.outcome, "unfinished")
        outcome = "unfinished" if outcome == "abandoned" and live else outcome
        said = released.error.message if released.error else "The release failed."
        seconds = released.new_code_seconds
        more = {
            "abandoned": " Nothing went live.",
            "restored": f" What was live before is live again; the new code answered for {seconds:.1f} s.",
        }
        if released.lost:
            self._lost(released.lost)
        hint = released.error.hint if released.error else ""
        code = 5 if outcome == "unfinished" else 3
        text = f"{said.rstrip('. ')}.{more.get(outcome, '')}"
        versions, back = {**live, **released.versions}, outcome == "restored"
        seen = released.outcome != "unfinished"
        return self.close(Outcome(outcome, text, code, versions, back, seen, answered=seconds, hint=hint))

    def unseen(self, error: CutoverError) -> DeployResult:
        """The new code was activated, and then the platform could not be asked any more."""
        text = f"The new code is live as far as anyone could see, and not proven: {error.message}"
        return self.close(Outcome("unfinished", text, 5, seen=False))

    def interrupted(self, error: BaseException) -> None:
        """Within seconds: what was answered, what may be stranded, and that this is not the end."""
        ledger, journal = self.context.ledger, self.recording.journal
        ledger.hurry()
        answers, sent = journal.answers(), journal.sent()
        begun = bool(sent) or self.recording.history.find(self.recording.deployment) is not None  # by another machine
        if sent:
            self._staged(list(answers.values()), sorted(sent - set(answers)), failures=1)
        by = f"interrupted by {error}" if isinstance(error, Interrupted) else f"this machine failed: {error}"
        self.recording.outcome({"outcome": "unfinished" if begun else "abandoned", "functions": [], "message": by})
        if not begun:
            interrupts.settled()

    def record(self) -> Deployment:
        """What the ledger knows of it so far."""
        return self.recording.begun()

    def _lost(self, lost: Sequence[str]) -> None:
        self._staged(list(self.recording.journal.answers().values()), lost)

    def _staged(self, answers: list[dict[str, Any]], lost: Sequence[str], failures: int = 12) -> None:
        record = {"record": "staged", "deployment": self.recording.deployment, "answers": answers}
        self.context.ledger.keep({**record, "perhaps_stranded": list(lost)}, failures=failures)

    def _after(self, end: Outcome) -> dict[str, FunctionVersion]:
        befores = {change.slug: change.before or {} for change in self.record().functions}
        digests = {item.slug: item.source.digest for item in self.made.functions}
        former = {slug: str(before.get("source_digest") or "") for slug, before in befores.items()}
        as_before = {slug for slug, version in end.versions.items() if version == befores.get(slug, {}).get("version")}
        digests |= {slug: digest for slug, digest in former.items() if end.back or slug in as_before}
        sides = {slug: FunctionVersion(version, digests.get(slug)) for slug, version in end.versions.items()}
        return {slug: side if side.version else FunctionVersion(None, None) for slug, side in sides.items()}

    def _deployed(
        self, deployment: Deployment, end: Outcome, after: Mapping[str, FunctionVersion]
    ) -> DeploymentSummary:
        before = {
            change.slug: FunctionVersion(
                (change.before or {}).get("version"), (change.before or {}).get("source_digest")
            )
            for change in deployment.functions
        }
        rest = before if end.seen else {}
        moved = tuple(
            FunctionResult(
                change.slug, change.action, before[change.slug], after.get(change.slug, rest.get(change.slug))
            )
            for change in deployment.functions
        )
        now = self.context.clock.now()
        return DeploymentSummary(
            deployment.id, end.outcome, deployment.revision, deployment.base_revision, moved, self.began, now,
            deployment.plan_hash, deployment.partial, end.answered, end.restored, end.hold,
        )  # fmt: skip

    def _next(self, end: Outcome) -> tuple[str, ...]:
        """What mends the cause, then the commands that go on; where somebody must look first, that alone."""
        first = (end.hint,) if end.hint else ()
        if end.hint.startswith("inv status"):
            return first
        env = self.context.environment.flag
        following = {
            "abandoned": (f"inv deploy{env}",),
            "unfinished": (f"inv deploy{env}", f"inv rollback{env}"),
            "restored": (f"inv rollback{env}",),
            "unproven": (f"inv checks{env}", f"inv rollback{env}"),
        }
        return tuple(dict.fromkeys((*first, *following.get(end.outcome, ()))))
