"""Findings, one a cause and in the order of what to do first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from migration.base.finding import Finding, worst_first

_KEYS = ("absent", "unknown_key", "disabled_key", "expired_key", "wrong_kind", "differs")
_MONEY = ("no_credit", "free_tier", "key_limit")
_REFUSALS = ("not_configured", "logged_401", "logged_402", "logged_403", "rate_limit")
# A symptom, and what explains it where that was found too: then the symptom is evidence of its cause.
EXPLAINED: dict[str, Sequence[str]] = {
    "not_configured": ("absent",),
    "logged_401": _KEYS,
    "logged_402": _MONEY,
    "logged_403": (*_MONEY, "disabled_key"),
    "errors": _REFUSALS,
    "timeouts": ("errors",),
    "retries": (*_REFUSALS, "errors", "timeouts"),
    "undeployed": ("interrupted", "hold"),
    "drifted": ("interrupted",),
    "old_route": ("undeployed", "drifted"),
}
# What hides other problems, or stands in the way of every remedy, comes before the errors.
_BLOCKING = ("unmeasured", "ledger_offline", "refs", "interrupted", "stale_lock")


def first_things_first(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a cause: symptoms join what explains them, and one problem of several functions is one finding."""
    grouped = _together(findings)
    kinds = {each.kind: each.causes for each in grouped}
    symptoms: dict[str, list[Finding]] = {kind: [] for kind in kinds}
    for each in grouped:
        if (cause := _root(each.kind, kinds)) != each.kind:
            symptoms[cause].append(each)
    causes = [each for each in grouped if _root(each.kind, kinds) == each.kind]
    joined = [_with(each, symptoms.pop(each.kind, [])) for each in causes]
    return sorted(worst_first(joined), key=lambda each: _BLOCKING.index(each.kind) if each.kind in _BLOCKING else 99)


def _root(kind: str, kinds: Mapping[str, Collection[str] | None]) -> str:
    """What explains this kind among those found; itself where nothing does."""
    may = kinds[kind]
    cause = next((one for one in EXPLAINED.get(kind, ()) if one in kinds and (may is None or one in may)), kind)
    return kind if cause == kind else _root(cause, kinds)


def _with(cause: Finding, symptoms: Sequence[Finding]) -> Finding:
    """The cause with its symptoms as evidence, as severe as the worst of them."""
    if not symptoms:
        return cause
    evidence = "; ".join([cause.evidence, *(f"{each.problem} ({each.evidence})" for each in symptoms)])
    return replace(cause, evidence=evidence, severity=worst_first([cause, *symptoms])[0].severity)


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """The same problem of several functions with the same remedy as one finding."""
    groups: dict[object, list[Finding]] = {}
    for each in dict.fromkeys(findings):
        alike = each.problem.replace(each.subject, "…") if each.subject else each.problem
        groups.setdefault((each.kind, each.severity, each.fix, alike), []).append(each)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Finding]) -> Finding:
    first, *others = group
    if not others:
        return first
    subjects = ", ".join(each.subject for each in others)
    evidence = "\n".join(f"{each.subject}: {each.evidence}" for each in group)
    problem = f"{first.problem}; the same for {subjects}"
    return replace(first, problem=problem, evidence=evidence, subject=f"{first.subject}, {subjects}")
