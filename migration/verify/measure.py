"""Gathers the evidence that the criteria judge. What cannot be measured says why, and never stops the rest."""

from __future__ import annotations

import calendar
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from checks.evidence import Artifacts, Evidence, Missing, Month, ProviderEvidence, Spend, Traffic, Window
from migration.base import durable
from migration.base.errors import CutoverError
from migration.config import signals
from migration.logs.reader import LogReader
from migration.verify import baseline, readings, samples, unchanged
from migration.verify.readings import LiveVersions
from migration.verify.samples import Sample
from migration.verify.subject import Subject

if TYPE_CHECKING:
    from migration.clients.openrouter import KeyInfo
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.ledger.deployments import History

T = TypeVar("T")
BASELINE = timedelta(hours=23, minutes=30)  # how far back the version before is looked at
_SETTLED_DAYS = 3  # earlier in the month a projection says nothing
_TIGHT = timedelta(minutes=2)  # between a reading of the key and the span that is judged
_HASTE = 15.0  # seconds for the logs that a deploy waits for
_READINGS = 500  # of the key, kept on this machine


def gather(context: Context, about: Subject, reader: LogReader | None = None) -> Evidence:
    """Everything that the criteria read. In a gate, what only history shows is left out."""
    reader = reader or LogReader.of(context)
    migrated = _scope(about, context.config.migration.functions)
    everyone = _scope(about, [*context.config.migration.functions, *context.config.migration.unchanged])
    answered = tried(lambda: readings.traffic(reader, everyone))
    by_function = {} if isinstance(answered, Missing) else {part.function: part for part in answered}
    own = tuple(part for slug, part in by_function.items() if slug in migrated.functions)
    traffic = answered if isinstance(answered, Missing) else own
    spent = tried(lambda: spend(context, reader, migrated))
    routes = readings.routes(signals.named(context.config), context.config.migration.unchanged)
    faults = tried(lambda: readings.faults(reader, everyone, routes))
    lines: Mapping[str, int] | Missing = faults if isinstance(faults, Missing) else faults[1]
    answers = list(about.samples) if about.samples is not None else _samples(context, about)
    before, spend_before = (Missing("not read in a gate"),) * 2 if about.gate else _baseline(context, about, reader)
    return Evidence(
        window=Window(about.since, about.until, {s: v for s, (_, v) in migrated.functions.items()}, about.words),
        traffic=traffic,
        before=before,
        spend=spent,
        spend_before=spend_before,
        faults=faults if isinstance(faults, Missing) else faults[0],
        answers=samples.sent([one for one in answers if one.function in context.config.migration.functions]),
        artifacts=samples.artifacts(answers),
        artifacts_before=_artifacts_before(context, about, {one.case for one in answers if one.artifact is not None}),
        provider=tried(lambda: _provider(context, about, spent)),
        month=tried(lambda: _month(context, spent)),
        unchanged=unchanged.all_of(context, about, answers, lines, by_function),
        gate=about.gate,
    )


def tried(measure: Callable[[], T]) -> T | Missing:
    """A measurement, or why it could not be taken."""
    try:
        return measure()
    except CutoverError as error:
        return Missing(error.message)


def _scope(about: Subject, slugs: Sequence[str]) -> LiveVersions:
    functions = {slug: about.live[slug] for slug in slugs if slug in about.live}
    return LiveVersions({slug: (one.id, one.version) for slug, one in functions.items()}, about.since, about.until)


def spend(context: Context, reader: LogReader, scope: LiveVersions, before: bool = False) -> Spend:
    """Usage lines and costs of the functions in `scope` that write usage lines: those that signals.usage names.

    `before`: at the price of the provider that the code before calls.
    """
    target = context.config.source if before else context.config.target
    pattern = signals.usage(context.config)
    billed = {slug: one for slug, one in scope.functions.items() if slug in pattern.functions}
    grace = timedelta(seconds=5) if context.environment.embedded else readings.GRACE
    price = target.price if target else None
    return readings.spend(reader, replace(scope, functions=billed), pattern, context.clock.now() - grace, price)


def _baseline(
    context: Context, about: Subject, reader: LogReader
) -> tuple[tuple[Traffic, ...] | Missing, Spend | Missing]:
    """The same queries over the code at app.base, in the day before it was replaced; the ledger's figures first."""
    if about.baseline is not None:
        return about.baseline.traffic, about.baseline.spend
    versions = {slug: (about.live[slug].id, version) for slug, version in about.before.items() if slug in about.live}
    if not versions:
        return Missing("no earlier version is recorded"), Missing("no earlier version is recorded")
    scope = LiveVersions(versions, about.changed - BASELINE, about.changed + timedelta(minutes=10))
    return tried(lambda: readings.traffic(reader, scope)), tried(lambda: spend(context, reader, scope, before=True))


def _artifacts_before(context: Context, about: Subject, cases: Collection[str]) -> Artifacts | Missing:
    here = samples.artifacts_before(context, about.past, cases)
    return about.baseline.artifacts if isinstance(here, Missing) and about.baseline is not None else here


def _samples(context: Context, about: Subject) -> list[Sample]:
    """What was recorded of the live versions."""
    sent = samples.recent(context, about.since, about.until)
    return [one for one in sent if one.at >= activated(about.live.get(one.function))]


def activated(function: Function | None) -> datetime:
    """When a function last changed; the beginning of time if the platform does not say."""
    return datetime.fromtimestamp((function.updated_at or 0) / 1000 if function else 0, UTC)


def _provider(context: Context, about: Subject, spend: Spend | Missing) -> ProviderEvidence | Missing:
    if isinstance(spend, Missing):
        return spend
    readings_before = [at for at, _, _ in _readings(context) if at <= about.since]
    slack = max(_TIGHT, (about.until - about.since) * 0.1)
    tight = bool(readings_before) and about.since - readings_before[-1] <= slack
    booked, source = booked_since(context, about.since)
    return ProviderEvidence(booked, source, spend.successes, spend.total, spend.ripe, tight)


def _month(context: Context, spend: Spend | Missing) -> Month | Missing:
    """The key's own month so far, and the configured volumes at the measured mean cost."""
    return month(context, 0.0 if isinstance(spend, Missing) else spend.mean)[0]


def month(context: Context, mean: float = 0.0) -> tuple[Month | Missing, float]:
    """The key's own month so far with the configured volumes at this cost a request, and its counter in all (USD)."""
    info = read_key(context)
    if info.usage_monthly is None:
        return Missing("the provider does not report what this month has cost"), info.usage
    now = context.clock.now()
    passed = now.day - 1 + now.hour / 24 + now.minute / 1440
    days = calendar.monthrange(now.year, now.month)[1]
    ahead = info.usage_monthly / passed * days if passed >= _SETTLED_DAYS else None
    volumes = {name: a_day * 30 * mean for name, a_day in context.config.budget.volumes.items()} if mean else {}
    return Month(info.usage_monthly, ahead, "the key's own figure", volumes), info.usage


def keep_baseline(context: Context, history: History, live: Mapping[str, Function], base: str) -> None:
    """Before the first change: measure the code that is live, if it is the base's. Failing to is a warning only.

    `base`: the revision that is live, as a deploy's plan names it.
    """
    wanted = context.config.app.base or base
    code = baseline.base_code(history, wanted, context.config.migration.functions)
    is_live = code is None or code.replaced is None
    functions = {slug: live[slug] for slug in context.config.migration.functions if slug in live}
    if not is_live or not functions or baseline.known(history, wanted) is not None:
        return
    now = context.clock.now()
    scope = LiveVersions({slug: (one.id, one.version) for slug, one in functions.items()}, now - BASELINE, now)
    reader = LogReader.of(context)
    reader.patience = _HASTE  # the lock is held meanwhile
    traffic = tried(lambda: readings.traffic(reader, scope))
    if isinstance(traffic, Missing):
        context.observer.warn(f"cannot measure the code before the change: {traffic.why}")
        return
    spent = tried(lambda: spend(context, reader, scope, before=True))
    counted = samples.artifacts(samples.recent(context, now - samples.LONGEST, now + timedelta(seconds=1)))
    record = {
        "record": baseline.RECORD,
        "revision": wanted,
        "traffic": [asdict(one) | {"offenders": []} for one in traffic],
        "spend": None if isinstance(spent, Missing) else asdict(spent) | {"offenders": []},
        "artifacts": asdict(counted) | {"offenders": []} if counted.tried else None,
    }
    try:
        context.ledger.append(record)
    except CutoverError as error:
        context.observer.warn(f"cannot record the baseline: {error.message}")


# What the provider booked on the key since a moment, from readings of its counters that each run leaves behind.


def read_key(context: Context) -> KeyInfo:
    """The key's counters now; the reading is kept, so that a later run knows what was booked since."""
    info = context.provider.key()
    known = [*_readings(context), (context.clock.now(), info.usage, info.label)]
    path = _file(context)
    with suppress(OSError):
        rows = [(at.isoformat(), spent, label) for at, spent, label in known[-_READINGS:]]
        durable.write(path, json.dumps(rows).encode(), sync=False)
    return info


def booked_since(context: Context, start: datetime) -> tuple[float, str]:
    """(USD, where from) booked in a span that covers start to now, as tight as the readings allow."""
    known = _readings(context)
    info = read_key(context)
    earlier = [(at, spent) for at, spent, label in known if at <= start and label == info.label]
    if earlier:
        at, spent = earlier[-1]
        return max(info.usage - spent, 0.0), f"since our reading of {at:%H:%M:%S} UTC"
    now = context.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spans = (
        (midnight, info.usage_daily, "today, UTC"),
        (midnight - timedelta(days=now.weekday()), info.usage_weekly, "this week"),
        (midnight.replace(day=1), info.usage_monthly, "this month"),
    )
    for begins, spent_, words in spans:
        if begins <= start and spent_ is not None:
            return spent_, words
    return info.usage, "in the key's lifetime"


def _file(context: Context) -> Path:
    return context.state / "usage" / f"{context.environment.name}.json"


def _readings(context: Context) -> list[tuple[datetime, float, str]]:
    """(when, USD in the key's lifetime, its label), oldest first."""
    try:
        rows = json.loads(_file(context).read_text())
        return [(datetime.fromisoformat(at), float(spent), str(label)) for at, spent, label in rows]
    except (OSError, ValueError, TypeError):
        return []
