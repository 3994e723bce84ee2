"""Evidence for the criteria from the lines of `supabase functions serve`: what a local run can show, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from checks.evidence import Evidence, Faults, Missing, Offender, Spend, UnchangedEvidence, Window
from migration.base.secrets_type import cropped
from migration.config import signals
from migration.config.signals import Pattern
from migration.logs import local
from migration.logs.local import LocalLine
from migration.providers.openrouter import Tokens
from migration.verify import readings, samples
from migration.verify.samples import Sample

if TYPE_CHECKING:
    from migration.config.settings import Price
    from migration.context import Context

_HOSTED = "only the platform's logs show it: `supabase functions serve` writes no requests"


def gather(context: Context, since: datetime) -> Evidence:
    """Smoke cases of this machine, and the lines that the functions wrote meanwhile. ServiceFailed as the lines."""
    now = context.clock.now()
    lines = [line for line in local.read(context) if line.at is None or line.at >= since]
    sent = samples.recent(context, since, now + timedelta(seconds=1))
    migrated = set(context.config.migration.functions)
    own = [one for one in sent if one.function in migrated]
    words = f"{len(lines)} lines of {local.configured(context)}, {len(sent)} answers to smoke cases"
    missing = Missing(_HOSTED)
    return Evidence(
        window=Window(since, now, {}, words),
        traffic=missing,
        before=missing,
        spend=_spend(context, lines, own),
        faults=_faults([line for line in lines if line.function in migrated]),
        answers=samples.sent(own) if own else Missing("no smoke case was run"),
        artifacts=samples.artifacts(sent),
        unchanged=_unchanged(context, lines, sent),
    )


def _spend(context: Context, lines: Sequence[LocalLine], own: Sequence[Sample]) -> Spend | Missing:
    """Usage lines against the smoke cases that succeeded."""
    usage = signals.named(context.config).get("usage")
    if usage is None:
        return Missing("no signal usage in config.yaml")
    price = context.config.target.price if context.config.target else None
    usages = [groups for line in lines if line.function in usage.functions and (groups := usage.groups(line.message))]
    good = [one for one in own if one.function in usage.functions and one.ok and 200 <= one.status < 300]
    costs = [_cost(groups, price) for groups in usages]
    total, tokens = sum(costs), round(sum(_number(groups, "total") for groups in usages))
    absent = max(len(good) - len(usages), 0)
    mean, priced = total / len(usages) if usages else 0.0, price is not None or total > 0 or not usages
    return Spend(len(good), len(usages), absent, 0, tokens, total, mean, ripe=len(good), priced=priced)


def _cost(groups: Mapping[str, str], price: Price | None) -> float:
    if groups.get("cost") or price is None:
        return _number(groups, "cost")
    names = ("input", "cached", "output")
    return Tokens(*(round(_number(groups, name)) for name in names)).cost(price)


def _number(groups: Mapping[str, str], name: str) -> float:
    text = groups.get(name, "").replace(",", "").replace("_", "")
    try:
        return float(text) if text else 0.0
    except ValueError:
        return 0.0


def _faults(lines: Sequence[LocalLine]) -> Faults:
    bad = [line for line in lines if line.level == "error"]
    shown = tuple(Offender(line.request, line.function, cropped(line.message.splitlines()[0], 200)) for line in bad)
    return Faults(len(bad), {"error": len(bad)} if bad else {}, shown)


def _unchanged(
    context: Context, lines: Sequence[LocalLine], sent: Sequence[Sample]
) -> dict[str, UnchangedEvidence | Missing]:
    """Whether each answers, and its own route's lines; its source is git's, so nothing is compared."""
    slugs = context.config.migration.unchanged
    routes = readings.routes(signals.named(context.config), slugs)
    evidence: dict[str, UnchangedEvidence | Missing] = {}
    for slug in slugs:
        answers = [one for one in sent if one.function == slug]
        route = routes[slug]
        part = UnchangedEvidence(slug, route_lines=_count(lines, slug, route), routed=route is not None)
        if answers:
            good = [one for one in answers if one.ok]
            part = replace(part, answers=bool(good), status=(good or answers)[-1].status)
        evidence[slug] = part
    return evidence


def _count(lines: Sequence[LocalLine], slug: str, route: Pattern | None) -> int | None:
    if route is None:
        return None
    return sum(line.function == slug and route.matches(line.message) for line in lines)
