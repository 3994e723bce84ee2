"""From counts to alarms: what one look adds to each criterion, when it alarms, and when that is over. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checks import betting
from migration.base.numbers import count
from migration.watch.model import Alarm, CriterionState, LookCounts, WatchState

LEAST = 10  # answers with which a look closes: with fewer, one failure would weigh too much
BLACKOUT = 5  # answers of a look that must all have failed, in so many looks running:
RUNNING = 2
CALM_LOOKS, CALM_ANSWERS = 6, 100  # of the looks after an alarm, before it counts as over
_RECENT = 72  # closed looks that are kept after an alarm
_QUIET = 3600.0  # seconds without an answer before that is worth a line
# Criteria whose counts come from a function's own log lines, which the platform drops above 100 in 10 s.
FROM_LINES = frozenset({"no_errors_in_logs", "cost_logged", "cost_per_request"})
_CAUSES = {"success_rate": "answers", "no_503": "answers", "no_errors_in_logs": "answers", "blackout": "answers"}
_FAILURES = {
    "success_rate": ("answer failed", "answers failed"),
    "no_503": ("answer was 503", "answers were 503"),
    "response_time": ("answer took too long", "answers took too long"),
    "no_errors_in_logs": ("request logged an error", "requests logged an error"),
    "cost_logged": ("served request has no usage line", "served requests have no usage line"),
    "cost_per_request": ("request cost too much", "requests cost too much"),
    "unchanged": ("answer failed", "answers failed"),
}


@dataclass(frozen=True)
class Look:
    """What was counted of the requests that started in a span that ends at `until`; `functions` by slug.

    `incomplete`: why counts from log lines cannot be relied on, else empty.
    """

    until: datetime
    functions: Mapping[str, LookCounts]
    p95: float | None = None
    incomplete: str = ""


def counted(name: str, one: LookCounts) -> tuple[int, int]:
    """(failures, trials) of a look for one criterion."""
    return {
        "success_rate": (one.failed, one.answers),
        "no_503": (one.unavailable, one.answers),
        "response_time": (one.slow, one.successes),
        "no_errors_in_logs": (one.with_errors, one.answers),
        "cost_logged": (one.without_cost, one.billed),
        "cost_per_request": (one.too_expensive, one.billed - one.without_cost),
        "unchanged": (one.failed, one.answers),
    }[name]


def together(parts: Sequence[LookCounts]) -> LookCounts:
    """The counts of several functions, or of several looks, as one."""
    if len(parts) == 1:
        return parts[0]
    names = LookCounts.__dataclass_fields__
    return LookCounts(**{name: sum(getattr(part, name) for part in parts) for name in names})


def begin(names: Sequence[tuple[str, str]], limits: Mapping[str, float], alpha: float) -> tuple[CriterionState, ...]:
    """The criteria of a new watch, α split over them; `names` are (criterion, function or "")."""
    return tuple(CriterionState(name, limits[name], alpha / len(names), function) for name, function in names)


def take(state: WatchState, look: Look, migrated: Sequence[str]) -> WatchState:
    """The state after one more look; looks come in the order of time, each once."""
    own = together([look.functions[slug] for slug in migrated if slug in look.functions])
    criteria = tuple(_take(one, look, own, state.planned) for one in state.criteria)
    dark = {one.function: one for one in state.blackouts}
    for slug, counts in look.functions.items():
        dark[slug] = _darken(dark.get(slug, CriterionState("blackout", 1.0, 1.0, slug)), look.until, counts)
    totals = {
        slug: together([state.functions.get(slug, LookCounts()), counts]) for slug, counts in look.functions.items()
    }
    answered = look.until if any(one.answers for one in look.functions.values()) else state.answered_at
    return replace(
        state, criteria=criteria, blackouts=tuple(dark.values()), functions={**state.functions, **totals},
        cursor=look.until, answered_at=answered,
    )  # fmt: skip


def _take(one: CriterionState, look: Look, own: LookCounts, planned: float) -> CriterionState:
    if look.incomplete and one.criterion in FROM_LINES:
        return replace(one, incomplete=look.incomplete, skipped=one.skipped + 1)
    part = look.functions.get(one.function, LookCounts()) if one.function else own
    bad, trials = counted(one.criterion, part)
    bad, trials = one.bad + bad, one.answers + trials
    if trials < LEAST:
        return replace(one, bad=bad, answers=trials, incomplete="")
    return _close(one, look.until, bad, trials, planned)


def _close(one: CriterionState, until: datetime, bad: int, trials: int, planned: float) -> CriterionState:
    """A look with enough answers: bet on its share, then see whether that alarms, or ends an alarm."""
    stake = betting.weight(one.spent, (until - one.until).total_seconds() if one.until else None, planned)
    sums = betting.after(one.s, bad / trials, one.limit, stake)
    one = replace(
        one, s=sums, spent=one.spent + stake, until=until, bad=0, answers=0, looks=one.looks + 1, incomplete="",
        total_bad=one.total_bad + bad, total_answers=one.total_answers + trials,
    )  # fmt: skip
    if one.since is None:
        alarmed = betting.evidence(sums) >= 1 / one.alpha
        return replace(one, since=until, alarms=one.alarms + 1, recent=(), since_bad=0, since_answers=0,
                       at_bad=bad, at_answers=trials) if alarmed else one  # fmt: skip
    one = replace(
        one, recent=(*one.recent, (bad, trials))[-_RECENT:], since_bad=one.since_bad + bad,
        since_answers=one.since_answers + trials,
    )  # fmt: skip
    return _resolved(one) if _calm(one) else one


def _calm(one: CriterionState) -> bool:
    """Whether the last looks, six or as many more as hold 100 answers, have a tolerable share."""
    bad = trials = 0
    for n, (failed, answers) in enumerate(reversed(one.recent), 1):
        bad, trials = bad + failed, trials + answers
        if n >= CALM_LOOKS and trials >= CALM_ANSWERS:
            return bad <= one.limit * trials
    return False


def _resolved(one: CriterionState) -> CriterionState:
    """Begin again from nothing; the next alarm has half the risk, so that all of them together stay bounded."""
    return replace(one, s=betting.START, alpha=one.alpha / 2, since=None, recent=())


def _darken(one: CriterionState, until: datetime, counts: LookCounts) -> CriterionState:
    """Looks of a function in which every answer failed; `looks` counts those running."""
    bad, answers = one.bad + counts.failed, one.answers + counts.answers
    if answers < BLACKOUT:
        return replace(one, bad=bad, answers=answers)
    if bad < answers:
        return replace(one, bad=0, answers=0, looks=0, since=None, total_bad=0)
    running = one.looks + 1
    since = one.since or (until if running >= RUNNING else None)
    return replace(one, bad=0, answers=0, looks=running, since=since, total_bad=one.total_bad + bad)


def alarms(state: WatchState, labels: Mapping[str, str] | None = None) -> Iterator[Alarm]:
    """The tests and blackouts that alarm as of this state; `labels` are what people call the criteria."""
    for one in state.blackouts:
        if one.since is not None:
            yield Alarm(
                "success_rate", "critical", one.since, f"{one.function} is down: all of the last "
                f"{one.total_bad} answers failed", one.function, "blackout", "answers", (),
                one.total_bad, one.total_bad,
            )  # fmt: skip
    for one in state.criteria:
        if one.since is not None:
            yield _alarm(one, (labels or {}).get(one.criterion, ""))


def _alarm(one: CriterionState, label: str) -> Alarm:
    bad, answers = one.at_bad + one.since_bad, one.at_answers + one.since_answers
    words = _FAILURES[one.criterion][bad != 1]
    name = f"{one.criterion} ({label})" if label and label != one.criterion else one.criterion
    place = f" of {one.function}" if one.function else ""
    share = f"{bad / answers:.1%}; {100 * one.limit:.3g}% is tolerated"
    summary = f"{name}{place}: {bad} of {answers} {words} ({share})"
    whole = f"in the whole watch: {one.total_bad} of {one.total_answers}"
    cause = "unchanged" if one.criterion == "unchanged" else _CAUSES.get(one.criterion, one.criterion)
    since = one.since
    assert since is not None
    return Alarm(
        one.criterion, "critical", since, summary, one.function, "test", cause, (whole,), bad, answers, one.limit
    )


# What is shown of a criterion


def score(one: CriterionState) -> int:
    """0 to 100 towards an alarm; 100 while it alarms."""
    return 100 if one.since is not None else betting.score(one.s, one.alpha)


def verdict(one: CriterionState) -> str:
    """fail while it alarms, inconclusive without a closed look or with unreliable counts, else pass."""
    if one.since is not None:
        return "fail"
    return "inconclusive" if one.incomplete or not one.looks else "pass"


def settles(one: CriterionState, every: float, planned: float) -> str:
    """What would settle it: how much more for an alarm, or for its end, or for a first look."""
    if one.since is not None:
        missing = max(CALM_LOOKS - len(one.recent), 0)
        return (
            f"over after {CALM_LOOKS} looks with {CALM_ANSWERS} answers and at most {100 * one.limit:.3g}% failed"
            + (f": {count(missing, 'look')} at least" if missing else "")
        )
    if one.incomplete:
        return one.incomplete
    if not one.looks:
        return f"a first look closes at {LEAST} answers: {LEAST - one.answers} more"
    share = min(max(5 * one.limit, 0.05), 1.0)
    stake = betting.weight(one.spent, every, planned)
    looks = betting.looks_to_alarm(one.s, share, one.limit, one.alpha, stake)
    return f"{share:.0%} failed would alarm after {count(looks, 'look')}" if looks else "the planned time is over"


def quiet(state: WatchState) -> str:
    """A sentence where no one called for an hour or since the beginning; else empty."""
    last = state.answered_at or state.started
    silent = (state.cursor - last).total_seconds()
    if silent < _QUIET and state.answered_at is not None:
        return ""
    if state.answered_at is None:
        return f"no traffic since {last:%H:%M:%SZ}" if silent > 0 else ""
    return f"no traffic for {math.floor(silent / 60)} minutes, since {last:%H:%M:%SZ}"
