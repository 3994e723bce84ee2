"""What a round reads beside the logs: the versions that answer, the providers, the spend. Two equal readings count.

A fact that could not be read stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from checks.evidence import Missing, Month
from migration.base.errors import CutoverError, ServiceFailed
from migration.base.finding import Finding
from migration.base.retry import Retry
from migration.providers import proofs
from migration.verify import measure
from migration.watch.model import Alarm, AlarmSeverity, FactState, WatchState

if TYPE_CHECKING:
    from migration.config.settings import Budget
    from migration.context import Context
    from migration.watch.rows import Reading, RowQuery

RUNNING = 2  # equal readings before a fact alarms, or stops
# Findings that say that something could not be read.
UNREAD = frozenset({"unreachable", "unmeasured", "key_absent"})


@dataclass(frozen=True)
class Fact:
    """One reading of a fact; `summary` is what people are alerted with where it is not `good`."""

    name: str
    value: str
    good: bool
    function: str = ""
    summary: str = ""
    severity: AlarmSeverity = "warning"


@dataclass(frozen=True)
class Facts:
    """The readings of one round. `unread`: how the names of facts begin that could not be read."""

    readings: tuple[Fact, ...] = ()
    unread: tuple[str, ...] = ()
    month: Month | None = None
    usage: float | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def gather(context: Context, state: WatchState) -> Facts:
    """Ask the providers. Never raises for an outage."""
    findings, unread = _findings(context)
    readings = [_reading(one) for one in findings if one.kind not in UNREAD]
    notes: list[str] = []
    for role in ("to", "from_"):
        build = _build(context, state, role, notes)
        readings += [build] if build else []
    month, usage = _spend(context, notes)
    return Facts(tuple(readings), unread, month, usage, tuple(findings), tuple(notes))


def versions(reading: Reading, wanted: RowQuery, migrated: Sequence[str], looks: range) -> Iterator[Fact]:
    """The version that answered in the newest of these looks, by function and region; each look is read once."""
    newest = {(slug, region): version for (look, slug, region), version in sorted(reading.versions.items())
              if slug in migrated and look in looks}  # fmt: skip
    for (slug, region), version in newest.items():
        live = wanted.functions[slug][1]
        place = f"{slug} in {region}" if region else slug
        words = f"{place}: v{version} answers; v{live} was expected"
        yield Fact(f"version {region}".strip(), f"v{version}", version == live, slug, words, "critical")


def listed(live: Mapping[str, int], expected: Mapping[str, int]) -> Iterator[Fact]:
    """The live version of each migrated function as the platform lists it."""
    for slug, version in expected.items():
        now = live.get(slug)
        words = f"{slug}: v{now} is live; v{version} was deployed" if now else f"{slug} is not deployed any more"
        yield Fact("live version", f"v{now}" if now else "absent", now == version, slug, words, "critical")


def remember(state: WatchState, facts: Facts, now: datetime) -> WatchState:
    """The facts after these readings. What is not among them is as it should be, unless it could not be read."""
    readings = {(one.name, one.function): one for one in facts.readings}
    kept = []
    for known in state.facts:
        reading = readings.pop((known.name, known.function), None)
        if reading is None and known.name.startswith("provider:") and not _silent(known.name, facts.unread):
            reading = Fact(known.name, "", True, known.function, severity=known.severity)
        kept.append(_next(known, reading, now) if reading else known)
    kept += [
        FactState(one.name, one.value, one.good, 1, one.function, one.summary, one.severity, None, one.value)
        for one in readings.values()
    ]
    return replace(state, facts=tuple(one for one in kept if one.alarmed or not _over(one)))


def alarms(state: WatchState) -> Iterator[Alarm]:
    """Facts that alarm as of this state."""
    for one in state.facts:
        if one.alarmed:
            evidence = (f"read {one.times} times running",)
            cause = "version" if "version" in one.name else one.name.partition(":")[2].partition(":")[0] or one.name
            yield Alarm(one.name, one.severity, one.alarmed, one.summary, one.function, "fact", cause, evidence)


def spend_alarms(state: WatchState, budget: Budget, now: datetime) -> Iterator[Alarm]:
    """Plain thresholds: this month's spend, and what it comes to by the month's end."""
    worst = max(state.spend or 0.0, state.projected or 0.0)
    critical = worst >= budget.monthly_critical
    if state.spend is None or (worst < budget.monthly_warning and not critical):
        return
    line, name = (budget.monthly_critical, "critical") if critical else (budget.monthly_warning, "warning")
    ahead = f", ${state.projected:.2f} projected by its end" if state.projected is not None else ""
    words = f"this month's spend is ${state.spend:.2f}{ahead}; budget: {name} at ${line:g}"
    yield Alarm("budget", "critical" if critical else "warning", now, words, "", "threshold", "budget")


def _next(known: FactState, reading: Fact, now: datetime) -> FactState:
    times = known.times + 1 if (reading.value, reading.good) == (known.value, known.good) else 1
    alarmed = known.alarmed
    if times >= RUNNING:
        alarmed = None if reading.good else alarmed or now
    summary = reading.summary or known.summary
    return replace(
        known, value=reading.value, good=reading.good, times=times, alarmed=alarmed, summary=summary,
        severity=reading.severity,
    )  # fmt: skip


def _over(one: FactState) -> bool:
    """A finding that is gone needs no memory; what else is good is kept to compare with."""
    return one.name.startswith("provider:") and one.good and one.times >= RUNNING


def _silent(name: str, unread: Iterable[str]) -> bool:
    return any(name.startswith(each) for each in unread)


def _findings(context: Context) -> tuple[list[Finding], tuple[str, ...]]:
    """What the providers' checks found, and which facts could not be read."""
    try:
        findings = context.check_provider()
    except CutoverError:
        return [], ("provider:",)
    unread = [one for one in findings if one.kind in UNREAD]
    return findings, tuple({f"provider:{_end(one)}:" for one in unread})


def _end(one: Finding) -> str:
    """The end of the migration that a finding is about."""
    return "from" if one.for_rollback else "to"


def _reading(one: Finding) -> Fact:
    severity: AlarmSeverity = "critical" if one.severity == "error" else "warning"
    return Fact(f"provider:{_end(one)}:{one.kind}", one.subject, False, "", f"{one.problem}: {one.evidence}", severity)


def _build(context: Context, state: WatchState, role: str, notes: list[str]) -> Fact | None:
    """What is served under the name of a model, compared with what it was when the watch first read it."""
    name = getattr(context.config.migration, role) or ""
    access = context.environment.providers.get(name)
    if access is None:
        return None
    try:
        value = proofs.build(access, Retry(context.clock))
    except ServiceFailed as error:
        notes.append(f"could not look up the model of {name}: {error.message}")
        return None
    if not value:
        return None
    fact = f"model of {name}"
    first = next((one.first for one in state.facts if one.name == fact), value)
    words = f"{access.settings.model} of {name} is {value} now; it was {first} when the watch began"
    if role == "from_":
        return Fact(fact, value, value == first, "", f"a rollback needs {words}", "warning")
    return Fact(fact, value, value == first, "", words, "critical")


def _spend(context: Context, notes: list[str]) -> tuple[Month | None, float | None]:
    if not context.reports_usage:
        return None, None
    spend = _tried(lambda: measure.month(context))
    if isinstance(spend, str):
        notes.append(f"could not read the spend: {spend}")
        return None, None
    return spend


def _tried(ask: Callable[[], tuple[Month | Missing, float]]) -> tuple[Month | None, float] | str:
    try:
        month, usage = ask()
    except CutoverError as error:
        return error.message
    return (None, usage) if isinstance(month, Missing) else (month, usage)
