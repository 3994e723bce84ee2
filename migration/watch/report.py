"""What a round shows: verdicts, figures, alarms and what to type, for the terminal, for JSON and for the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from migration.base.command import Step
from migration.watch import judge
from migration.watch.model import Alarm, CriterionState, LookCounts, WatchState

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"
_CODES = {PASS: 0, FAIL: 1, OPEN: 4}


@dataclass(frozen=True)
class CriterionRow:
    """One criterion: `score` is 0 to 100 towards an alarm, `settles` what would settle it."""

    name: str
    function: str
    verdict: str
    score: int
    bad: int
    answers: int
    looks: int
    limit: float
    since: datetime | None
    settles: str


@dataclass(frozen=True)
class WatchRound:
    """One round as it is shown. `following`: who leads, where this run only waits. `exit_code` is the watch's.

    `next_look`: when the next answers are judged; None where none are left to judge.
    """

    state: WatchState
    verdict: str
    criteria: tuple[CriterionRow, ...]
    alarms: tuple[Alarm, ...]
    notes: tuple[str, ...] = ()
    following: str = ""
    outage: str = ""
    next: tuple[Step, ...] = ()
    exit_code: int = 0
    warning: float = 0.0
    critical: float = 0.0
    ripe: float = 600.0
    next_look: datetime | None = None
    messages: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        state = self.state
        whole = total(state.functions)
        spend = {
            "month": state.spend, "projected": state.projected, "warning": self.warning, "critical": self.critical
        }  # fmt: skip
        return {
            "watch": state.id, "deployment": state.deployment, "round": state.rounds, "at": state.round_at,
            "started": state.started, "until": state.until, "cursor": state.cursor, "verdict": self.verdict,
            "criteria": [asdict(one) for one in self.criteria],
            "alarms": [asdict(one) for one in self.alarms],
            "figures": {
                "answers": whole.answers, "failed": whole.failed, "refused": whole.refused, "probes": whole.probes,
                "late": state.late, "p95": state.points[-1].p95 if state.points else None, "spend": spend,
                "probe_requests": state.probe_requests, "probe_cost": state.probe_cost,
            },
            "functions": {slug: asdict(one) for slug, one in state.functions.items()},
            "versions": dict(state.versions), "bytes_read": state.bytes_read, "bytes_measured": state.bytes_measured,
            "ripe_seconds": self.ripe, "next_look": self.next_look,
            "no_data": asdict(state.no_data) if state.no_data else None,
            "notes": list(self.notes), "events": [asdict(one) for one in state.events[-10:]],
            "points": [asdict(one) for one in state.points], "leader": asdict(state.leader) if state.leader else None,
            "following": self.following or None, "outage": self.outage or None,
            "notifier": state.alerts.error or None, "messages": list(self.messages), "acted": state.acted or None,
            "refused": state.refused or None, "needs_person": state.needs_person or None, "ended": state.ended or None,
            "next": self.next,
        }  # fmt: skip


def total(functions: Mapping[str, LookCounts]) -> LookCounts:
    """All functions as one."""
    return judge.together(list(functions.values()))


def rows(state: WatchState) -> tuple[CriterionRow, ...]:
    """Every criterion of the watch."""
    return tuple(_row(one, state) for one in state.criteria)


def verdict(state: WatchState) -> str:
    """fail: a critical alarm stands, or stood in a watch that is over. inconclusive: something was never measured."""
    critical = [key for key in state.standing if key in state.alarmed]
    if critical or (state.ended and state.alarmed):
        return FAIL
    return OPEN if state.no_data or any(not one.looks for one in state.criteria) else PASS


def exit_code(state: WatchState) -> int:
    """5 where a person must act, 1 alarmed, 4 inconclusive or ended before its time, 0 healthy."""
    if state.needs_person:
        return 5
    code = _CODES[verdict(state)]
    return 4 if code == 0 and state.ended and state.ended != COMPLETE else code


COMPLETE = "the planned time is over"


def shown(state: WatchState, alarms: tuple[Alarm, ...] = (), **more: Any) -> WatchRound:
    """A round's state as it is shown."""
    return WatchRound(state, verdict(state), rows(state), alarms, exit_code=exit_code(state), **more)


def closing(state: WatchState) -> tuple[str, Literal["critical", "warning", "good"]]:
    """How a watch ended, in a few words, and how grave that is."""
    verdict_ = verdict(state)
    why = "" if state.ended == COMPLETE else f" ({state.ended})"
    if verdict_ == FAIL:
        return f"alarmed{why}", "critical"
    if verdict_ == OPEN or why:
        return f"inconclusive{why}", "warning"
    return "healthy to the end", "good"


def lines(state: WatchState) -> list[str]:
    """The figures of a watch, a line each."""
    whole = total(state.functions)
    probes = f", {whole.probes} of them probes" if whole.probes else ""
    share = f" ({whole.failed / whole.answers:.2%})" if whole.answers else ""
    lines_ = [f"{whole.failed} of {whole.answers} answers failed{share}{probes}"]
    if state.spend is not None:
        lines_.append(f"this month's spend: ${state.spend:.2f}")
    if state.late:
        lines_.append(f"{state.late} answers came too late to be tested")
    return [*lines_, *state.alarmed.values()]


def record(state: WatchState) -> dict[str, Any]:
    """What the ledger keeps of a watch that is over: its verdict, its figures, its alerts."""
    whole = total(state.functions)
    return {
        "record": "watch", "deployment": state.deployment, "watch": state.id, "verdict": verdict(state),
        "ended": state.ended, "started": state.started.isoformat(), "until": state.until.isoformat(),
        "rounds": state.rounds,
        "figures": {
            "answers": whole.answers, "failed": whole.failed, "refused": whole.refused, "probes": whole.probes,
            "late": state.late, "bytes_read": state.bytes_read, "spend": state.spend, "projected": state.projected,
        },
        "counts": {slug: [one.failed, one.answers] for slug, one in state.functions.items()},
        "criteria": [
            {"name": one.name, "function": one.function, "verdict": one.verdict, "score": one.score, "bad": one.bad,
             "answers": one.answers, "looks": one.looks, "limit": one.limit}
            for one in rows(state)
        ],
        "alarms": list(state.alarmed.values()),
        "messages": [{"id": one.id, "title": one.title, "sent": one.sent_at.isoformat() if one.sent_at else None}
                     for one in (*state.alerts.sent, *state.alerts.outbox)],
        "acted": state.acted or None,
    }  # fmt: skip


def _row(one: CriterionState, state: WatchState) -> CriterionRow:
    return CriterionRow(
        one.criterion, one.function, judge.verdict(one), judge.score(one), one.total_bad, one.total_answers, one.looks,
        one.limit, one.since, judge.settles(one, state.every, state.planned),
    )  # fmt: skip
