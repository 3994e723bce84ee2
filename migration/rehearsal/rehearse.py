"""`inv rehearse`: the whole migration on a fresh sandbox, from nothing, with a fault drill and a rollback."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base.command import Do, Step, inv, lines
from migration.base.errors import CutoverError
from migration.base.plain import plain
from migration.base.progress import Observer
from migration.base.secrets_type import mask
from migration.config import load as configuration
from migration.rehearsal import phases, review
from migration.rehearsal.running import REHEARSING, held
from migration.rehearsal.stage import EvidenceMissing, PhaseSkipped, RehearsalStage

PHASES: tuple[tuple[str, Callable[[RehearsalStage], str]], ...] = (
    ("sandbox", phases.start_sandbox),
    ("baseline", phases.baseline),
    ("before", phases.before),
    ("secret", phases.secret),
    ("plan", phases.plan),
    ("deploy", phases.deploy),
    ("smoke", phases.smoke),
    ("e2e", phases.e2e),
    ("logs", phases.logs),
    ("costs", phases.costs),
    ("checks", phases.checks),
    ("watch", phases.watch),
    ("drill", phases.drill),
    ("rollback", phases.rollback),
)


# What repeats a phase by hand on a sandbox, where it is more than the verb of its name.
_BY_HAND: dict[str, tuple[str, ...]] = {
    "baseline": ("smoke",), "before": ("e2e",), "secret": ("secret",), "plan": ("plan",), "deploy": ("deploy",),
    "smoke": ("deploy", "smoke"), "e2e": ("deploy", "e2e"), "logs": ("deploy", "smoke", "logs"),
    "costs": ("deploy", "smoke", "costs"), "checks": ("deploy", "soak", "checks"),
    "watch": ("deploy", "smoke", "watch"),
    "drill": ("deploy", "rollback"), "rollback": ("deploy", "rollback"),
}  # fmt: skip


@dataclass(frozen=True)
class PhaseResult:
    """One phase: whether it showed what it must (or was skipped), how long it took, and the line that shows it."""

    name: str
    ok: bool
    seconds: float
    evidence: str
    skipped: bool = False


@dataclass(frozen=True)
class RehearsalResult:
    phases: tuple[PhaseResult, ...]
    seconds: float
    report: str
    next: tuple[Step, ...] = ()

    @property
    def ok(self) -> bool:
        return all(phase.ok for phase in self.phases)

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1


def run(root: Path, observer: Observer, *, keep: bool = False, report: Path | None = None) -> RehearsalResult:
    """Carry out every phase, or all up to the first that does not show what it must."""
    began = time.monotonic()
    folder = root / ".cutover" / "rehearsal"
    config = configuration.load(root, review=review.mistakes)
    with held(folder.parent, REHEARSING):
        return _run(RehearsalStage(root, folder, config, observer), began, keep, report)


def _run(stage: RehearsalStage, began: float, keep: bool, report: Path | None) -> RehearsalResult:
    folder, root = stage.folder, stage.root
    _clear(folder)
    try:
        done = _carry_out(stage, stage.observer)
    finally:
        stage.close()
    target = report or folder / "report.json"
    result = RehearsalResult(
        (*done, PhaseResult("report", True, 0.0, _shown(target, root))),
        time.monotonic() - began,
        str(target),
        following(done[-1]),
    )
    _write(target, result, stage)
    stage.observer.done("report", detail=_shown(target, root))
    if not keep:
        _clear(folder, target)
    return result


def _carry_out(stage: RehearsalStage, observer: Observer) -> list[PhaseResult]:
    done: list[PhaseResult] = []
    for name, phase in PHASES:
        done.append(_one(name, phase, stage, observer))
        if not done[-1].ok:
            break
    return done


def _one(name: str, phase: Callable[[RehearsalStage], str], stage: RehearsalStage, observer: Observer) -> PhaseResult:
    observer.step(name)
    began = time.monotonic()
    skipped = False
    try:
        evidence, ok = phase(stage), True
    except PhaseSkipped as error:
        evidence, ok, skipped = f"skipped: {error}", True, True
    except EvidenceMissing as error:
        evidence, ok = str(error), False
    except CutoverError as error:
        if name == PHASES[0][0]:  # nothing was rehearsed: a refusal, not a verdict
            observer.failed(name)
            raise
        evidence, ok = " ".join([error.message, *lines(error.steps)]), False
    seconds = time.monotonic() - began
    if ok:
        observer.done(name, detail=evidence, seconds=seconds)
    else:
        observer.failed(name, detail=evidence)
    return PhaseResult(name, ok, round(seconds, 3), evidence, skipped)


def following(last: PhaseResult) -> tuple[Step, ...]:
    """After a phase that failed: how to see it by hand, since its sandbox ends with the rehearsal, and again."""
    if last.ok:
        return ()
    verbs = _BY_HAND.get(last.name, ())
    by_hand = Do("to see it by hand, on a sandbox that stays, in a second terminal:"), inv("sandbox"), Do("and here:")
    again = Do("after a fix, which is committed if it is in the app:"), inv("rehearse")
    return (*(by_hand if verbs else ()), *(inv(verb, env="sandbox") for verb in verbs), *again)


def _write(target: Path, result: RehearsalResult, stage: RehearsalStage) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {**plain(result), "results": plain(stage.results)}
    text = mask(json.dumps(report, ensure_ascii=False, indent=1, default=str))
    target.write_text(f"{text}\n", encoding="utf-8")


def _shown(target: Path, root: Path) -> str:
    return str(target.relative_to(root)) if target.is_relative_to(root) else str(target)


def _clear(folder: Path, *keep: Path) -> None:
    """Empty the rehearsal's folder: it is made anew each time."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry not in keep:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
