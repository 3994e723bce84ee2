"""Whether a watch may roll back by itself: one pure function, which acts only where every guard holds.

At 5% failures a rollback can be the worse choice: the code that it makes live may fail 40%. So what is compared is not
a limit but the two codes, each by the bound of its exact interval that speaks against acting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from checks import stats
from migration.base.numbers import count
from migration.watch.model import RollbackEvidence

LEVEL = 0.99  # of both intervals (Clopper and Pearson)
NEEDED = 50  # answers since the alarm
MEASURED = 100  # answers of the code that would be live again


@dataclass(frozen=True)
class Decision:
    """What a watch does by itself. `wait`: nothing speaks against it yet, and there is too little that speaks for it;
    `alert`: a person decides, and `reason` says why."""

    verdict: Literal["act", "wait", "alert"]
    reason: str

    @property
    def acts(self) -> bool:
        return self.verdict == "act"


def decide(evidence: RollbackEvidence) -> Decision:
    """The decision and its reason, one sentence. Until the alarm has stood long enough nothing is worth an alert."""
    for guard, verdict in _GUARDS:
        if reason := guard(evidence):
            return Decision(verdict, reason)
    return Decision("act", _worse(evidence))


def _acted(evidence: RollbackEvidence) -> str:
    return "this watch has rolled back once already" if evidence.acted else ""


def _inconclusive(evidence: RollbackEvidence) -> str:
    return "the verdict is inconclusive: what it rests on was not measured" if evidence.inconclusive else ""


def _place(evidence: RollbackEvidence) -> str:
    """The failures are in what this deployment changed, and nowhere else."""
    if evidence.elsewhere:
        return f"functions that were not changed fail in the same rounds: {', '.join(evidence.elsewhere)}"
    others = [slug for slug in evidence.failing if slug not in evidence.changed]
    if others:
        return f"{', '.join(others)} fails, which this deployment did not change"
    return "" if evidence.failing else "no function that this deployment changed fails since the alarm"


def _obstacles(evidence: RollbackEvidence) -> str:
    return "; ".join(evidence.obstacles)


def _old_provider(evidence: RollbackEvidence) -> str:
    wrong = evidence.old_provider
    return f"the provider of the code before does not serve it: {'; '.join(wrong)}" if wrong else ""


def _unmeasured(evidence: RollbackEvidence) -> str:
    answers = evidence.past[1] if evidence.past else 0
    if answers >= MEASURED:
        return ""
    known = f"only {count(answers, 'answer')} of it" if answers else "no answer of it"
    return f"whether the code before is better was never measured: the ledger has {known}, {MEASURED} are needed"


def _stood(evidence: RollbackEvidence) -> str:
    if evidence.stood >= evidence.wanted:
        return ""
    return f"the alarm has stood for {evidence.stood} of {count(evidence.wanted, 'round')}"


def _counted(evidence: RollbackEvidence) -> str:
    if evidence.answers >= NEEDED:
        return ""
    return f"{count(evidence.answers, 'answer')} since the alarm, {NEEDED} are needed"


def _no_better(evidence: RollbackEvidence) -> str:
    """Why the code before is not surely the better one; empty where it is."""
    assert evidence.past is not None
    failed, answers = evidence.past
    now = stats.exact(evidence.failed, evidence.answers, LEVEL)
    before = stats.exact(failed, answers, LEVEL)
    if now.low > before.high:
        return ""
    what = "is worse" if before.low > now.high else "may be no better"
    return (
        f"the code before {what}: it failed {_share(failed, answers)} (up to {_percent(before.high)}), this one "
        f"{_share(evidence.failed, evidence.answers)} (at least {_percent(now.low)})"
    )


def _worse(evidence: RollbackEvidence) -> str:
    assert evidence.past is not None
    failed, answers = evidence.past
    now, before = stats.exact(evidence.failed, evidence.answers, LEVEL), stats.exact(failed, answers, LEVEL)
    return (
        f"{', '.join(evidence.failing)} fails {_share(evidence.failed, evidence.answers)} since the alarm (at least "
        f"{_percent(now.low)}), the code before failed {_share(failed, answers)} (at most {_percent(before.high)})"
    )


def _share(failed: int, answers: int) -> str:
    return f"{_percent(failed / answers)} of {answers}"


def _percent(share: float) -> str:
    return f"{share * 100:.2g}%" if share < 0.1 else f"{share:.0%}"


_GUARDS: tuple[tuple[Callable[[RollbackEvidence], str], Literal["wait", "alert"]], ...] = (
    (_acted, "alert"),
    (_stood, "wait"),
    (_inconclusive, "alert"),
    (_place, "alert"),
    (_obstacles, "alert"),
    (_old_provider, "alert"),
    (_unmeasured, "alert"),
    (_counted, "wait"),
    (_no_better, "alert"),
)
